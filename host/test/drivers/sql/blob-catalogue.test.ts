import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, ManualClock } from '@entrepot/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqlBlobCatalogue } from '../../../src/drivers/sql/blob-catalogue.js';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';
import { openHeld } from './held-log.js';

let root: string;
let path: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'entrepot-catalogue-'));
  path = join(root, 'entrepot.db');
  await (await openSqlite({ path, durability: 'strict' })).destroy();
});
afterEach(() => rm(root, { recursive: true, force: true }));

const blob = (text: string) => ({ digest: digestOf(text), size: text.length });

describe('a hold', () => {
  it('waits for no disk, and neither does its end', async () => {
    const { database, log } = openHeld(path);
    const catalogue = new SqlBlobCatalogue(database, new ManualClock());
    const hold = await catalogue.hold('any', blob('one'));
    catalogue.release(hold);
    await catalogue.flush();
    await catalogue.visited([digestOf('one')]);
    expect(log.syncs).toBe(0);
    log.gate.open();
    await catalogue.damaged(digestOf('one'));
    expect(log.syncs).toBe(1);
    await database.destroy();
  });

  it('of many at once is one of each, and says which blobs are new', async () => {
    const { database } = openHeld(path);
    const catalogue = new SqlBlobCatalogue(database, new ManualClock());
    const texts = Array.from({ length: 250 }, (_, number) => `blob ${number % 50}`);
    const holds = await Promise.all(texts.map((text) => catalogue.hold('any', blob(text))));
    expect(new Set(holds.map(({ id }) => id)).size).toBe(250);
    const again = await catalogue.hold('any', blob('blob 7'));
    expect(again.isNew).toBe(false);
    expect(await database.selectFrom('blobs').selectAll().execute()).toHaveLength(50);
    expect(await database.selectFrom('holds').selectAll().execute()).toHaveLength(251);
    for (const hold of holds) catalogue.release(hold);
    await catalogue.hold('any', blob('another'));
    expect(await database.selectFrom('holds').selectAll().execute()).toHaveLength(2);
    await database.destroy();
  });

  it('lets a blob live that was condemned or damaged', async () => {
    const { database, log } = openHeld(path);
    log.gate.open();
    const catalogue = new SqlBlobCatalogue(database, new ManualClock());
    await catalogue.hold('any', blob('one'));
    for (const state of ['condemned', 'damaged', 'found'] as const) {
      await database.updateTable('blobs').set({ state }).execute();
      expect(await catalogue.hold('any', blob('one'))).toMatchObject({ isNew: false });
      expect(await database.selectFrom('blobs').select('state').execute()).toEqual([{ state: 'live' }]);
    }
    await database.destroy();
  });

  it('that has ended is removed later where the database failed meanwhile', async () => {
    const { database } = openHeld(path);
    const catalogue = new SqlBlobCatalogue(database, new ManualClock());
    catalogue.release(await catalogue.hold('any', blob('one')));
    await database.schema.alterTable('holds').renameTo('away').execute();
    await expect(catalogue.flush()).rejects.toThrow('no such table: holds');
    await database.schema.alterTable('away').renameTo('holds').execute();
    await catalogue.flush();
    expect(await database.selectFrom('holds').selectAll().execute()).toEqual([]);
    await database.destroy();
  });
});
