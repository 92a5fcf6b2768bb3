import { describe, expect, it, onTestFinished } from 'vitest';
import type { Digest, Entry, EntryIndex } from '../../src/index.js';
import { silentLogger } from '../../src/index.js';
import { BlobHolds, NO_CATALOGUE } from '../../src/engine/store/blob-holds.js';
import { EntryCache } from '../../src/engine/store/entry-cache.js';
import { digestOf, ManualClock, MemoryBlobStore, MemoryEntryIndex } from '../../src/testing/index.js';

function holds(): BlobHolds {
  return new BlobHolds(NO_CATALOGUE, new MemoryBlobStore(), new ManualClock());
}

function entryOf(key: string, text: string, repository = 'hosted'): Entry {
  return {
    repository,
    key,
    digest: digestOf(text),
    size: text.length,
    mediaType: 'text/plain',
    headers: {},
    fetchedAt: 0,
    checkedAt: 0,
    integrity: [],
  };
}

const put = (entry: Entry, expected?: Digest | 'absent') => ({
  repository: entry.repository,
  expect: expected === undefined ? [] : [{ key: entry.key, digest: expected === 'absent' ? undefined : expected }],
  put: [entry],
  remove: [],
});

/** Two replicas on one index, and how often the first one asked it. */
function open() {
  const index = new MemoryEntryIndex();
  const clock = new ManualClock();
  const asked: string[] = [];
  let tell: Parameters<NonNullable<EntryIndex['watch']>>[0] = () => {};
  const watch: EntryIndex['watch'] = (changed) => {
    tell = changed;
    return () => {};
  };
  const counted = new Proxy<EntryIndex>(index, {
    get(target, name: keyof EntryIndex) {
      if (name === 'watch') return watch;
      const method = target[name] as (...given: unknown[]) => unknown;
      return (...given: unknown[]) => {
        asked.push(name);
        return method.apply(target, given);
      };
    },
  });
  const mine = new EntryCache(counted, holds(), 100, clock, silentLogger);
  const other = new EntryCache(index, holds(), 100, clock, silentLogger);
  onTestFinished(async () => {
    await mine.dispose();
    await other.dispose();
  });
  return { index, clock, asked, mine, other, tell: (...told: Parameters<typeof tell>) => tell(...told) };
}

describe('the memory of a hosted repository', () => {
  it('shows its own changes at once, without asking the index', async () => {
    const { mine, asked } = open();
    await mine.change(put(entryOf('a', 'one')));
    expect(mine.peek('hosted', 'a')?.digest).toBe(digestOf('one'));
    await mine.revision('hosted');
    await mine.change({ repository: 'hosted', expect: [], put: [entryOf('b', 'two')], remove: ['a'] });
    expect(mine.peek('hosted', 'a')).toBeUndefined();
    expect(mine.peek('hosted', 'b')?.digest).toBe(digestOf('two'));
    expect(mine.revision('hosted')).toBe(2);
    expect(asked).toEqual(['change', 'revision', 'change']);
  });

  it('asks for the revision once a second, and for nothing else on a hit', async () => {
    const { mine, asked, clock } = open();
    await mine.change(put(entryOf('a', 'one')));
    await mine.revision('hosted');
    asked.length = 0;
    for (let elapsed = 0; elapsed < 3000; elapsed += 100) {
      await mine.revision('hosted');
      expect((await mine.find('hosted', 'a'))?.digest).toBe(digestOf('one'));
      clock.advance(100);
    }
    expect(asked).toEqual(['revision', 'revision']);
  });

  it('shows what another replica changed after a second', async () => {
    const { mine, other, clock } = open();
    await mine.change(put(entryOf('a', 'one')));
    await mine.change(put(entryOf('gone', 'x')));
    await mine.revision('hosted');
    await other.change({ repository: 'hosted', expect: [], put: [entryOf('a', 'two')], remove: ['gone'] });
    expect(mine.revision('hosted')).toBe(2);
    clock.advance(1000);
    expect(await mine.revision('hosted')).toBe(3);
    expect((await mine.find('hosted', 'a'))?.digest).toBe(digestOf('two'));
    expect(await mine.find('hosted', 'gone')).toBeUndefined();
  });

  it('shows what another replica changed as soon as it is told', async () => {
    const { mine, other, tell, asked } = open();
    await mine.change(put(entryOf('a', 'one')));
    await mine.revision('hosted');
    await other.change(put(entryOf('a', 'two')));
    tell('elsewhere', 7);
    tell('hosted', 1);
    asked.length = 0;
    expect(mine.revision('hosted')).toBe(1);
    expect(asked).toEqual([]);
    tell('hosted', 2);
    expect(await mine.revision('hosted')).toBe(2);
    expect((await mine.find('hosted', 'a'))?.digest).toBe(digestOf('two'));
    expect(mine.revision('hosted')).toBe(2);
    // What was told of may have been missed.
    tell();
    asked.length = 0;
    await mine.revision('hosted');
    await mine.revision('hosted');
    expect(asked).toEqual(['revision']);
  });

  it('asks again when it is told of a change while it asks', async () => {
    const { mine, other, tell, asked } = open();
    await mine.change(put(entryOf('a', 'one')));
    await mine.revision('hosted');
    await other.change(put(entryOf('a', 'two')));
    tell('hosted', 2);
    const reading = mine.revision('hosted');
    tell('hosted', 3);
    await reading;
    asked.length = 0;
    await mine.revision('hosted');
    expect(asked).toEqual(['revision']);
  });

  it('shows at once what another replica did between two changes of its own', async () => {
    const { mine, other } = open();
    await mine.change(put(entryOf('a', 'one')));
    await mine.revision('hosted');
    await other.change(put(entryOf('a', 'two')));
    await mine.change(put(entryOf('b', 'three')));
    expect((await mine.find('hosted', 'a'))?.digest).toBe(digestOf('two'));
    expect((await mine.find('hosted', 'b'))?.digest).toBe(digestOf('three'));
  });

  it('forgets what a refused change shows to be wrong', async () => {
    const { mine, other } = open();
    await mine.change(put(entryOf('a', 'one')));
    await other.change(put(entryOf('a', 'two')));
    expect(await mine.change(put(entryOf('a', 'three'), digestOf('one')))).toBe(false);
    expect((await mine.find('hosted', 'a'))?.digest).toBe(digestOf('two'));
  });

  it('lets other repositories be', async () => {
    const { mine, other, clock, asked } = open();
    await mine.replace(entryOf('a', 'one', 'proxy'));
    await mine.revision('hosted');
    await other.change(put(entryOf('a', 'two')));
    clock.advance(1000);
    await mine.revision('hosted');
    asked.length = 0;
    expect((await mine.find('proxy', 'a'))?.digest).toBe(digestOf('one'));
    expect(asked).toEqual([]);
  });

  it('does not remember what was read before a change and arrives after it', async () => {
    const index = new MemoryEntryIndex();
    await index.replace(entryOf('a', 'one'));
    let arrive = (): void => {};
    const slow = new Proxy<EntryIndex>(index, {
      get: (target, name: keyof EntryIndex) =>
        name === 'find'
          ? async () => {
              const found = await target.find('hosted', 'a');
              await new Promise<void>((resolve) => {
                arrive = resolve;
              });
              return found;
            }
          : (target[name] as ((...given: unknown[]) => unknown) | undefined)?.bind(target),
    });
    const cache = new EntryCache(slow, holds(), 100, new ManualClock(), silentLogger);
    onTestFinished(() => cache.dispose());
    const reading = cache.find('hosted', 'a');
    await cache.change({ repository: 'hosted', expect: [], put: [], remove: ['a'] });
    await Promise.resolve();
    arrive();
    await reading;
    expect(cache.peek('hosted', 'a')).toBeUndefined();
  });

  it('does not remember an older change that is told of later', async () => {
    const index = new MemoryEntryIndex();
    const told: (() => void)[] = [];
    const late = new Proxy<EntryIndex>(index, {
      get: (target, name: keyof EntryIndex) =>
        name === 'change'
          ? async (change: never) => {
              const made = await target.change(change);
              await new Promise<void>((resolve) => told.push(resolve));
              return made;
            }
          : (target[name] as ((...given: unknown[]) => unknown) | undefined)?.bind(target),
    });
    const cache = new EntryCache(late, holds(), 100, new ManualClock(), silentLogger);
    onTestFinished(() => cache.dispose());
    const first = cache.change(put(entryOf('a', 'one')));
    const second = cache.change(put(entryOf('a', 'two')));
    await new Promise((resolve) => setImmediate(resolve));
    told[1]?.();
    await second;
    told[0]?.();
    await first;
    expect((await cache.find('hosted', 'a'))?.digest).toBe(digestOf('two'));
  });

  it('goes on with what it knows while the index is out of reach', async () => {
    const index = new MemoryEntryIndex();
    const clock = new ManualClock();
    const cache = new EntryCache(index, holds(), 100, clock, silentLogger);
    onTestFinished(() => cache.dispose());
    await cache.change(put(entryOf('a', 'one')));
    await cache.revision('hosted');
    index.revision = () => Promise.reject(new Error('down'));
    clock.advance(1000);
    expect(await cache.revision('hosted')).toBe(1);
    expect(cache.revision('hosted')).toBe(1);
    expect(cache.peek('hosted', 'a')?.digest).toBe(digestOf('one'));
    await expect(cache.revision('unknown')).rejects.toThrow('down');
  });
});

describe('what was served', () => {
  function openWatched() {
    const visited: Digest[] = [];
    const accesses: string[] = [];
    const catalogue = { ...NO_CATALOGUE, visited: async (digests: readonly Digest[]) => void visited.push(...digests) };
    const index = new MemoryEntryIndex();
    index.recordAccess = async (batch) => void accesses.push(...batch.map(({ key }) => key));
    const clock = new ManualClock();
    const watched = new BlobHolds(catalogue, new MemoryBlobStore(), clock);
    return { visited, accesses, cache: new EntryCache(index, watched, 100, clock, silentLogger) };
  }

  it('is told to the catalogue, but for the fetch itself', async () => {
    const { visited, accesses, cache } = openWatched();
    cache.accessed(entryOf('fetched', 'one'), false);
    cache.accessed(entryOf('hit', 'two'));
    cache.accessed(entryOf('hit', 'two'));
    await cache.dispose();
    expect(visited).toEqual([digestOf('two')]);
    expect(accesses).toEqual(['fetched', 'hit']);
  });

  it('has its time written once an hour', async () => {
    const { accesses, cache } = openWatched();
    for (let flush = 0; flush < 3; flush += 1) {
      cache.accessed(entryOf('a', 'one'));
      await cache.dispose();
    }
    expect(accesses).toEqual(['a']);
  });

  it('is known at once, to the hour', async () => {
    const { mine, other, clock } = open();
    await mine.change(put(entryOf('a', 'one')));
    await mine.change(put(entryOf('b', 'two')));
    mine.accessed(entryOf('a', 'one'));
    const until = new Map([['a', clock.now() + 3_600_000]]);
    expect(await mine.servedUntil('hosted', ['a', 'b', 'c'])).toEqual(until);
    expect(await other.servedUntil('hosted', ['a', 'b', 'c'])).toEqual(until);
  });

  it('is written later where the index does not answer', async () => {
    const { index, mine, clock } = open();
    await mine.change(put(entryOf('a', 'one')));
    const record = index.recordAccess.bind(index);
    index.recordAccess = () => Promise.reject(new Error('the database is gone'));
    mine.accessed(entryOf('a', 'one'));
    expect(await mine.servedUntil('hosted', ['a'])).toEqual(new Map());
    index.recordAccess = record;
    expect(await mine.servedUntil('hosted', ['a'])).toEqual(new Map([['a', clock.now() + 3_600_000]]));
  });
});

describe('memory that forgets everything', () => {
  it('asks the index again, and remembers nothing that was read before', async () => {
    const { index, mine, asked } = open();
    await mine.replace(entryOf('a/1', 'one', 'proxy'));
    expect((await mine.keys.find('proxy', 'a/')).keys).toEqual(['a/1']);
    // Another process purges it.
    await index.remove('proxy', 'a/1');
    expect(await mine.find('proxy', 'a/1')).toBeDefined();
    mine.forgetAll();
    expect(await mine.find('proxy', 'a/1')).toBeUndefined();
    expect((await mine.keys.find('proxy', 'a/')).keys).toEqual([]);
    await index.replace(entryOf('a/1', 'one', 'proxy'));
    asked.length = 0;
    const finding = mine.find('proxy', 'a/1');
    mine.forgetAll();
    await finding;
    expect(mine.peek('proxy', 'a/1')).toBeUndefined();
    expect(asked).toEqual(['find']);
  });
});
