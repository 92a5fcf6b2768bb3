import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EntrepotError, messageOf } from '@entrepot/core';
import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import Database from 'libsql';
import type { Durability } from '../blob/filesystem.js';
import { openDatabase } from './open-database.js';
import type { SqlDatabase } from './schema.js';
import { retryWhileBusy, SqliteDriver, sqliteCode } from './sqlite-driver.js';
import { WriteAheadLog } from './write-ahead-log.js';

/** The time for which the binding itself waits for a lock, on the event loop; milliseconds. Longer waits are the driver's. */
const BUSY_TIMEOUT = 10;
/** The largest file that is looked through for damage at each start, in bytes. */
const CHECKED_SIZE = 64 * 1024 * 1024;
const DAMAGED = 'the file is damaged';
const WHAT_TO_DO =
  'Put a backup in its place; or move it away to begin anew: what proxies keep is fetched again, what was uploaded is not';
/** The log shrinks to this after a checkpoint, in bytes. */
const LOG_LIMIT = 16 * 1024 * 1024;

/** Text is compared by its UTF-8 bytes, which sort as code points do, unless a column says otherwise. */
const TYPES = { kind: 'sqlite', text: 'text', integer: 'integer' } as const;

export interface SqliteOptions {
  /** Its folder is made when it does not exist. */
  readonly path: string;
  /** `strict`: a power cut. `relaxed`: the end of the process; a power cut loses the newest commits and nothing else. */
  readonly durability: Durability;
}

/**
 * Opens the database file, makes it where there is none, and brings its tables up to date. Several processes of one machine
 * may open one file; it must be on a local file system, since its log is shared memory.
 * @throws EntrepotError `configuration` when the file cannot be opened, is no database, or is of a newer version of Entrepot.
 */
export async function openSqlite({ path, durability }: SqliteOptions): Promise<SqlDatabase> {
  const connection = await connect(path);
  const log = durability === 'strict' ? new WriteAheadLog(resolve(path)) : undefined;
  const dialect: Dialect = {
    createDriver: () => new SqliteDriver(connection, path, log),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalSqliteAdapter(),
    createIntrospector: (database) => new SqliteIntrospector(database),
  };
  return await openDatabase(dialect, TYPES, path);
}

/** SQLite does roll back a `create table`. Migrations need it: two processes may start on one new file. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

async function connect(path: string): Promise<Database.Database> {
  let connection: Database.Database | undefined;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Made here, for SQLite would let everybody read it. What stands beside it has its mode.
    await open(path, 'a', 0o600).then((file) => file.close());
    // The binding takes `libsql://…` and `:memory:` for something else than a file.
    const opened = new Database(resolve(path));
    connection = opened;
    opened.pragma(`busy_timeout = ${BUSY_TIMEOUT}`);
    const [found] = (await retryWhileBusy(path, () => opened.pragma('journal_mode = WAL'))) as {
      journal_mode: string;
    }[];
    const mode = found?.journal_mode;
    if (mode !== 'wal') throw new Error(`a write-ahead log is not possible there (journal mode ${mode})`);
    // `FULL` would sync the log on the event loop. The driver does that, off it: the log is all that a commit has to have on disk.
    opened.pragma('synchronous = NORMAL');
    opened.pragma('foreign_keys = ON');
    opened.pragma(`journal_size_limit = ${LOG_LIMIT}`);
    const damage = damageOf(opened, (await stat(path)).size);
    if (damage !== undefined) throw new Error(`${DAMAGED} (${damage}). ${WHAT_TO_DO}`);
    return opened;
  } catch (error) {
    connection?.close();
    const cause = error instanceof EntrepotError ? (error as EntrepotError).cause : error;
    const code = sqliteCode(cause);
    const problem =
      code === 'SQLITE_NOTADB'
        ? 'the file is no SQLite database'
        : code.startsWith('SQLITE_CORRUPT')
          ? `${DAMAGED}. ${WHAT_TO_DO}`
          : messageOf(cause ?? error);
    throw new EntrepotError('configuration', `cannot open the database ${path}: ${problem}`, { cause: error });
  }
}

/**
 * Looks into the database in a file, without bringing its tables up to date.
 * @param size of the file, in bytes
 * @throws Error when it cannot be read
 */
export function inspectSqlite(
  path: string,
  size: number,
): { readonly damage?: string | undefined; readonly hasEntries?: boolean } {
  const database = new Database(path);
  try {
    const damage = damageOf(database, size);
    if (damage !== undefined) return { damage };
    const tables = database.prepare("select 1 from sqlite_master where name = 'entries'").all([]);
    return { hasEntries: tables.length > 0 && database.prepare('select 1 from entries limit 1').all([]).length > 0 };
  } finally {
    database.close();
  }
}

/** Looks for damage in a database. `undefined`: there is none, or the check would take long. */
function damageOf(database: Database.Database, size: number): string | undefined {
  if (size > CHECKED_SIZE) return undefined;
  const [found] = database.pragma('quick_check(1)') as { quick_check: string }[];
  return found?.quick_check === 'ok' ? undefined : String(found?.quick_check).replaceAll(/\s+/g, ' ');
}
