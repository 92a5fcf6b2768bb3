import { type LogFields, silentLogger, systemClock } from '@entrepot/core';
import { digestOf, entryIndexSuite } from '@entrepot/core/testing';
import { sql } from 'kysely';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { SqlBlobCatalogue } from '../../../src/drivers/sql/blob-catalogue.js';
import { SqlLeases } from '../../../src/drivers/sql/leases.js';
import { MIGRATIONS } from '../../../src/drivers/sql/migrations.js';
import { openPostgres } from '../../../src/drivers/sql/postgres.js';
import { PostgresNotices } from '../../../src/drivers/sql/postgres-notices.js';
import type { SqlDatabase } from '../../../src/drivers/sql/sql-database.js';
import { entryIndexFixture } from './entry-index-fixture.js';
import { PgBouncer, PGBOUNCER_MISSING, pgbouncerProgram } from './pgbouncer-server.js';
import { writesAgainAfter } from './restart-load.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from './postgres-server.js';

const programs = postgresPrograms();
const program = pgbouncerProgram();
const isMissing = programs === undefined || program === undefined;
if (isMissing) console.log(programs === undefined ? POSTGRES_MISSING : PGBOUNCER_MISSING);

interface Servers {
  readonly postgres: PostgresServer;
  readonly bouncer: PgBouncer;
}

let starting: Promise<Servers> | undefined;

async function startBoth(): Promise<Servers> {
  const postgres = await PostgresServer.start(programs as string);
  return { postgres, bouncer: await PgBouncer.start(program as string, postgres) };
}

const servers = (): Promise<Servers> => (starting ??= startBoth());

afterAll(async () => {
  const started = await starting;
  await started?.bouncer.stop();
  await started?.postgres.stop();
});

/** URLs of a new, empty database: through the pooler, and past it. */
async function urls() {
  const { postgres, bouncer } = await servers();
  const direct = await postgres.database();
  return { direct, pooled: bouncer.url(direct) };
}

/** More connections than the pooler has to the server. */
const open = (url: string): Promise<SqlDatabase> => openPostgres({ url, maxConnections: 8, logger: silentLogger });

async function openForTest(url: string): Promise<SqlDatabase> {
  const database = await open(url);
  onTestFinished(() => database.destroy());
  return database;
}

describe.skipIf(isMissing)('behind PgBouncer in transaction mode', () => {
  let database: ReturnType<typeof urls> | undefined;
  entryIndexSuite(
    { describe, it },
    async () => {
      // One database for all checks, emptied: a new one for each takes longer than the checks.
      const { pooled } = await (database ??= urls());
      const emptying = await open(pooled);
      await sql`truncate entries, revisions, blobs, holds`.execute(emptying);
      await emptying.destroy();
      return entryIndexFixture(() => open(pooled));
    },
    { replicas: true, outage: true },
  );

  it('several processes bring the tables up to date at once', async () => {
    const { pooled, direct } = await urls();
    await Promise.all(Array.from({ length: 8 }, () => openForTest(pooled)));
    const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(await openForTest(direct));
    expect(rows.length).toBe(Object.keys(MIGRATIONS).length);
    // A lock of a session would be that of whoever gets the connection next.
    const locks = await sql`select * from pg_locks where locktype = 'advisory'`.execute(await openForTest(direct));
    expect(locks.rows).toEqual([]);
  });

  it('blobs are held and released by many at once', async () => {
    const { pooled } = await urls();
    const catalogues = [await openForTest(pooled), await openForTest(pooled)].map(
      (database) => new SqlBlobCatalogue(database, systemClock),
    );
    const blobs = Array.from({ length: 60 }, (_, at) => ({ digest: digestOf(`blob ${at % 20}`), size: 7 }));
    const held = await Promise.all(
      blobs.map(async (blob, at) => {
        const catalogue = catalogues[at % 2] as SqlBlobCatalogue;
        return { catalogue, hold: await catalogue.hold('any', blob) };
      }),
    );
    expect(new Set(held.map(({ hold }) => hold.id)).size).toBe(60);
    for (const { catalogue, hold } of held) catalogue.release(hold);
    for (const catalogue of catalogues) {
      await catalogue.flush();
      await catalogue.visited(blobs.map(({ digest }) => digest));
    }
    const database = await openForTest(pooled);
    expect(await database.selectFrom('holds').selectAll().execute()).toEqual([]);
    expect(await database.selectFrom('blobs').selectAll().execute()).toHaveLength(20);
  });

  it('a lease has one owner at a time, however many ask', async () => {
    const { pooled } = await urls();
    const databases = [await openForTest(pooled), await openForTest(pooled)];
    const rivals = Array.from({ length: 16 }, (_, at) => new SqlLeases(databases[at % 2] as SqlDatabase, systemClock));
    for (let round = 1; round <= 5; round += 1) {
      const taken = await Promise.all(
        rivals.map(async (leases) => ({ leases, lease: await leases.acquire('work', 60_000) })),
      );
      const winners = taken.filter(({ lease }) => lease !== undefined);
      expect(winners.map(({ lease }) => lease)).toEqual([{ name: 'work', generation: round }]);
      for (const { leases, lease } of winners) {
        if (lease === undefined) continue;
        expect(await leases.renew(lease, 60_000)).toBe(true);
        await leases.release(lease);
        expect(await leases.renew(lease, 60_000)).toBe(false);
      }
    }
  });

  it('no statement stays with a connection that somebody else gets next', async () => {
    const { pooled, direct } = await urls();
    const database = await openForTest(pooled);
    const ask = (at: number) => database.selectFrom('entries').select('key').where('key', '=', `${at}`).execute();
    await Promise.all(Array.from({ length: 100 }, (_, at) => ask(at)));
    // On each connection of the pooler to the server.
    const prepared = await Promise.all(
      Array.from({ length: 8 }, () =>
        database.transaction().execute(async (transaction) => {
          await sql`select pg_sleep(0.01)`.execute(transaction);
          return (await sql`select name from pg_prepared_statements`.execute(transaction)).rows;
        }),
      ),
    );
    expect(prepared.flat()).toEqual([]);
    const settings = await sql<{ value: string }>`show synchronous_commit`.execute(await openForTest(direct));
    expect(settings.rows).toEqual([{ synchronous_commit: 'on' }]);
  });

  it('writes succeed soon after the server behind it was restarted', async () => {
    const { pooled } = await urls();
    const { postgres } = await servers();
    const back = await writesAgainAfter(await openForTest(pooled), () => postgres.restart());
    console.log(
      `# PostgreSQL behind PgBouncer was restarted: writes succeed ${back.toFixed(0)} ms after it takes connections`,
    );
  }, 30_000);

  it('says once that notices do not arrive, and hears them past the pooler', async () => {
    const { pooled, direct } = await urls();
    const database = await openForTest(pooled);
    const warnings: [LogFields, string][] = [];
    const logger = { ...silentLogger, warn: (...warning: [LogFields, string]) => void warnings.push(warning) };
    const deaf = await PostgresNotices.open({ url: pooled }, { database, logger });
    onTestFinished(() => deaf.dispose());
    expect(deaf.arrive).toBe(false);
    expect(warnings).toEqual([
      [{ reason: 'no notice of its own within 1000 ms' }, expect.stringContaining('metadata.listenUrl')],
    ]);
    const hearing = await PostgresNotices.open({ url: pooled, listenUrl: direct }, { database, logger });
    onTestFinished(() => hearing.dispose());
    expect(hearing.arrive).toBe(true);
    const heard: (string | undefined)[] = [];
    hearing.listen('work', (payload) => void heard.push(payload));
    await vi.waitFor(async () => {
      await deaf.notify('work', 'of another');
      expect(heard).toContain('of another');
    }, 10_000);
    expect(warnings.length).toBe(1);
  });
});
