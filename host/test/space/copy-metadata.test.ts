import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { digestOf } from '@entrepot/core/testing';
import { type Kysely, sql } from 'kysely';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { openPostgres } from '../../src/drivers/sql/postgres.js';
import { SqlMetaStore } from '../../src/drivers/sql/meta-store.js';
import type { SqlDatabase } from '../../src/drivers/sql/sql-database.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { STORE_ID } from '../../src/space/belonging.js';
import { copyMetadata, type MetadataCopied } from '../../src/space/copy-metadata.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from '../drivers/sql/postgres-server.js';

const programs = postgresPrograms();
if (programs === undefined) console.log(POSTGRES_MISSING);

/** More than two pages. */
const ENTRIES = 123;
const PAGE = 50;
/** Tables that belong to running processes. */
const OWN = new Set(['flights', 'holds', 'leases', 'probes']);
/** The tables of a search in SQLite, which it fills by itself. */
const SEARCHED = /^names$|^name_parts/;

async function sqlite(): Promise<SqlDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-copy-'));
  const database = await openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
  onTestFinished(async () => {
    await database.destroy();
    await rm(folder, { recursive: true, force: true });
  });
  return database;
}

let starting: Promise<PostgresServer> | undefined;
afterAll(async () => await (await starting)?.stop());

async function postgres(): Promise<SqlDatabase> {
  starting ??= PostgresServer.start(programs as string);
  const url = await (await starting).database();
  const database = await openPostgres({ url, maxConnections: 4, logger: silentLogger });
  onTestFinished(() => database.destroy());
  return database;
}

/** A row of any table: its number is in every column. */
function rowOf(columns: readonly { readonly name: string; readonly isInteger: boolean }[], number: number) {
  // Names sort by their UTF-8 bytes, which is not how JavaScript sorts them.
  const text = `${['a', 'Z', 'é', '\uFF5E', '\u{1F4E6}', 'A'][number % 6]} ${number} "'\\`;
  return Object.fromEntries(columns.map(({ name, isInteger }) => [name, isInteger ? 1e12 + number : text]));
}

/** Puts rows into every table. */
async function fill(database: SqlDatabase): Promise<void> {
  const any = database as unknown as Kysely<Record<string, Record<string, unknown>>>;
  const tables = await database.introspection.getTables();
  const digests = Array.from({ length: ENTRIES }, (_, number) => digestOf(`blob ${number}`));
  const put = async (table: string, rows: Record<string, unknown>[]): Promise<void> => {
    for (let from = 0; from < rows.length; from += 100)
      await any
        .insertInto(table)
        .values(rows.slice(from, from + 100))
        .execute();
  };
  for (const name of ['blobs', ...tables.map((table) => table.name).filter((table) => table !== 'blobs')]) {
    const columns = (tables.find((table) => table.name === name)?.columns ?? []).map((column) => ({
      name: column.name,
      isInteger: /int/i.test(column.dataType),
    }));
    if (name === 'usage' || SEARCHED.test(name)) continue;
    const amount = name === 'blobs' || name === 'entries' ? ENTRIES : 7;
    const rows = Array.from({ length: amount }, (_, number) => ({
      ...rowOf(columns, number),
      ...(name === 'blobs' && { digest: digests[number], state: 'live' }),
      ...(name === 'entries' && { digest: digests[number], size: number, etag: null, accessed_at: null }),
    }));
    await put(name, rows);
  }
  await new SqlMetaStore(database).set(STORE_ID, 'the store');
}

/** Every row of every table that is copied, and what the database counts by itself. */
async function dump(database: SqlDatabase): Promise<Record<string, readonly string[]>> {
  const tables = await database.introspection.getTables();
  const all: Record<string, readonly string[]> = {};
  for (const { name } of tables.filter((table) => !OWN.has(table.name) && !SEARCHED.test(table.name))) {
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(database);
    const texts = rows
      .filter((row) => row['name'] !== STORE_ID || name !== 'meta')
      .map((row) =>
        JSON.stringify(Object.entries(row).map(([key, value]) => [key, value === null ? null : `${value}`])),
      );
    all[name] = texts.sort();
  }
  return all;
}

interface Run {
  readonly prepare?: boolean;
  readonly progress?: (done: MetadataCopied) => void;
  readonly signal?: AbortSignal;
}

function copy(from: SqlDatabase, database: SqlDatabase, run: Run = {}): Promise<number> {
  const { prepare = false, progress = () => {}, signal = new AbortController().signal } = run;
  return copyMetadata(from, { database, name: 'there' }, { prepare, signal, progress, pageSize: PAGE });
}

const WAYS = [
  { name: 'SQLite to PostgreSQL', from: sqlite, to: postgres },
  { name: 'PostgreSQL to SQLite', from: postgres, to: sqlite },
  { name: 'SQLite to SQLite', from: sqlite, to: sqlite },
];

for (const { name, from, to } of WAYS) {
  const isMissing = programs === undefined && (from === postgres || to === postgres);

  describe.skipIf(isMissing)(`a copy from ${name}`, () => {
    it('has every row, and belongs to the store of blobs in the place of the source', async () => {
      const [source, target] = [await from(), await to()];
      await fill(source);
      const rows = await copy(source, target);
      const found = await dump(target);
      expect(found).toEqual(await dump(source));
      expect(found['entries']).toHaveLength(ENTRIES);
      expect(rows).toBeGreaterThan(2 * ENTRIES);
      expect(await new SqlMetaStore(target).get(STORE_ID)).toBe('the store');
      await expect(copy(source, await sqlite())).rejects.toThrow('the source was moved to there');
    });

    it('goes on where it was stopped', async () => {
      const [source, target] = [await from(), await to()];
      await fill(source);
      const stopping = new AbortController();
      const progress = ({ rows }: MetadataCopied): void => {
        if (rows > ENTRIES + PAGE) stopping.abort();
      };
      await expect(copy(source, target, { progress, signal: stopping.signal })).rejects.toThrow();
      expect((await dump(target))['entries']?.length).toBeGreaterThan(0);
      await copy(source, target);
      expect(await dump(target)).toEqual(await dump(source));
    });

    it('is brought up to date with what came, changed and went meanwhile', async () => {
      const [source, target] = [await from(), await to()];
      await fill(source);
      await copy(source, target, { prepare: true });
      const gone = await source.selectFrom('entries').select(['key', 'digest']).where('size', '<', 30).execute();
      await source.deleteFrom('entries').where('size', '<', 30).execute();
      const digests = gone.map(({ digest }) => digest);
      await source.deleteFrom('blobs').where('digest', 'in', digests).execute();
      await source.updateTable('entries').set({ size: 99_999, name: 'changed' }).where('size', '<', 60).execute();
      await source
        .updateTable('scan_jobs')
        .set({ id: sql`id || ' again'` })
        .execute();
      await source.deleteFrom('pins').execute();
      const blob = { digest: digestOf('new'), size: 3, state: 'live' as const, seq: 1, visited: 0, since: 0 };
      await source.insertInto('blobs').values(blob).execute();
      await source.updateTable('entries').set({ digest: blob.digest }).where('size', '=', 100).execute();
      await copy(source, target);
      expect(await dump(target)).toEqual(await dump(source));
    });
  });
}

describe('a copy of a database', () => {
  it('takes blobs along that came while entries were copied', async () => {
    const [source, target] = [await sqlite(), await sqlite()];
    await fill(source);
    let isDone = false;
    const late = async (): Promise<void> => {
      const blob = { digest: digestOf('late'), size: 4, state: 'live' as const, seq: 1, visited: 0, since: 0 };
      await source.insertInto('blobs').values(blob).execute();
      await source.updateTable('entries').set({ digest: blob.digest }).where('size', '>', 110).execute();
    };
    let changing: Promise<void> | undefined;
    const progress = ({ rows }: MetadataCopied): void => {
      // All blobs have been copied.
      if (rows < ENTRIES || isDone) return;
      isDone = true;
      changing = late();
    };
    await copy(source, target, { progress });
    await changing;
    expect(await dump(target)).toEqual(await dump(source));
  });

  it('is made into none that has something else, and of none that changes all the time', async () => {
    const [source, other] = [await sqlite(), await sqlite()];
    await expect(copy(source, other)).rejects.toThrow('no server has used the source yet');
    await fill(source);
    await expect(copy(source, source)).rejects.toThrow('is the source itself');
    await other
      .insertInto('pins')
      .values({ id: 'p', subject: 's', made_at: 1 } as never)
      .execute();
    await expect(copy(source, other)).rejects.toThrow('has rows that are of no copy');
    await new SqlMetaStore(other).set(STORE_ID, 'another');
    await expect(copy(source, other)).rejects.toThrow('in use with another store (another)');
    let version = 0;
    const busy = ({ rows }: MetadataCopied): void => {
      if (rows < ENTRIES) version += 1;
      void source
        .updateTable('pins')
        .set({ note: `${version}` })
        .execute();
    };
    await expect(copy(source, await sqlite(), { progress: busy })).rejects.toThrow('the source changes while');
  });

  it('is finished when only the target did not hear of it', async () => {
    const [source, target] = [await sqlite(), await sqlite()];
    await fill(source);
    await copy(source, target, { prepare: true });
    await new SqlMetaStore(source).set(STORE_ID, JSON.stringify({ movedFrom: 'the store', to: 'there' }));
    await copy(source, target);
    expect(await new SqlMetaStore(target).get(STORE_ID)).toBe('the store');
  });
});
