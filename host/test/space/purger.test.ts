import { randomInt } from 'node:crypto';
import type { Forgotten } from '@entrepot/core/engine';
import { describe, expect, it } from 'vitest';
import type { Purged, PurgeOptions } from '../../src/space/purger.js';
import { keysSelector, parseSelector, type Selector } from '../../src/space/selector.js';
import { openSpace, type Opened } from './support.js';

const OPTIONS: PurgeOptions = { hosted: false, pinned: false, dryRun: false, batchSize: 10 };

async function keysOf({ database }: Opened): Promise<readonly string[]> {
  const rows = await database.selectFrom('entries').select(['repository', 'key']).execute();
  return rows.map(({ repository, key }) => `${repository}/${key}`).sort();
}

/** Purges to the end. */
async function purge({ space }: Opened, selector: Selector, options: PurgeOptions = OPTIONS): Promise<Purged> {
  const { id } = space.purging.begin({ ...options, selector, subject: 'a test' });
  const { entries, blobs, bytes, kept, state } = await space.purging.find(id, 60_000);
  expect(state).toBe('done');
  return { entries, blobs, bytes, kept };
}

const coordinates = (name: string, version?: string) => ({ ecosystem: 'npm', name, version });

describe('a purge', () => {
  it('removes what it names, with its blobs, and says so', async () => {
    const opened = await openSpace();
    const { put, files } = opened;
    await put('proxy', 'a/1', 'one');
    await put('proxy', 'a/2', 'other');
    const kept = await put('proxy', 'b/1', 'third');
    expect(await purge(opened, parseSelector('proxy/a/*'))).toEqual({
      entries: 2,
      blobs: 2,
      bytes: 8,
      kept: [],
    });
    expect(await keysOf(opened)).toEqual(['proxy/b/1']);
    expect(await files()).toEqual([kept.digest]);
    expect(await opened.storage.entries.find('proxy', 'a/1')).toBeUndefined();
    expect(await opened.storage.blobs.confirm(kept.digest, 5)).toBe(true);
  });

  it('tells the same before, and changes nothing then', async () => {
    const opened = await openSpace();
    const { put, space } = opened;
    // Blobs of one entry, of several that all go, and of some that do not.
    for (let number = 0; number < 60; number += 1) await put('proxy', `a/${number}`, `text ${number % 25}`);
    for (let number = 0; number < 5; number += 1) await put('proxy', `b/${number}`, `text ${number}`);
    await put('hosted', 'c', 'text 7');
    await space.pinStore.add({ id: 'one', subject: 'proxy/a/9', madeAt: 0 });
    const before = [await keysOf(opened), await opened.files()];
    for (const subject of ['proxy/a/**', 'proxy/a/1*', 'proxy/a/2?']) {
      const foretold = await purge(opened, parseSelector(subject), { ...OPTIONS, dryRun: true });
      expect([await keysOf(opened), await opened.files()]).toEqual(before);
      expect(foretold.entries).toBeGreaterThan(0);
    }
    const foretold = await purge(opened, parseSelector('proxy/a/**'), { ...OPTIONS, dryRun: true });
    expect(await purge(opened, parseSelector('proxy/a/**'))).toEqual(foretold);
    // 25 texts, without 0 to 4 (b), 7 (hosted) and 9 (pinned).
    expect(foretold).toMatchObject({ entries: 59, blobs: 18, kept: [{ why: 'pinned', count: 1 }] });
  });

  it('takes versions of a package in all repositories', async () => {
    const opened = await openSpace();
    const { put } = opened;
    for (const repository of ['proxy', 'former', 'hosted']) {
      await put(repository, 'document', repository, { coordinates: coordinates('tool') });
      for (const version of ['1.0.0', '2.0.0'])
        await put(repository, version, `${repository} ${version}`, { coordinates: coordinates('tool', version) });
    }
    await put('proxy', 'other', 'other', { coordinates: coordinates('tools', '1.0.0') });
    expect(await purge(opened, parseSelector('pkg:npm/tool@1.0.0'))).toMatchObject({
      entries: 2,
      kept: [{ why: 'hosted', count: 1 }],
    });
    expect(await purge(opened, parseSelector('pkg:npm/tool'), { ...OPTIONS, hosted: true })).toEqual({
      entries: 7,
      blobs: 7,
      bytes: 'proxyformerhosted'.length * 2 + 'hosted'.length + ' 1.0.0'.length * 4,
      kept: [],
    });
    expect(await keysOf(opened)).toEqual(['proxy/other']);
  });

  it('finds the entries of a package of which there are thousands', async () => {
    const opened = await openSpace();
    const { database, put } = opened;
    const { digest } = await put('proxy', 'first', 'text', { coordinates: coordinates('tool', '1') });
    const row = await database.selectFrom('entries').selectAll().executeTakeFirstOrThrow();
    for (let start = 0; start < 2500; start += 100) {
      const rows = Array.from({ length: 100 }, (_, at) => ({
        ...row,
        key: `tool/${start + at}`,
        name: at % 10 ? 'tool' : 'b',
      }));
      await database.insertInto('entries').values(rows).execute();
    }
    expect(await purge(opened, parseSelector('pkg:npm/tool'))).toMatchObject({
      entries: 2251,
      blobs: 0,
      kept: [],
    });
    expect(await purge(opened, parseSelector('pkg:npm/b'))).toMatchObject({ entries: 250, blobs: 1, bytes: 4 });
    expect(await opened.files()).not.toContain(digest);
  });

  it('keeps what is pinned unless it is told otherwise', async () => {
    const opened = await openSpace();
    const { put, space } = opened;
    await put('proxy', 'a', 'a');
    await put('proxy', 'b', 'b', { coordinates: coordinates('b', '1') });
    await put('proxy', 'c', 'c');
    await space.pinStore.add({ id: 'one', subject: 'proxy/a', madeAt: 0 });
    await space.pinStore.add({ id: 'two', subject: 'pkg:npm/b', madeAt: 0 });
    expect(await purge(opened, parseSelector('proxy/**'))).toMatchObject({
      entries: 1,
      kept: [{ why: 'pinned', count: 2 }],
    });
    expect(await keysOf(opened)).toEqual(['proxy/a', 'proxy/b']);
    expect(await purge(opened, parseSelector('proxy/**'), { ...OPTIONS, pinned: true })).toMatchObject({ entries: 2 });
  });

  it('refuses a hosted repository, and keeps its entries elsewhere, unless it is told otherwise', async () => {
    const opened = await openSpace();
    const { put, storage, files } = opened;
    await put('hosted', 'a', 'a');
    await put('hosted', 'b', 'b');
    for (const selector of [parseSelector('hosted/**'), keysSelector('hosted', ['a'])])
      await expect(purge(opened, selector)).rejects.toMatchObject({ code: 'PURGE_OF_HOSTED', status: 409 });
    const before = await storage.entries.revision('hosted');
    expect(await purge(opened, keysSelector('hosted', ['a']), { ...OPTIONS, hosted: true })).toMatchObject({
      entries: 1,
      blobs: 1,
      bytes: 1,
    });
    expect(await keysOf(opened)).toEqual(['hosted/b']);
    expect((await files()).length).toBe(1);
    // Other servers notice changes of hosted repositories by their revision.
    expect(await storage.entries.revision('hosted')).toBe(before + 1);
  });

  it('takes an entry that was replaced while it was read', async () => {
    const opened = await openSpace();
    const { put, space } = opened;
    await put('proxy', 'a', 'before');
    await put('proxy', 'b', 'before');
    const isPinned = space.pins.matcher.bind(space.pins);
    space.pins.matcher = async () => {
      await put('proxy', 'b', 'after');
      return await isPinned();
    };
    expect(await purge(opened, parseSelector('proxy/**'))).toMatchObject({ entries: 2 });
    expect(await keysOf(opened)).toEqual([]);
  });

  it('ends after a batch when it is broken off, and tells what is gone', async () => {
    const opened = await openSpace();
    const { put, space } = opened;
    for (let number = 0; number < 50; number += 1) await put('proxy', `${number}`, `${number}`);
    const isPinned = space.pins.matcher.bind(space.pins);
    let batches = 0;
    space.pins.matcher = async () => {
      batches += 1;
      if (batches === 2) void space.purging.cancel(id);
      return await isPinned();
    };
    const { id } = space.purging.begin({ ...OPTIONS, selector: parseSelector('proxy/**'), subject: 'proxy/**' });
    expect(await space.purging.find(id, 60_000)).toMatchObject({ state: 'cancelled', entries: 20, blobs: 20 });
    expect((await keysOf(opened)).length).toBe(30);
  });

  it('goes on beside others that put and purge', async () => {
    const opened = await openSpace();
    const other = await openSpace({ root: opened.root, clock: opened.clock });
    const puts = async ({ put }: Opened): Promise<void> => {
      for (let number = 0; number < 150; number += 1) await put('proxy', `${randomInt(40)}`, `text ${randomInt(20)}`);
    };
    const purges = async (own: Opened): Promise<void> => {
      for (let number = 0; number < 30; number += 1)
        await purge(own, parseSelector(`proxy/${randomInt(4)}*`), { ...OPTIONS, batchSize: 3 });
    };
    await Promise.all([puts(opened), puts(other), purges(opened), purges(other)]);
    const rows = await opened.database.selectFrom('entries').select('digest').execute();
    const files = new Set(await opened.files());
    for (const { digest } of rows) expect(files).toContain(digest);
    await purge(opened, parseSelector('proxy/**'));
    expect(await keysOf(opened)).toEqual([]);
  });
});

describe('what other processes purge', () => {
  it('is forgotten when they are heard of', async () => {
    const opened = await openSpace();
    const other = await openSpace({ root: opened.root, clock: opened.clock });
    await opened.put('proxy', 'a', 'a');
    const forgotten: unknown[] = [];
    const engine = { forget: async (what?: Forgotten) => void forgotten.push(what) };
    other.space.serve(new Map(), new Map([['proxy', engine]]));
    await other.space.purging.noteChanges({ purges: 0 });
    expect(await other.storage.entries.find('proxy', 'a')).toBeDefined();
    await purge(opened, parseSelector('proxy/a'));
    expect(other.storage.entries.peek('proxy', 'a')).toBeDefined();
    await other.space.purging.noteChanges({ purges: 1 });
    expect(other.storage.entries.peek('proxy', 'a')).toBeUndefined();
    expect(forgotten).toEqual([undefined]);
    await other.space.purging.noteChanges({ purges: 1 });
    expect(forgotten).toEqual([undefined]);
  });

  it('is not mixed up with purges of its own', async () => {
    const opened = await openSpace();
    const { put, space, storage } = opened;
    await space.purging.noteChanges({ purges: 0 });
    await put('proxy', 'a', 'a');
    await put('proxy', 'b', 'b');
    await purge(opened, parseSelector('proxy/a'));
    await space.purging.noteChanges({ purges: 1 });
    expect(storage.entries.peek('proxy', 'b')).toBeDefined();
  });
});
