import { describe, expect, it } from 'vitest';
import { EntrepotError, silentLogger, type Parsed, type RenderRequest } from '../../src/index.js';
import { KeptKeysCache } from '../../src/engine/store/kept-keys.js';
import { Gate, ManualClock, MemoryEntryIndex } from '../../src/testing/index.js';
import { markingOnlyKept, openHarness, withFacts, type Harness } from './harness.js';

/** `/text/NAME` tells of what is kept below `files/NAME/`, too. */
const side = withFacts(
  {
    cache: {
      listsBelow: ({ key }) => `files/${key.slice('text/'.length)}/`,
      cachedOnly: ({ attributes }) => attributes?.['onlyKept'] === true,
    },
    reply: {
      async *render(_document: Parsed, { content, cachedKeys }: RenderRequest) {
        const own = Buffer.from(await content.bytes(1000)).toString();
        if (own === '' && cachedKeys.every((key) => key.endsWith('.draft'))) {
          throw new EntrepotError('not-found', 'only drafts');
        }
        yield [own, ...cachedKeys].filter(Boolean).join(' ');
      },
    },
  },
  ['text'],
  markingOnlyKept,
);

/** Counts the queries for keys. */
function countLists({ entries }: Pick<Harness, 'entries'>): () => number {
  let count = 0;
  const list = entries.list.bind(entries);
  entries.list = async (...given) => {
    count += 1;
    return await list(...given);
  };
  return () => count;
}

async function openServing(path: string, body = 'own'): Promise<Harness> {
  const harness = await openHarness({ side });
  harness.upstream.serve(path, { body, mediaType: 'text/plain' });
  for (const name of ['1', '2', '3.draft']) harness.upstream.serve(`/files/a/${name}`, { body: name });
  return harness;
}

describe('a document that tells of what is kept', () => {
  it('has a new key at once, and asks for keys only when there is one', async () => {
    const harness = await openServing('/text/a');
    const { get } = harness;
    const queries = countLists(harness);
    const read = async (): Promise<string> => await (await get('/text/a')).text();
    for (let asked = 0; asked < 5; asked += 1) expect(await read()).toBe('own');
    expect(queries()).toBe(1);
    await (await get('/files/a/2')).bytes();
    for (let asked = 0; asked < 5; asked += 1) expect(await read()).toBe('own files/a/2');
    await (await get('/files/a/1')).bytes();
    expect(await read()).toBe('own files/a/1 files/a/2');
    expect(queries()).toBe(3);
    harness.upstream.serve('/files/b/1', { body: 'elsewhere' });
    await (await get('/files/b/1')).bytes();
    await read();
    expect(queries()).toBe(3);
  });

  it('has the keys of another replica within a minute', async () => {
    const harness = await openServing('/text/a');
    const other = await openHarness({ side, shared: harness, document: { freshFor: Infinity } });
    other.upstream.serve('/text/a', { body: 'own', mediaType: 'text/plain' });
    expect(await (await other.get('/text/a')).text()).toBe('own');
    await (await harness.get('/files/a/1')).bytes();
    other.clock.advance(60_000);
    expect(await (await other.get('/text/a')).text()).toBe('own files/a/1');
  });

  it.each([404, 500])('is made of the keys alone where the upstream says %d and none was kept', async (status) => {
    const { upstream, get } = await openServing('/text/other');
    upstream.serve('/text/a', { status });
    const refused = status === 404 ? 404 : 502;
    expect((await get('/text/a')).status).toBe(refused);
    await (await get('/files/a/3.draft')).bytes();
    expect((await get('/text/a')).status).toBe(refused);
    expect((await get('/text/a', { 'only-kept': '1' })).status).toBe(404);
    await (await get('/files/a/1')).bytes();
    for (const headers of [{}, { 'only-kept': '1' }]) {
      const made = await get('/text/a', headers);
      expect([made.status, made.outcome.name]).toEqual([200, 'stale']);
      expect(await made.text()).toBe('files/a/1 files/a/3.draft');
    }
  });

  it('has its copy and the keys while the upstream is down', async () => {
    const { upstream, get, clock } = await openServing('/text/a');
    await (await get('/text/a')).text();
    await (await get('/files/a/1')).bytes();
    clock.advance(3_600_000);
    upstream.serve('/text/a', { status: 503 });
    expect(await (await get('/text/a')).text()).toBe('own files/a/1');
  });
});

describe('the cache of keys', () => {
  const entry = { digest: `sha256:${'0'.repeat(64)}`, size: 0, mediaType: 'a/b', headers: {}, fetchedAt: 0 } as const;

  it('does not remember what it read before a key was put', async () => {
    const index = new MemoryEntryIndex();
    const gate = new Gate();
    const list = index.list.bind(index);
    index.list = async (...given) => {
      const page = await list(...given);
      await gate.pass();
      return page;
    };
    const cache = new KeptKeysCache(index, 100, new ManualClock(), silentLogger);
    const before = cache.find('r', 'a/');
    await gate.reached;
    await index.putIfAbsent([{ ...entry, repository: 'r', key: 'a/1', checkedAt: 0, integrity: [] }]);
    cache.changed('r', 'a/1');
    gate.open();
    expect((await before).keys).toEqual([]);
    expect(cache.peek('r', 'a/')).toBeUndefined();
    expect((await cache.find('r', 'a/')).keys).toEqual(['a/1']);
    expect(cache.peek('r', 'a/')?.keys).toEqual(['a/1']);
    expect(cache.peek('other', 'a/')).toBeUndefined();
  });

  it('reads more than one page', async () => {
    const index = new MemoryEntryIndex();
    const keys = Array.from({ length: 2500 }, (_, at) => `a/${String(at).padStart(4, '0')}`);
    await index.putIfAbsent(keys.map((key) => ({ ...entry, repository: 'r', key, checkedAt: 0, integrity: [] })));
    const cache = new KeptKeysCache(index, 100, new ManualClock(), silentLogger);
    const found = await cache.find('r', 'a/');
    expect(found.keys).toEqual(keys);
    // More than it may hold: read again each time.
    expect(cache.peek('r', 'a/')).toBeUndefined();
    expect((await cache.find('r', 'a/')).mark).toBe(found.mark);
  });
});
