import { mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type * as Sqlite from '../../../src/drivers/sql/sqlite.js';
import type { SqlDatabase } from '../../../src/drivers/sql/sql-database.js';

let root: string;
let database: SqlDatabase;

afterEach(async () => {
  await database.destroy();
  await rm(root, { recursive: true, force: true });
});

/** Only what was built has a thread. */
describe.each(['src', 'dist'])('work aside of %s', (tree) => {
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'entrepot-aside-'));
    database = await openIn('entrepot.db');
  });

  async function openIn(name: string): Promise<SqlDatabase> {
    const extension = tree === 'src' ? 'ts' : 'js';
    const file = new URL(`../../../${tree}/drivers/sql/sqlite.${extension}`, import.meta.url);
    const { openSqlite } = (await import(file.href)) as typeof Sqlite;
    return await openSqlite({ path: join(root, name), durability: 'relaxed' });
  }

  async function openCopy(name: string): Promise<SqlDatabase> {
    const copy = await openIn(name);
    onTestFinished(() => copy.destroy());
    return copy;
  }

  it('reads rows as other queries do, however many', async () => {
    await fill(1001);
    const query = database.selectFrom('downloads').selectAll().orderBy('first_at').compile();
    const { rows } = await database.executeQuery(query);
    expect(rows).toHaveLength(1001);
    expect(await database.aside.all(query)).toEqual(rows);
    const values = sql`select ${'ä'} as text, ${null} as empty, 0.5 as half, 9007199254740991 as integer`;
    expect(await database.aside.all(values.compile(database))).toEqual([
      { text: 'ä', empty: null, half: 0.5, integer: 9007199254740991 },
    ]);
    expect(await database.aside.all(sql`select 1 where false`.compile(database))).toEqual([]);
  });

  it('sees what was committed before', async () => {
    const query = database.selectFrom('probes').select('id').compile();
    for (const id of [1, 2, 3]) {
      await database.insertInto('probes').values({ id, written: 'x' }).execute();
      expect(await database.aside.all(query)).toHaveLength(id);
    }
  });

  it.each([
    ['no statement', 'selec', 'result code 1 of SQLite'],
    ['one that changes something', "insert into probes values (1, 'x')", 'readonly database (result code 8 of SQLite)'],
  ])('refuses %s, and goes on', async (_, text, message) => {
    const refused = database.aside.all(sql.raw(text).compile(database));
    await expect(refused).rejects.toMatchObject({ kind: 'storage', message: expect.stringContaining(message) });
    expect(await database.aside.all(database.selectFrom('probes').selectAll().compile())).toEqual([]);
  });

  it('refuses values that would change on their way', async () => {
    const query = sql`select ${'a\0b'}`.compile(database);
    await expect(database.aside.all(query)).rejects.toMatchObject({ kind: 'storage' });
  });

  it('copies the database for its owner alone', async () => {
    await fill(100);
    await database.aside.copyTo?.(join(root, 'copy.db'));
    expect((await stat(join(root, 'copy.db'))).mode & 0o777).toBe(0o600);
    const copy = await openCopy('copy.db');
    expect(await count(copy)).toBe(100);
  });

  it('copies over nothing, and leaves nothing where it fails', async () => {
    await writeFile(join(root, 'kept'), 'kept');
    for (const [name, reason] of [
      ['kept', 'EEXIST'],
      ['none/copy.db', 'ENOENT'],
    ] as const) {
      const refused = database.aside.copyTo?.(join(root, name));
      await expect(refused).rejects.toMatchObject({ kind: 'storage', message: expect.stringContaining(reason) });
    }
    await damage();
    const refused = database.aside.copyTo?.(join(root, 'copy.db'));
    await expect(refused).rejects.toMatchObject({ kind: 'storage', message: expect.stringContaining('malformed') });
    expect((await readdir(root)).filter((name) => !name.startsWith('entrepot.db'))).toEqual(['kept']);
  });

  it('ends with the database', async () => {
    await database.destroy();
    const late = database.aside.all(sql`select 1`.compile(database));
    await expect(late).rejects.toMatchObject({ kind: 'storage', message: expect.stringContaining('is closed') });
  });

  describe.runIf(tree === 'dist')('in its thread', () => {
    it('leaves the event loop to others while 300,000 rows are grouped', async () => {
      await fill(300_000);
      const query = sql`select caller, version, count(*) as number from downloads group by caller, version`;
      const compiled = query.compile(database);
      // Starts the thread.
      await database.aside.all(sql`select 1`.compile(database));
      const turns = watchTurns();
      const started = performance.now();
      const rows = await database.aside.all(compiled);
      const took = performance.now() - started;
      expect(turns.longest()).toBeLessThan(took / 2);
      expect(rows).toHaveLength(100);
      expect(rows).toEqual((await database.executeQuery(compiled)).rows);
    });

    it('copies one moment while others write', async () => {
      await fill(50_000);
      const copying = new AbortController();
      const copied = database.aside.copyTo?.(join(root, 'copy.db')).finally(() => copying.abort());
      let written = 0;
      for (; !copying.signal.aborted; written += 1) {
        // Each is there with the other, or not at all.
        await database.transaction().execute(async (transaction) => {
          for (const id of [2 * written, 2 * written + 1])
            await transaction.insertInto('probes').values({ id, written: 'x' }).execute();
        });
        await new Promise(setImmediate);
      }
      await copied;
      expect(written).toBeGreaterThan(5);
      const copy = await openCopy('copy.db');
      expect(await copy.aside.all(sql`pragma integrity_check`.compile(copy))).toEqual([{ integrity_check: 'ok' }]);
      expect(await count(copy)).toBe(50_000);
      const probes = await copy.selectFrom('probes').select('id').execute();
      expect(probes.length % 2).toBe(0);
      expect(probes.length).toBeLessThan(2 * written);
    });

    it('is ended when the database is closed, with what it does', async () => {
      const started = new Promise<Worker>((resolve) => process.once('worker', resolve));
      const long = sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000) select count(*) from n`;
      const waiting = [database.aside.all(long.compile(database)), database.aside.copyTo?.(join(root, 'copy.db'))].map(
        (work) =>
          expect(work).rejects.toMatchObject({ kind: 'storage', message: expect.stringContaining('is closed') }),
      );
      const thread = await started;
      const ended = new Promise((resolve) => thread.once('exit', resolve));
      await database.destroy();
      await Promise.all([ended, ...waiting]);
      expect(await readdir(root)).toEqual(['entrepot.db']);
    });
  });
});

async function fill(rows: number): Promise<void> {
  await sql`insert into downloads
    with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${rows})
    select 'npm', 'npm', 'package-' || n, '1.0.' || (n % 100), 'sha256:' || n, 'caller-' || (n % 50), '', 1, n, n, 1 from numbers`.execute(
    database,
  );
}

/** Writes over the end of the file. */
async function damage(): Promise<void> {
  await fill(1000);
  await sql`pragma wal_checkpoint(truncate)`.execute(database);
  const file = await open(join(root, 'entrepot.db'), 'r+');
  const { size } = await file.stat();
  await file.write(Buffer.alloc(size / 2, 0xaa), 0, size / 2, size / 2);
  await file.close();
}

async function count(of: SqlDatabase): Promise<number> {
  const [row] = await of.aside.all<{ n: number }>(sql<{ n: number }>`select count(*) as n from downloads`.compile(of));
  return row?.n ?? 0;
}

/** Measures the turns of the event loop until it is asked for the longest one, in milliseconds. */
function watchTurns(): { longest(): number } {
  let longest = 0;
  let last = performance.now();
  const look = (): void => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  };
  const timer = setInterval(look, 1);
  return {
    longest() {
      clearInterval(timer);
      look();
      return longest;
    },
  };
}
