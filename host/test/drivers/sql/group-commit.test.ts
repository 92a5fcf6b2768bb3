import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '@entrepot/core';
import { digestOf } from '@entrepot/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqlEntryIndex } from '../../../src/drivers/sql/entry-index.js';
import { admitBlobs } from './admitting-index.js';
import { openHeld } from './held-log.js';
import { GroupCommit } from '../../../src/drivers/sql/group-commit.js';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';

let root: string;
let path: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'entrepot-group-'));
  path = join(root, 'entrepot.db');
  const database = await openSqlite({ path, durability: 'strict' });
  await admitBlobs(database, [entry('any')]);
  await database.destroy();
});
afterEach(() => rm(root, { recursive: true, force: true }));

function entry(key: string): Entry {
  return {
    repository: 'files',
    key,
    digest: digestOf('one for all'),
    size: 1,
    mediaType: 'text/plain',
    headers: {},
    fetchedAt: 1,
    checkedAt: 1,
    integrity: [],
  };
}

describe('entries that are put at once', () => {
  it('share a transaction and a sync of the log, and settle after it', async () => {
    const { database, log } = openHeld(path);
    const index = new SqlEntryIndex(database);
    const settled: string[] = [];
    const put = (key: string): Promise<void> => index.putIfAbsent([entry(key)]).then(() => void settled.push(key));
    const first = put('first');
    await log.gate.reached;
    const others = Array.from({ length: 20 }, (_, n) => put(`${n}`));
    const seen = index.find('files', 'first').then(() => void settled.push('found'));
    // Long enough for any of them that does not wait for the disk.
    for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
    expect(settled).toEqual([]);
    log.gate.open();
    await Promise.all([first, seen, ...others]);
    expect(settled).toHaveLength(22);
    expect(settled[0]).toBe('first');
    expect(log.syncs).toBe(2);
    await index.dispose();
  });

  it('are there for another process when they have settled', async () => {
    const { database, log } = openHeld(path);
    const index = new SqlEntryIndex(database);
    log.gate.open();
    const keys = Array.from({ length: 50 }, (_, n) => `${n}`);
    await Promise.all(keys.map((key) => index.putIfAbsent([entry(key)])));
    const other = new SqlEntryIndex(await openSqlite({ path, durability: 'strict' }));
    for (const key of keys) expect(await other.find('files', key)).toEqual(entry(key));
    await other.dispose();
    await index.dispose();
  });

  it('fail for themselves alone', async () => {
    const { database, log } = openHeld(path);
    const index = new SqlEntryIndex(database);
    log.gate.open();
    const keys = Array.from({ length: 10 }, (_, n) => `${n}`);
    const bad = entry('a key with \0');
    const results = await Promise.allSettled([
      index.putIfAbsent([entry('first')]),
      ...keys.map((key) => index.putIfAbsent([entry(key)])),
      index.putIfAbsent([entry('beside the bad one'), bad]),
      index.replace(bad),
      index.replace(entry('replaced')),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 11 }, () => 'fulfilled'),
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    for (const key of ['first', ...keys, 'replaced']) expect(await index.find('files', key)).toEqual(entry(key));
    expect(await index.find('files', 'beside the bad one')).toBeUndefined();
    await index.dispose();
  });
});

describe('GroupCommit', () => {
  it('commits no more than the bound at once, in their order', async () => {
    const groups: (readonly number[])[] = [];
    const commits = new GroupCommit<number, number>(3, async (members) => {
      groups.push(members);
      await new Promise(setImmediate);
      return members.map((member) => member * 10);
    });
    expect(await Promise.all([1, 2, 3, 4, 5, 6].map((member) => commits.add(member)))).toEqual([
      10, 20, 30, 40, 50, 60,
    ]);
    expect(groups).toEqual([[1], [2, 3, 4], [5, 6]]);
  });

  it('goes on after a group that failed', async () => {
    const commits = new GroupCommit<string, string>(10, async (members) => {
      if (members.includes('bad')) throw new Error(`refused with ${members.length}`);
      return members;
    });
    const results = await Promise.allSettled(['a', 'b', 'bad', 'c'].map((member) => commits.add(member)));
    expect(results.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)))).toEqual([
      'a',
      'b',
      'Error: refused with 1',
      'c',
    ]);
    expect(await commits.add('d')).toBe('d');
  });
});
