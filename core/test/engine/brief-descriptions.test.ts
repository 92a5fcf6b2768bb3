import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  allowAll,
  artifactClass,
  documentClass,
  parseSri,
  type ArtifactDescription,
  type Content,
  type Parsed,
} from '../../src/index.js';
import { FixedPolicy } from '../../src/testing/index.js';
import { openHarness, parsedOf, sri, withClasses, type Harness, type HarnessOptions } from './harness.js';

const lines = async (content: Content, licensed: boolean): Promise<Parsed> => {
  const text = Buffer.from(await content.bytes(100_000)).toString();
  const found = new Map<string, ArtifactDescription>();
  for (const line of text.split('\n')) {
    const [version = '', promised = '', location] = line.split(' ');
    const coordinates = { ecosystem: 'test', name: 'file', version };
    const facts = licensed ? { licenses: [`licence of ${version}`] } : {};
    found.set(`files/${version}`, { integrity: parseSri(promised), location, coordinates, ...facts });
  }
  return parsedOf(found);
};

/** `/files/<version>` is described by lines `version sri [location]` of `/index`, and by one such line in `/brief/<version>`. */
const sideOf = (trust: { readonly promisedInHeaders?: Readonly<Record<string, 'sha1'>> } = {}) =>
  withClasses(
    {
      index: documentClass({ about: 'all versions', parse: (content) => lines(content, true) }),
      brief: documentClass({ about: 'one version', parse: (content) => lines(content, false) }),
      file: artifactClass({
        about: 'a version',
        trust: {
          describedBy: () => ({ class: 'index', key: 'index', path: 'index' }),
          describedBrieflyBy({ coordinates }) {
            const path = `brief/${coordinates?.version}`;
            return { class: 'brief', key: path, path, coordinates };
          },
          ...trust,
        },
      }),
    },
    {
      route({ segments }) {
        const version = segments.at(-1) ?? '';
        if (segments[0] === 'index') return { class: 'index', key: 'index', path: 'index' };
        const coordinates = { ecosystem: 'test', name: 'file', version };
        return { class: 'file', key: `files/${version}`, path: `files/${version}`, coordinates };
      },
    },
  );
const side = sideOf();

/** A repository whose upstream has the bytes `1`, `2` and `3` under these versions. */
async function open(options: HarnessOptions = {}): Promise<Harness> {
  const harness = await openHarness({ side, ...options });
  const lines = ['1', '2', '3'].map((version) => `${version} ${sri(version)}`);
  for (const [at, version] of ['1', '2', '3'].entries()) {
    harness.upstream.serve(`/files/${version}`, { body: version });
    harness.upstream.serve(`/brief/${version}`, { body: lines[at] as string });
  }
  harness.upstream.serve('/index', { body: lines.join('\n') });
  return harness;
}

const asked = ({ upstream }: Harness): string[] => upstream.requests.map(({ path }) => path).sort();

async function fetched({ get, landed }: Harness, path: string): Promise<[number, string]> {
  const reply = await get(path);
  const text = await reply.text();
  await landed();
  return [reply.status, text];
}

describe('an artifact that has a brief document', () => {
  it('is verified by that alone, which is not kept', async () => {
    const harness = await open();
    expect(await fetched(harness, '/files/1')).toEqual([200, '1']);
    expect(asked(harness)).toEqual(['/brief/1', '/files/1']);
    expect(await harness.entries.find('test', 'brief/1')).toBeUndefined();
    expect(await harness.entries.find('test', 'files/1')).toMatchObject({ integrity: parseSri(sri('1')) });
  });

  it('is asked for at the same time', async () => {
    const harness = await open();
    const gate = harness.upstream.hold('/brief/1');
    const bytes = harness.upstream.hold('/files/1');
    const reply = harness.get('/files/1');
    await Promise.all([gate.reached, bytes.reached]);
    bytes.open();
    gate.open();
    expect(await (await reply).text()).toBe('1');
    expect(harness.upstream.count('/files/1')).toBe(1);
  });

  it('is not served while other bytes are promised', async () => {
    const harness = await open();
    harness.upstream.serve('/brief/1', { body: `1 ${sri('other bytes')}` });
    harness.upstream.serve('/index', { body: `1 ${sri('other bytes')}` });
    expect((await harness.get('/files/1')).status).toBe(502);
    expect(await harness.entries.find('test', 'files/1')).toBeUndefined();
  });

  it('is fetched from where that says', async () => {
    const harness = await open();
    harness.upstream.serve('/brief/1', {
      body: `1 ${sri('from elsewhere')} ${new URL('/elsewhere', harness.upstream.url).href}`,
    });
    harness.upstream.serve('/elsewhere', { body: 'from elsewhere' });
    expect(await fetched(harness, '/files/1')).toEqual([200, 'from elsewhere']);
  });

  it.each([
    ['is not there', { status: 404, body: '' }],
    ['is refused', { status: 403, body: '' }],
    ['fails', { status: 500, body: '' }],
    ['says nothing of it', { body: `9 ${sri('9')}` }],
    ['is too long', { body: `1 ${sri('1')} ${'x'.repeat(1_100_000)}` }],
  ])('is verified by the whole document when the brief one %s', async (_how, fixture) => {
    const harness = await open();
    harness.upstream.serve('/brief/1', fixture);
    expect(await fetched(harness, '/files/1')).toEqual([200, '1']);
    expect(asked(harness)).toEqual(['/brief/1', '/files/1', '/index']);
  });

  it('is not looked for in brief documents for a while when the upstream has none', async () => {
    const harness = await open();
    for (const version of ['1', '2', '3']) harness.upstream.serve(`/brief/${version}`, { status: 404, body: '' });
    await fetched(harness, '/files/1');
    harness.storage.entries.forget('test', 'index');
    expect(await fetched(harness, '/files/2')).toEqual([200, '2']);
    expect(asked(harness)).toEqual(['/brief/1', '/files/1', '/files/2', '/index']);
  });

  it('is not found when neither knows it', async () => {
    const harness = await open();
    harness.upstream.serve('/files/4', { body: '4' });
    expect((await harness.get('/files/4')).status).toBe(404);
    expect(await harness.entries.find('test', 'files/4')).toBeUndefined();
  });

  it('needs none where the whole document is in memory', async () => {
    const harness = await open();
    await fetched(harness, '/index');
    harness.upstream.serve('/brief/1', { status: 404, body: '' });
    await fetched(harness, '/files/1');
    expect(await fetched(harness, '/files/2')).toEqual([200, '2']);
    expect(harness.upstream.count('/brief/2')).toBe(0);
  });

  it('is described by the whole one where policy looks at facts', async () => {
    const harness = await open({ policy: new FixedPolicy() });
    expect(await fetched(harness, '/files/1')).toEqual([200, '1']);
    expect(asked(harness)).toEqual(['/files/1', '/index']);
    expect(await harness.entries.find('test', 'files/1')).toMatchObject({ facts: { licenses: ['licence of 1'] } });
  });

  it('is described by the whole one where another upstream could answer in the place of the first', async () => {
    const harness = await open();
    const several = await open({
      definition: { upstreams: [{ url: harness.upstream.url }, { url: new URL('/other', harness.upstream.url).href }] },
    });
    expect(await fetched(several, '/files/1')).toEqual([200, '1']);
    expect(asked(harness)).toEqual(['/files/1', '/index']);
  });

  it('is not asked for before a refusal', async () => {
    const policy = new FixedPolicy([
      { id: 'no-1', action: 'deny', reason: 'not this one', matches: ({ coordinates }) => coordinates.version === '1' },
    ]);
    const harness = await open({ policy: { ...allowAll, evaluate: (input) => policy.evaluate(input) } });
    expect((await harness.get('/files/1')).status).toBe(403);
    expect(harness.upstream.count('/files/1')).toBe(0);
  });

  it('is judged by the whole document when a rule that looks at facts comes into force', async () => {
    const rules = new FixedPolicy();
    let policy = allowAll;
    const harness = await open({
      policy: {
        revision: () => policy.revision(),
        needs: () => policy.needs(),
        evaluate: (input) => policy.evaluate(input),
      },
    });
    await fetched(harness, '/files/1');
    await fetched(harness, '/files/2');
    rules.setRules([
      {
        id: 'no-licence-of-1',
        action: 'deny',
        reason: 'its licence',
        matches: ({ facts }) => facts.licenses?.includes('licence of 1') === true,
      },
    ]);
    policy = rules;
    expect((await harness.get('/files/1')).status).toBe(403);
    expect(await fetched(harness, '/files/2')).toEqual([200, '2']);
    expect(harness.upstream.count('/index')).toBe(1);
  });
});

describe('an artifact whose upstream states its sum in a header', () => {
  const hex = (text: string): string => createHash('sha1').update(text).digest('hex');
  const stating = sideOf({ promisedInHeaders: { 'x-first': 'sha1', 'x-second': 'sha1' } });

  it('is verified by that alone', async () => {
    const harness = await open({ side: stating });
    harness.upstream.serve('/files/1', { body: '1', headers: { 'x-second': hex('1').toUpperCase() } });
    expect(await fetched(harness, '/files/1')).toEqual([200, '1']);
    expect(asked(harness)).toEqual(['/files/1']);
    const integrity = [{ algorithm: 'sha1', hex: hex('1') }];
    expect(await harness.entries.find('test', 'files/1')).toMatchObject({ integrity });
  });

  it('is not served when it has other bytes', async () => {
    const harness = await open({ side: stating });
    harness.upstream.serve('/files/1', { body: '1', headers: { 'x-first': hex('2'), 'x-second': hex('1') } });
    harness.upstream.serve('/index', { body: `1 ${sri('other bytes')}` });
    expect((await harness.get('/files/1')).status).toBe(502);
    expect(await harness.entries.find('test', 'files/1')).toBeUndefined();
  });

  it.each(['', 'no sum', hex('1').slice(1)])('is verified by its document when the header is %j', async (text) => {
    const harness = await open({ side: stating });
    harness.upstream.serve('/files/1', { body: '1', headers: { 'x-first': text } });
    expect(await fetched(harness, '/files/1')).toEqual([200, '1']);
    expect(asked(harness)).toEqual(['/brief/1', '/files/1']);
  });

  it('is asked for along with its document once the upstream has stated none', async () => {
    const harness = await open({ side: stating });
    await fetched(harness, '/files/1');
    const gates = [harness.upstream.hold('/brief/2'), harness.upstream.hold('/files/2')];
    const reply = harness.get('/files/2');
    await Promise.all(gates.map(({ reached }) => reached));
    for (const gate of gates) gate.open();
    expect(await (await reply).text()).toBe('2');
  });

  it('is verified by its header again once the upstream has stated one', async () => {
    const harness = await open({ side: stating });
    await fetched(harness, '/files/1');
    for (const version of ['2', '3'])
      harness.upstream.serve(`/files/${version}`, { body: version, headers: { 'x-first': hex(version) } });
    await fetched(harness, '/files/2');
    await fetched(harness, '/files/3');
    expect(asked(harness)).toEqual(['/brief/1', '/brief/2', '/files/1', '/files/2', '/files/3']);
  });

  it('is described by the whole document while policy needs facts', async () => {
    const harness = await open({ side: stating, policy: new FixedPolicy() });
    harness.upstream.serve('/files/1', { body: '1', headers: { 'x-first': hex('1') } });
    expect(await fetched(harness, '/files/1')).toEqual([200, '1']);
    expect(asked(harness)).toEqual(['/files/1', '/index']);
  });
});
