import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import {
  aliasClass,
  artifactClass,
  documentClass,
  parseHex,
  type Access,
  type AccessNeed,
  type Caller,
  type Content,
  type Entry,
  type Parsed,
  type ResolveContext,
  type Resource,
  type Root,
} from '../../src/index.js';
import { FixedPolicy, type FakeUpstream, type FixedRule } from '../../src/testing/index.js';
import { openHarness, withClasses } from './harness.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const LIST: Resource = { class: 'list', key: 'list', path: 'list' };

interface Sums extends Parsed {
  readonly sums: ReadonlyMap<string, string>;
}

/** `/list` has lines `name sum`; `/name` stands for the bytes with that sum. */
function side(seen: Partial<ResolveContext>[] = []) {
  return withClasses(
    {
      list: documentClass({
        about: 'sums by name',
        cache: { freshFor: 1000 },
        async parse(content: Content): Promise<Sums> {
          const lines = Buffer.from(await content.bytes(1000))
            .toString()
            .split('\n');
          return { weight: 1, sums: new Map(lines.map((line) => line.split(' ') as [string, string])) };
        },
      }),
      bytes: artifactClass({ about: 'bytes by their sum' }),
      name: aliasClass({
        about: 'bytes by their name',
        async resolve({ key }, context) {
          const { document, digest } = await context.document<Sums>(LIST);
          seen.push({ client: context.client, connection: context.connection });
          if (key === 'digest') return { status: 200, body: digest };
          if (key === 'kept') return { status: 200, body: (await context.keys('bytes/')).join(' ') };
          if (key === 'loop') return { class: 'name', key: 'loop' };
          const hex = document.sums.get(key);
          const integrity = hex === undefined ? undefined : parseHex('sha256', hex);
          return (
            integrity && {
              class: 'bytes',
              key: `bytes/${integrity.hex}`,
              path: `files/${key}`,
              integrity: [integrity],
              coordinates: { ecosystem: 'test', name: key, version: '1' },
            }
          );
        },
      }),
    },
    {
      route: ({ segments, method }) =>
        method === 'PUT' ? { class: 'put', key: 'a' } : { class: 'name', key: segments.join('/') },
    },
  );
}

/** Has an upstream list and serve a text as `a`. */
function publisher(upstream: FakeUpstream): (text: string) => void {
  return (text) => {
    upstream.serve('/list', { body: `a ${sha256(text)}` });
    upstream.serve('/files/a', { body: text });
  };
}

describe('a path that stands for another resource', () => {
  it('leads to what a document says of it at the moment', async () => {
    const { get, upstream, clock } = await openHarness({ side: side() });
    const publish = publisher(upstream);
    publish('one');
    expect(await (await get('/a')).text()).toBe('one');
    publish('two');
    expect(await (await get('/a')).text()).toBe('one');
    clock.advance(2000);
    const changed = await get('/a');
    expect([await changed.text(), changed.outcome.resource]).toEqual(['two', 'bytes']);
    await upstream.goOffline();
    clock.advance(2000);
    expect(await (await get('/a')).text()).toBe('two');
    expect(await (await get('/kept')).text()).toBe(
      ['one', 'two']
        .map((text) => `bytes/${sha256(text)}`)
        .sort()
        .join(' '),
    );
    expect(await (await get('/digest')).text()).toBe(`sha256:${sha256(`a ${sha256('two')}`)}`);
  });

  it('asks no store for a document that is in memory', async () => {
    const before = await openHarness({ side: side() });
    publisher(before.upstream)('one');
    await (await before.get('/a')).text();
    const { blobs, entries } = before;
    const { get } = await openHarness({ side: side(), shared: { blobs, entries } });
    expect(await (await get('/a')).text()).toBe('one');
    const asked = [vi.spyOn(blobs, 'stat'), vi.spyOn(blobs, 'open')];
    for (let turn = 0; turn < 3; turn += 1) expect(await (await get('/a')).text()).toBe('one');
    expect(asked.map((calls) => calls.mock.calls)).toEqual([[], []]);
  });

  it('may lead to what was said before, while the document is asked for anew', async () => {
    const document = { staleWhileRevalidate: 10_000 };
    const { get, upstream, clock, landed } = await openHarness({ side: side(), document });
    const publish = publisher(upstream);
    publish('one');
    expect(await (await get('/a')).text()).toBe('one');
    publish('two');
    clock.advance(2000);
    expect(await (await get('/a')).text()).toBe('one');
    await landed();
    expect(await (await get('/a')).text()).toBe('two');
  });

  it('is not found where nothing is said of it, and fails where it leads to another one', async () => {
    const { get, ask, upstream } = await openHarness({ side: side() });
    upstream.serve('/list', { body: `a ${sha256('one')}` });
    expect((await get('/b')).status).toBe(404);
    expect((await get('/loop')).status).toBe(500);
    expect((await ask('DELETE', '/a')).status).toBe(405);
  });

  it('keeps bytes from clients that are not what was said', async () => {
    const { get, upstream, entries } = await openHarness({ side: side() });
    upstream.serve('/list', { body: `a ${sha256('one')}` });
    upstream.serve('/files/a', { body: 'two' });
    expect((await get('/a')).status).toBe(502);
    expect(await entries.find('test', `bytes/${sha256('one')}`)).toBeUndefined();
  });

  it('is refused by policy under the name of what it leads to', async () => {
    const rule = {
      id: 'no-a',
      action: 'deny',
      reason: 'a',
      matches: ({ coordinates }) => coordinates.name === 'a',
    } as const satisfies FixedRule;
    const { get, upstream } = await openHarness({ side: side(), policy: new FixedPolicy([rule]) });
    upstream.serve('/list', { body: `a ${sha256('one')}\nb ${sha256('two')}` });
    upstream.serve('/files/a', { body: 'one' });
    upstream.serve('/files/b', { body: 'two' });
    expect((await get('/a')).status).toBe(403);
    expect(upstream.requests.map(({ path }) => path)).toEqual(['/list']);
    expect((await get('/b')).status).toBe(200);
  });

  it('needs the rights that its target needs', async () => {
    const asked: AccessNeed[] = [];
    const caller: Caller = { name: 'reader', may: (need) => asked.push(need) > 0 };
    const access: Access = {
      knowsCallers: true,
      isOpen: () => false,
      authenticate: async () => caller,
      challenge: () => 'Basic',
    };
    const { get, upstream } = await openHarness({ side: side(), definition: { access } });
    upstream.serve('/list', { body: `a ${sha256('one')}` });
    upstream.serve('/files/a', { body: 'one' });
    expect((await get('/a')).status).toBe(200);
    expect(asked.length).toBe(2);
  });
});

describe('a path whose bytes no upstream has', () => {
  const missing: string[] = [];
  const renewing = withClasses(
    {
      list: documentClass({
        about: 'sums by name',
        cache: { freshFor: 60_000 },
        async parse(content: Content): Promise<Sums> {
          const [name = '', sum = ''] = Buffer.from(await content.bytes(1000))
            .toString()
            .split(' ');
          return { weight: 1, sums: new Map([[name, sum]]) };
        },
      }),
      bytes: artifactClass({ about: 'bytes by their sum' }),
      name: aliasClass({
        about: 'bytes by their name',
        resolve: async (_resource, context) => bytesOf((await context.document<Sums>(LIST)).document),
        async resolveMissing(_resource, { key }, context) {
          missing.push(key);
          return bytesOf((await context.renew<Sums>(LIST)).document);
        },
        replyHeaders: ({ key }) => ({ 'X-Name': key }),
        storedKeys: async ({ key }, context) => {
          const { document } = await context.document<Sums>(LIST);
          return [LIST.key, `bytes/${document.sums.get(key)}`];
        },
      }),
    },
    { route: ({ segments }) => ({ class: 'name', key: segments.join('/') }) },
  );
  const bytesOf = ({ sums }: Sums): Resource | undefined => {
    const integrity = parseHex('sha256', sums.get('a') ?? '');
    return integrity && { class: 'bytes', key: `bytes/${integrity.hex}`, path: 'files/a', integrity: [integrity] };
  };

  it('is resolved once more, by documents that are asked for anew', async () => {
    const { get, upstream, clock } = await openHarness({ side: renewing });
    const publish = publisher(upstream);
    publish('one');
    const first = await get('/a');
    expect([await first.text(), first.headers['X-Name']]).toEqual(['one', 'a']);
    publish('two');
    // The list is fresh: it stands for what was.
    expect(await (await get('/a')).text()).toBe('one');
    missing.length = 0;
    upstream.serve('/list', { body: `a ${sha256('three')}` });
    upstream.remove('/files/a');
    clock.advance(61_000);
    expect((await get('/a')).status).toBe(404);
    expect(missing).toEqual([`bytes/${sha256('three')}`]);
    publish('four');
    const found = await get('/a');
    expect([await found.text(), found.headers['X-Name']]).toEqual(['four', 'a']);
  });

  it('has the keys that its class names, as far as documents are cached', async () => {
    const { get, upstream, repository } = await openHarness({ side: renewing });
    const at = { rawPath: '/a', rawQuery: '' };
    await expect(repository.keysAt(at)).rejects.toThrow('list is not kept');
    publisher(upstream)('one');
    await get('/a');
    upstream.requests.length = 0;
    expect(await repository.keysAt(at)).toEqual({ repository: 'test', keys: ['list', `bytes/${sha256('one')}`] });
    expect(upstream.requests).toEqual([]);
  });

  it('has the key of what it stands for, where its class names none', async () => {
    const { get, upstream, repository } = await openHarness({ side: side() });
    const at = { rawPath: '/a', rawQuery: '' };
    expect(await repository.keysAt(at)).toEqual({ repository: 'test', keys: [] });
    publisher(upstream)('one');
    await get('/a');
    expect(await repository.keysAt(at)).toEqual({ repository: 'test', keys: [`bytes/${sha256('one')}`] });
  });
});

describe('the roots of a repository', () => {
  const rooted = withClasses({
    list: documentClass({ about: 'a list', cache: { freshFor: 60_000 } }),
  });
  const active = (name: string, date?: number): Root => ({ name, state: 'active', date });

  it('are listed, refreshed and held by the hooks of the plugin', async () => {
    const roots = {
      list: async () => [active('one')],
      async refresh(name: string, context: ResolveContext): Promise<Root> {
        const { digest } = await context.renew(LIST);
        return { ...active(name, context.now), generation: digest };
      },
      heldKeys: async (context: ResolveContext) => new Set(await context.keys('lists/')),
    };
    const { repository, upstream, clock } = await openHarness({ side: { ...rooted, roots } });
    upstream.serve('/list', { body: 'one' });
    expect(await repository.roots?.list()).toEqual([active('one')]);
    const refreshed = await repository.roots?.refresh('one');
    expect(refreshed).toEqual({ ...active('one', clock.now()), generation: `sha256:${sha256('one')}` });
    upstream.serve('/list', { body: 'two' });
    expect((await repository.roots?.refresh('one'))?.generation).toBe(`sha256:${sha256('two')}`);
    expect(await repository.roots?.heldKeys()).toEqual(new Set());
    await upstream.goOffline();
    await expect(repository.roots?.refresh('one')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });

  it('are as another process has left them', async () => {
    const roots = {
      list: async (context: ResolveContext) => {
        const { digest } = await context.document(LIST);
        return [{ ...active('one'), generation: digest }];
      },
      refresh: async (name: string, context: ResolveContext) => {
        await context.renew(LIST);
        return active(name);
      },
      heldKeys: async (context: ResolveContext) => new Set(await context.keys('lists/')),
    };
    const one = await openHarness({ side: { ...rooted, roots } });
    const { upstream, blobs, entries } = one;
    const definition = { upstreams: [{ url: upstream.url }] };
    const two = await openHarness({ side: { ...rooted, roots }, definition, shared: { blobs, entries } });
    upstream.serve('/list', { body: 'one' });
    const listed = async () => (await two.repository.roots?.list())?.[0]?.generation;
    await one.repository.roots?.refresh('one');
    expect([await listed(), await two.repository.roots?.heldKeys()]).toEqual([`sha256:${sha256('one')}`, new Set()]);
    upstream.serve('/list', { body: 'two' });
    await one.repository.roots?.refresh('one');
    const entry = await entries.find('test', 'list');
    await one.storage.entries.replace({ ...(entry as Entry), key: 'lists/two' });
    upstream.requests.length = 0;
    expect([await listed(), await two.repository.roots?.heldKeys()]).toEqual([
      `sha256:${sha256('two')}`,
      new Set(['lists/two']),
    ]);
    expect(upstream.requests).toEqual([]);
  });

  it('are none where the format has none', async () => {
    const { repository } = await openHarness({ side: rooted });
    expect(repository.roots).toBeUndefined();
  });
});
