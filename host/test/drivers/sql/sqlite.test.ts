import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AdmittingIndex } from './admitting-index.js';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';
import { openFile } from '../../../src/drivers/sql/sqlite-file.js';
import { bundleProgram } from '../bundle.js';

let root: string;
let path: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'entrepot-sqlite-'));
  path = join(root, 'deep', 'down', 'entrepot.db');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = () => openSqlite({ path, durability: 'relaxed' });

async function pragma(database: Awaited<ReturnType<typeof open>>, name: string): Promise<unknown> {
  const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(database);
  return Object.values(rows[0] ?? {})[0];
}

describe('opening', () => {
  it.each(['strict', 'relaxed'] as const)('makes the folders and the file, %s', async (durability) => {
    const database = await openSqlite({ path, durability });
    expect(await pragma(database, 'journal_mode')).toBe('wal');
    // Normal: for what is strict the driver syncs the log after a commit.
    expect(await pragma(database, 'synchronous')).toBe(1);
    expect(await pragma(database, 'encoding')).toBe('UTF-8');
    await database.destroy();
    expect((await readFile(path)).subarray(0, 15).toString()).toBe('SQLite format 3');
  });

  it.each([
    ['text', 'This is a letter, not a database. '.repeat(100)],
    ['less than a header', 'abc'],
  ])('refuses a file of %s', async (_, content) => {
    await mkdir(join(root, 'deep', 'down'), { recursive: true });
    await writeFile(path, content);
    await expect(open()).rejects.toMatchObject({
      kind: 'configuration',
      message: `cannot open the database ${path}: the file is no SQLite database`,
    });
    expect(await readFile(path, 'utf8')).toBe(content);
  });

  it('refuses a folder', async () => {
    await mkdir(path, { recursive: true });
    await expect(open()).rejects.toMatchObject({ kind: 'configuration', message: expect.stringContaining(path) });
  });

  it('refuses a place below a file', async () => {
    await writeFile(join(root, 'deep'), '');
    await expect(open()).rejects.toMatchObject({ kind: 'configuration', message: expect.stringContaining('ENOTDIR') });
  });

  it('refuses the database of a newer version', async () => {
    const database = await open();
    await sql`insert into kysely_migration (name, timestamp) values ('9999-future', '2999-01-01T00:00:00Z')`.execute(
      database,
    );
    await database.destroy();
    await expect(open()).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(
        /entrepot\.db was made by a newer version of Entrepot: expected \d{4}-[\w-]+ as its last migration, found 9999-future$/,
      ),
    });
  });

  it('puts everything into the file when it is closed', async () => {
    const database = await open();
    await new AdmittingIndex(database).check();
    await database.destroy();
    expect(await readdir(dirname(path))).toEqual(['entrepot.db']);
    const again = await open();
    expect(await again.selectFrom('probes').select('id').execute()).toEqual([{ id: 1 }]);
    await again.destroy();
  });
});

describe('a query', () => {
  it.each([
    ['a boolean, which some would take for a number', true],
    ['undefined, which some would take for NULL', undefined],
    ['a date', new Date(0)],
    ['text with NUL, which would be cut there', 'a\0b'],
    ['half a surrogate pair, which would change', 'a\ud800'],
  ])('refuses %s', async (_, value) => {
    const database = await open();
    await expect(sql`select ${sql.value(value)}`.execute(database)).rejects.toMatchObject({ kind: 'storage' });
    await database.destroy();
  });

  it('walks an index', async () => {
    const database = await open();
    const plans = [
      sql`select * from entries where repository = 'a' and key = 'b'`,
      sql`select * from entries where repository = 'a' and key >= 'b' and key < 'c' order by key limit 5`,
      sql`select * from entries where repository = 'a' and fetched_at < 9 and fetched_at >= 1 order by fetched_at, key limit 5`,
      sql`select * from entries where repository = 'a' and fetched_at < 9 and fetched_at = 1 and key > 'b' order by fetched_at, key limit 5`,
      sql`select distinct digest from entries where digest in ('a', 'b')`,
      sql`update entries set accessed_at = 1 where repository = 'a' and key = 'b' and accessed_at < 1`,
    ];
    for (const query of plans) {
      const { rows } = await sql<{ detail: string }>`explain query plan ${query}`.execute(database);
      const detail = rows.map((row) => row.detail).join('; ');
      expect(detail).toMatch(/^SEARCH entries USING (COVERING )?INDEX/);
      expect(detail).not.toMatch(/SCAN|TEMP B-TREE/);
    }
    await database.destroy();
  });

  it.each([
    ['a full disk', 'pragma max_page_count = 1', { code: 'STORAGE_FULL', status: 507 }],
    ['a file that may not be written', 'pragma query_only = on', { code: 'STORAGE', status: 500 }],
  ])('tells of %s', async (_, limit, expected) => {
    const database = await open();
    await sql.raw(limit).execute(database);
    const written = 'x'.repeat(100_000);
    const failing = database.insertInto('probes').values({ id: 1, written }).execute();
    await expect(failing).rejects.toMatchObject({ kind: 'storage', ...expected });
    // A statement that failed holds no lock.
    expect(await database.selectFrom('probes').select('id').execute()).toEqual([]);
    await database.destroy();
  });

  it('keeps foreign keys', async () => {
    const database = await open();
    await sql`create table children (parent integer references probes (id))`.execute(database);
    await expect(sql`insert into children values (1)`.execute(database)).rejects.toMatchObject({
      kind: 'storage',
      message: expect.stringContaining('FOREIGN KEY constraint failed'),
    });
    await database.insertInto('probes').values({ id: 1, written: 'x' }).execute();
    await sql`insert into children values (1)`.execute(database);
    await expect(database.deleteFrom('probes').execute()).rejects.toMatchObject({ kind: 'storage' });
    await database.destroy();
  });

  it('that comes after the end fails', async () => {
    const database = await open();
    const waiting = database.transaction().execute(async (transaction) => {
      await database.destroy();
      await transaction.selectFrom('probes').select('id').execute();
    });
    await expect(waiting).rejects.toMatchObject({ kind: 'storage', message: expect.stringContaining('not open') });
  });

  it('undoes a transaction that fails', async () => {
    const database = await open();
    const failing = database.transaction().execute(async (transaction) => {
      await transaction.insertInto('probes').values({ id: 7, written: 'x' }).execute();
      throw new Error('on purpose');
    });
    await expect(failing).rejects.toThrow('on purpose');
    expect(await database.selectFrom('probes').select('id').execute()).toEqual([]);
    await database.destroy();
  });
});

describe('with another process', () => {
  it('waits for its lock off the event loop', async () => {
    const database = await open();
    const index = new AdmittingIndex(database);
    const other = openFile(path, {});
    other.exec('begin immediate');
    const check = index.check();
    // Turns of the event loop go by while the lock is held.
    let settled = false;
    const watched = check.finally(() => {
      settled = true;
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    other.exec('commit');
    other.close();
    await watched;
    await database.destroy();
  });

  it('makes one file, and has one winner for every set', async () => {
    const program = await bundleProgram(new URL('putting-program.ts', import.meta.url));
    try {
      const run = async (name: string) => {
        const { stdout, stderr } = await promisify(execFile)(process.execPath, [program.path, path, name, '150']);
        // Node 22 warns of its binding.
        expect(stderr).toBe('');
        return JSON.parse(stdout) as string[][];
      };
      const [one = [], two] = await Promise.all([run('one'), run('two')]);
      expect(one).toHaveLength(150);
      expect(two).toEqual(one);
      for (const [left, right] of one) expect(right).toBe(left);
    } finally {
      await program.remove();
    }
    const database = await open();
    expect(await pragma(database, 'integrity_check')).toBe('ok');
    const rows = await database
      .selectFrom('entries')
      .select('accessed_at')
      .where('accessed_at', 'is not', null)
      .execute();
    expect(rows).toHaveLength(150);
    await database.destroy();
  });
});
