import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Digest } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { SqlBlobInventory } from '../../src/drivers/sql/blob-inventory.js';
import { digestOfBytes, entryOf, HOUR, openSpace } from './support.js';

describe('the collector', () => {
  it('deletes what no entry points at, an hour after it found that out', async () => {
    const { space, storage, clock, put, files } = await openSpace();
    const old = await put('proxy', 'document', 'first');
    const kept = await put('proxy', 'document', 'second');
    await put('hosted', 'gone', 'upload');
    await storage.entries.change({ repository: 'hosted', expect: [], put: [], remove: ['gone'] });
    const first = await space.collect();
    expect(first).toMatchObject({ looked: 3, condemned: { blobs: 2, bytes: 11 }, deleted: { blobs: 0 } });
    expect((await files()).length).toBe(3);
    clock.advance(HOUR);
    expect(await space.collect()).toMatchObject({
      looked: 3,
      condemned: { blobs: 0 },
      deleted: { blobs: 2, bytes: 11 },
    });
    expect(await files()).toEqual([kept.digest]);
    expect(await storage.blobs.read(old.digest, old.size)).toBeUndefined();
    expect(Object.fromEntries(await space.usage.usage())).toEqual({
      '': { bytes: 6, amount: 1 },
      '-': { bytes: 6, amount: 1 },
      hosted: { bytes: 0, amount: 0 },
      proxy: { bytes: 6, amount: 1 },
    });
  });

  it('changes nothing in a dry run, and says the same', async () => {
    const { space, put, files } = await openSpace();
    await put('proxy', 'a', 'one');
    await put('proxy', 'a', 'two');
    const dry = await space.collect({ dryRun: true });
    expect(dry.condemned).toEqual({ blobs: 1, bytes: 3 });
    expect((await space.collect()).condemned).toEqual(dry.condemned);
    expect((await files()).length).toBe(2);
  });

  it('removes uploads that were left unfinished a day ago, unless their blob is held', async () => {
    const { space, storage, clock, blobs } = await openSpace();
    const removed: string[] = [];
    const begun = clock.now();
    const upload = (name: string, startedAt: number, more = {}) => ({
      startedAt,
      remove: async () => void removed.push(name),
      ...more,
    });
    const held = digestOfBytes(Buffer.from('held'));
    Object.assign(blobs, {
      async *unfinished() {
        yield upload('left', begun, { digest: digestOfBytes(Buffer.from('left')) });
        yield upload('other', begun);
        yield upload('held', begun, { digest: held });
        yield upload('young', begun + 25 * HOUR);
      },
    });
    expect(await space.collect()).toMatchObject({ unfinished: 0 });
    clock.advance(24 * HOUR);
    await storage.blobs.put('hosted', { digest: held, size: 4 }, { open: () => Readable.from([Buffer.from('held')]) });
    expect(await space.collect({ dryRun: true })).toMatchObject({ unfinished: 2 });
    expect(removed).toEqual([]);
    expect(await space.collect()).toMatchObject({ unfinished: 2 });
    expect(removed).toEqual(['left', 'other']);
  });

  it('says why uploads that were left could not be removed, and collects all the same', async () => {
    const { space, blobs, put } = await openSpace();
    await put('proxy', 'a', 'one');
    await put('proxy', 'a', 'two');
    Object.assign(blobs, {
      unfinished: () => Readable.from([]).destroy(new Error('AccessDenied')),
    });
    expect(await space.collect()).toMatchObject({
      condemned: { blobs: 1 },
      unfinished: 0,
      unfinishedLeft: 'uploads that were left unfinished could not be removed: AccessDenied',
    });
  });

  it('lets a condemned blob live that is put or named again', async () => {
    const { space, clock, put, files } = await openSpace();
    const first = await put('proxy', 'a', 'one');
    await put('proxy', 'a', 'two');
    await space.collect();
    await put('proxy', 'b', 'one');
    clock.advance(2 * HOUR);
    expect(await space.collect()).toMatchObject({ deleted: { blobs: 0 } });
    expect(await files()).toContain(first.digest);
  });

  it('leaves alone what is held although it was condemned', async () => {
    const { space, storage, clock, put, files } = await openSpace();
    await put('proxy', 'a', 'one');
    await put('proxy', 'a', 'two');
    await space.collect();
    clock.advance(2 * HOUR);
    const bytes = Buffer.from('one');
    const entry = entryOf('hosted', 'again', bytes);
    await storage.blobs.put('hosted', entry, { open: () => Readable.from([bytes]), bytes });
    expect(await space.collect()).toMatchObject({ deleted: { blobs: 0 }, condemned: { blobs: 0 } });
    await storage.entries.change({ repository: 'hosted', expect: [], put: [entry], remove: [] });
    expect(await files()).toContain(digestOfBytes(bytes));
  });

  it('deletes what was put and never named, when its hold has ended', async () => {
    const { space, storage, clock, files } = await openSpace();
    const bytes = Buffer.from('abandoned');
    await storage.blobs.put('proxy', entryOf('proxy', 'a', bytes), { open: () => Readable.from([bytes]), bytes });
    expect(await space.collect()).toMatchObject({ condemned: { blobs: 0 } });
    clock.advance(HOUR);
    expect(await space.collect()).toMatchObject({ condemned: { blobs: 1 } });
    clock.advance(HOUR);
    await space.collect();
    expect(await files()).toEqual([]);
  });

  it('goes on with a deletion that nobody ends, and refuses to name what is being deleted', async () => {
    const { space, database, storage, clock, put, files } = await openSpace();
    const entry = await put('proxy', 'a', 'one');
    await storage.entries.remove('proxy', 'a');
    await database.updateTable('blobs').set({ state: 'deleting', since: clock.now() }).execute();
    const naming = storage.entries.replace(entry);
    const settling = new AbortController();
    const settled = (): void => settling.abort();
    naming.then(settled, settled);
    while (!settling.signal.aborted) {
      clock.advance(1_000);
      await new Promise(setImmediate);
    }
    await expect(naming).rejects.toMatchObject({ code: 'BLOB_BEING_DELETED', status: 503 });
    clock.advance(HOUR);
    expect(await space.collect()).toMatchObject({ deleted: { blobs: 1 } });
    expect(await files()).toEqual([]);
  });

  it('refuses an entry of a blob that is gone', async () => {
    const { space, storage, clock, put } = await openSpace();
    const entry = await put('proxy', 'a', 'one');
    await storage.entries.remove('proxy', 'a');
    await space.collect();
    clock.advance(HOUR);
    await space.collect();
    await expect(storage.entries.replace(entry)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    expect(await storage.entries.find('proxy', 'a')).toBeUndefined();
  });

  it('finds blobs without a row, and deletes them after a day', async () => {
    const { space, blobs, clock, put, files } = await openSpace();
    for (let index = 0; index < 9; index += 1) await put('proxy', `${index}`, `kept ${index}`);
    const bytes = randomBytes(100);
    const digest = digestOfBytes(bytes);
    await blobs.put(digest, bytes.length, { open: () => Readable.from([bytes]), bytes });
    expect(await space.collect()).toMatchObject({ found: 1, condemned: { blobs: 0 } });
    clock.advance(25 * HOUR);
    expect(await space.collect()).toMatchObject({ found: 0, condemned: { blobs: 1, bytes: 100 } });
    clock.advance(HOUR);
    await space.collect();
    expect(await files()).not.toContain(digest);
  });

  it('gives no row to a blob that was deleted while the store was listed', async () => {
    const { blobs, database, put } = await openSpace();
    const gone = digestOfBytes(Buffer.from('gone'));
    const store = {
      stat: (digest: Digest) => blobs.stat(digest),
      async *list() {
        yield { digest: gone, size: 4 };
        yield* blobs.list();
      },
    };
    const { digest } = await put('proxy', 'a', 'kept');
    await database.deleteFrom('entries').execute();
    await database.deleteFrom('blobs').execute();
    const inventory = new SqlBlobInventory(database, store);
    expect(await inventory.reconcile(0, false)).toBe(1);
    expect(await database.selectFrom('blobs').select('digest').execute()).toEqual([{ digest }]);
  });

  it('deletes nothing for having no row where that is more than a fifth of all', async () => {
    const { space, blobs, clock, put } = await openSpace();
    await put('proxy', 'a', 'kept');
    const bytes = randomBytes(100);
    await blobs.put(digestOfBytes(bytes), bytes.length, { open: () => Readable.from([bytes]), bytes });
    await space.collect();
    clock.advance(25 * HOUR);
    const report = await space.collect();
    expect(report.left).toMatch(/^1 of 2 blobs had no row/);
    expect(report.condemned.blobs).toBe(0);
    expect((await space.collect({ force: true })).condemned.blobs).toBe(1);
  });

  it('lives with a clock that jumps', async () => {
    const { space, storage, clock, put, files } = await openSpace();
    const year = 365 * 24 * HOUR;
    const start = clock.now();
    const bytes = Buffer.from('in flight');
    const entry = entryOf('hosted', 'in flight', bytes);
    await storage.blobs.put('hosted', entry, { open: () => Readable.from([bytes]), bytes });
    // Ahead: the hold seems to have ended long ago.
    clock.set(start + year);
    expect(await space.collect()).toMatchObject({ condemned: { blobs: 1 }, deleted: { blobs: 0 } });
    await storage.entries.change({ repository: 'hosted', expect: [], put: [entry], remove: [] });
    await put('hosted', 'held', 'held by a clock that is ahead');
    await storage.entries.change({ repository: 'hosted', expect: [], put: [], remove: ['held'] });
    await space.collect();
    // And right again: what was noted meanwhile lies in the future.
    clock.set(start);
    await space.collect();
    clock.advance(HOUR);
    expect(await space.collect()).toMatchObject({ deleted: { blobs: 1 } });
    expect(await files()).toEqual([entry.digest]);
  });
});
