import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Digest } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { SqlBlobCatalogue } from '../../../src/drivers/sql/blob-catalogue.js';
import { SqlEntryIndex } from '../../../src/drivers/sql/entry-index.js';
import { openPostgres } from '../../../src/drivers/sql/postgres.js';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';
import { SqlVerificationStore } from '../../../src/drivers/sql/verification-store.js';
import { entryOf } from '../../space/support.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from './postgres-server.js';

const programs = postgresPrograms();
if (programs === undefined) console.log(POSTGRES_MISSING);

let starting: Promise<PostgresServer> | undefined;
afterAll(async () => await (await starting)?.stop());

async function inSqlite() {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-verification-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return await openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
}

async function inPostgres() {
  const server = await (starting ??= PostgresServer.start(programs as string));
  return await openPostgres({ url: await server.database(), maxConnections: 4, logger: silentLogger });
}

describe.each([
  ['SQLite', inSqlite, true],
  ['PostgreSQL', inPostgres, programs !== undefined],
])('the state of the verification in %s', (_, open, isHere) => {
  async function filled() {
    const database = await open();
    const entries = new SqlEntryIndex(database);
    onTestFinished(() => entries.dispose());
    const clock = new ManualClock();
    const catalogue = new SqlBlobCatalogue(database, clock);
    const put = async (repository: string, key: string, text: string): Promise<Digest> => {
      const entry = entryOf(repository, key, Buffer.from(text), { storedBy: 'ann', fetchedAt: clock.now() });
      const hold = await catalogue.hold(repository, entry);
      await entries.replace(entry);
      catalogue.release(hold);
      await catalogue.flush();
      return entry.digest;
    };
    return { catalogue, clock, database, entries, put, store: new SqlVerificationStore(database) };
  }

  it.skipIf(!isHere)('lists blobs in pages, and those apart that are lost', async () => {
    const { catalogue, clock, database, put, store } = await filled();
    const digests = await Promise.all([1, 2, 3, 4, 5].map((number) => put('hosted', `${number}`, `text ${number}`)));
    const [lost, ...others] = digests as [Digest, ...Digest[]];
    await put('proxy', 'same', 'text 1');
    await catalogue.damaged(lost);
    const [condemned, ...right] = others.sort();
    await database
      .updateTable('blobs')
      .set({ state: 'condemned' })
      .where('digest', '=', condemned as string)
      .execute();
    const first = await store.page('', 2);
    expect(first).toEqual(right.slice(0, 2).map((digest) => ({ digest, size: 6 })));
    expect(await store.page(first[1]?.digest as string, 2)).toEqual([{ digest: right[2], size: 6 }]);
    expect(await store.lost('', 10)).toEqual([{ digest: lost, size: 6 }]);
    expect(await store.lost(lost, 10)).toEqual([]);
    expect(await store.lostEntries()).toEqual(
      expect.arrayContaining([
        { repository: 'hosted', entries: 1 },
        { repository: 'proxy', entries: 1 },
      ]),
    );
    const pointing = await store.entriesOf(lost, 10);
    expect(pointing.map(({ repository, key, storedBy }) => [repository, key, storedBy])).toEqual([
      ['hosted', '1', 'ann'],
      ['proxy', 'same', 'ann'],
    ]);
    expect((await store.entriesOf(lost, 1)).length).toBe(1);
    await store.found(lost, clock.now());
    await store.found(condemned as Digest, clock.now());
    expect((await store.page('', 10)).length).toBe(4);
    expect(await store.lostEntries()).toEqual([]);
  });

  it.skipIf(!isHere)('expects what an entry points at and nobody is putting', async () => {
    const { catalogue, clock, entries, put, store } = await filled();
    const digest = await put('hosted', 'a', 'text');
    expect(await store.isExpected(digest, clock.now())).toBe(true);
    const hold = await catalogue.hold('hosted', { digest, size: 4 });
    expect(await store.isExpected(digest, clock.now())).toBe(false);
    catalogue.release(hold);
    await catalogue.flush();
    expect(await store.isExpected(digest, clock.now())).toBe(true);
    await entries.remove('hosted', 'a');
    expect(await store.isExpected(digest, clock.now())).toBe(false);
  });

  it.skipIf(!isHere)('keeps how far a run is', async () => {
    const { store } = await filled();
    expect(await store.pass()).toBeUndefined();
    const counts = { looked: 1, bytes: 2, damaged: 3, missing: 4, unreadable: 5, healed: 6 };
    const pass = { ...counts, startedAt: 7, after: 'sha256:a', by: 'here' };
    await store.savePass(pass);
    expect(await store.pass()).toEqual(pass);
    await store.savePass({ ...pass, endedAt: 8 });
    expect(await store.pass()).toEqual({ ...pass, endedAt: 8 });
  });
});
