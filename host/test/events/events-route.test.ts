import { createServer } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openServer, openUpstream, TOKEN, until } from '../admin/space-support.js';
import { basic } from '../access/server.js';
import { hashPassword } from '../../src/access/password-hash.js';
import { listenOnLoopback } from '../local-server.js';
import { LISTEN, serve } from '../reloading.js';

const ANN = await hashPassword('wonder:land');
const ann = basic('ann', 'wonder:land');
const ACCESS = `access: { anonymous: none, users: { ann: { passwordHash: "${ANN}" } } }`;

interface Told {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

/** Listens to events until the test ends. */
async function listen(url: string, authorization = '', query = '', lastId = '') {
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const answer = await fetch(`${url}/-/api/v1/events${query}`, {
    signal: end.signal,
    headers: { ...(authorization !== '' && { authorization }), ...(lastId !== '' && { 'last-event-id': lastId }) },
  });
  const told: Told[] = [];
  const state = { told, answer, ended: false, close: () => end.abort() };
  const reading = async (): Promise<void> => {
    let text = '';
    const decoder = new TextDecoder();
    for await (const bytes of answer.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(bytes, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        const event = field('event');
        if (event !== undefined)
          told.push({ event, id: field('id'), data: JSON.parse(field('data') ?? '{}') as Told['data'] });
      }
    }
  };
  void reading().then(
    () => (state.ended = true),
    () => {},
  );
  return state;
}

const admin = `Bearer ${TOKEN}`;

describe('the events of a server', () => {
  it('are told to those who may read the repository, and all of them to administrators', async () => {
    const upstream = await openUpstream();
    upstream.putPackage('tool', ['1.0.0', '2.0.0']);
    const server = await openServer(
      `
  npm: { type: npm, upstream: "${upstream.fake.url}" }
  closed: { type: npm, upstream: "${upstream.fake.url}", ${ACCESS} }
  uploads: { type: files, kind: hosted, quota: 1MiB, access: { anonymous: write } }`,
      undefined,
      'policy: { rules: [{ id: no-two, match: { purl: ["pkg:npm/tool@2.0.0"] }, action: deny, reason: it is broken }] }',
    );
    const [url] = server.urls;
    const operator = await listen(url, admin);
    const anyone = await listen(url);
    const reader = await listen(url, ann);
    const denials = await listen(url, ann, '?event=denied,held&repository=closed');
    expect(operator.answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(operator.answer.headers.get('cache-control')).toBe('no-store, no-transform');

    await server.get('/npm/tool/-/tool-1.0.0.tgz');
    for (const [at, version] of ['1.0.0', '2.0.0'].entries()) {
      await fetch(`${url}/closed/tool/-/tool-${version}.tgz`, { headers: { authorization: ann } });
      // Bytes that were promised are sent before they are kept.
      await until(async () => operator.told.length === at + 2);
    }
    await fetch(`${url}/uploads/large`, { method: 'PUT', body: 'x'.repeat(2 ** 20 + 1) });
    await until(async () => operator.told.length === 4 && reader.told.length === 4 && denials.told.length === 1);

    expect(operator.told.map(({ event, data }) => [event, data['repository'], data['purl'], data['caller']])).toEqual([
      ['kept', 'npm', 'pkg:npm/tool@1.0.0', undefined],
      ['kept', 'closed', 'pkg:npm/tool@1.0.0', undefined],
      ['denied', 'closed', 'pkg:npm/tool@2.0.0', 'ann'],
      ['quota', 'uploads', undefined, undefined],
    ]);
    expect(operator.told[2]?.data['rules']).toMatchObject([{ id: 'no-two', action: 'deny', reason: 'it is broken' }]);
    expect(operator.told[3]?.data).toMatchObject({ scope: 'repository', bytes: 2 ** 20 + 1, bound: 2 ** 20 });
    expect(reader.told.map(({ data }) => data['caller'])).toEqual([undefined, undefined, undefined, undefined]);
    expect(denials.told.map(({ id }) => id)).toEqual([operator.told[2]?.id]);
    expect(anyone.told.map(({ data }) => data['repository'])).toEqual(['npm', 'uploads']);

    const again = await listen(url, admin, '', operator.told[1]?.id);
    await until(async () => again.told.length === 2);
    expect(again.told.map(({ id }) => id)).toEqual(operator.told.slice(2).map(({ id }) => id));
  });

  it('are refused to those who may read nothing, and to too many', async () => {
    const upstream = await openUpstream();
    const server = await openServer(`\n  closed: { type: npm, upstream: "${upstream.fake.url}", ${ACCESS} }`);
    const [url] = server.urls;
    for (const authorization of ['', basic('ann', 'wrong'), 'Bearer nothing'])
      expect((await listen(url, authorization)).answer.status).toBe(401);
    const wrong = await server.api('GET', '/events?event=everything');
    expect([wrong.status, wrong.text]).toEqual([
      400,
      expect.stringContaining('event: expected names out of kept, denied'),
    ]);
    const open = await Promise.all(Array.from({ length: 50 }, () => listen(url, ann)));
    expect(new Set(open.map(({ answer }) => answer.status))).toEqual(new Set([200]));
    const refused = await listen(url, ann);
    expect([refused.answer.status, refused.answer.headers.get('retry-after')]).toEqual([429, '15']);
    expect((await listen(url, admin)).answer.status).toBe(200);
    open[0]?.close();
    await until(async () => (await listen(url, ann)).answer.status === 200);
  });

  it('tell of upstreams that are down, also to webhooks', async () => {
    const bodies: Told['data'][] = [];
    const hook = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(JSON.parse(Buffer.concat(chunks).toString()) as Told['data']);
        response.end();
      });
    });
    const target = `${await listenOnLoopback(hook)}/hook`;
    const upstream = await openUpstream();
    const server = await openServer(
      `\n  npm: { type: npm, upstream: "${upstream.fake.url}", cache: { packument: { negativeFor: 0 } } }`,
      undefined,
      `webhooks: [{ url: "${target}", allowPrivate: true, events: [upstream-down, upstream-up, kept] }]`,
    );
    const operator = await listen(server.urls[0], admin);
    upstream.fake.serve('/broken', { status: 500 });
    const state = async (): Promise<string | undefined> =>
      /^entrepot_upstream_down\{.*\} (\d)$/m.exec((await server.get('/metrics')).text)?.[1];
    expect(await state()).toBe('0');
    for (let number = 0; number < 6; number += 1) await server.get('/npm/broken');
    await until(async () => operator.told.length === 1);
    expect(await state()).toBe('1');
    upstream.putPackage('tool', ['1.0.0']);
    await until(async () => {
      await server.get('/npm/tool');
      return operator.told.length === 2;
    });
    expect(await state()).toBe('0');
    await server.get('/npm/tool/-/tool-1.0.0.tgz');
    await until(async () => bodies.length === 3);
    const host = new URL(upstream.fake.url).host;
    expect(bodies.map(({ event, repository, upstream: of }) => [event, repository, of])).toEqual([
      ['upstream-down', 'npm', host],
      ['upstream-up', 'npm', host],
      ['kept', 'npm', undefined],
    ]);
  });

  it('end with a good-bye when the configuration is read again, and when the server stops', async () => {
    const { host, url, reload } = await serve(`${LISTEN}repositories: { box: { type: files, kind: hosted } }`);
    const first = await listen(url);
    await reload(`${LISTEN}repositories: { box: { type: files, kind: hosted }, other: { type: files, kind: hosted } }`);
    await until(async () => first.ended);
    const second = await listen(url);
    const closing = host.close();
    await until(async () => second.ended);
    await closing;
    for (const { told } of [first, second]) expect(told.map(({ event }) => event)).toEqual(['bye']);
  });
});
