import { mkdir, open, stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { EntrepotError, messageOf } from '@entrepot/core';
import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { Durability } from '../blob/filesystem.js';
import { networkFileSystem } from './network-file-system.js';
import { openDatabase } from './open-database.js';
import type { SqlDatabase } from './sql-database.js';
import { SqliteAside } from './sqlite-aside.js';
import { retryWhileBusy, SqliteDriver } from './sqlite-driver.js';
import { RESULTS, resultOf } from './sqlite-error.js';
import { openFile } from './sqlite-file.js';
import { WriteAheadLog } from './write-ahead-log.js';

/** The time for which the binding itself waits for a lock, on the event loop; milliseconds. Longer waits are the driver's. */
const BUSY_TIMEOUT = 10;
/** The same where nothing else runs. */
const INSPECTION_TIMEOUT = 5000;
/** The largest file that is looked through for damage at each start, in bytes. */
const CHECKED_SIZE = 64 * 1024 * 1024;
const DAMAGED = 'the file is damaged';
const NEAR = 'Set metadata.path to a file on a disk of this machine, or use PostgreSQL';
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
  return await openDatabase(dialect, TYPES, path, new SqliteAside(path));
}

/** SQLite does roll back a `create table`. Migrations need it: two processes may start on one new file. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

async function connect(path: string): Promise<DatabaseSync> {
  let connection: DatabaseSync | undefined;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const network = networkFileSystem((await statfs(dirname(path))).type);
    if (network !== undefined) throw new Error(`it is on ${network}, where its locks do not hold. ${NEAR}`);
    // Made here, for SQLite would let everybody read it. What stands beside it has its mode.
    await open(path, 'a', 0o600).then((file) => file.close());
    const opened = openFile(path, { timeout: BUSY_TIMEOUT });
    connection = opened;
    const [found] = await retryWhileBusy(path, () => opened.prepare('pragma journal_mode = WAL').all());
    const mode = found?.['journal_mode'];
    if (mode !== 'wal') throw new Error(`a write-ahead log is not possible there (journal mode ${mode})`);
    // `FULL` would sync the log on the event loop. The driver does that, off it: the log is all that a commit has to have on disk.
    opened.exec('pragma synchronous = NORMAL');
    opened.exec(`pragma journal_size_limit = ${LOG_LIMIT}`);
    // A long sort would otherwise write files, on the event loop.
    opened.exec('pragma temp_store = MEMORY');
    const damage = damageOf(opened, (await stat(path)).size);
    if (damage !== undefined) throw new Error(`${DAMAGED} (${damage}). ${WHAT_TO_DO}`);
    return opened;
  } catch (error) {
    connection?.close();
    const cause = error instanceof EntrepotError ? (error as EntrepotError).cause : error;
    throw new EntrepotError('configuration', `cannot open the database ${path}: ${problemOf(cause ?? error)}`, {
      cause: error,
    });
  }
}

function problemOf(error: unknown): string {
  const result = resultOf(error);
  if (result === RESULTS.notADatabase) return 'the file is no SQLite database';
  if (result === RESULTS.corrupt) return `${DAMAGED}. ${WHAT_TO_DO}`;
  return messageOf(error);
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
  const database = openFile(path, { timeout: INSPECTION_TIMEOUT });
  try {
    const damage = damageOf(database, size);
    if (damage !== undefined) return { damage };
    const tables = database.prepare("select 1 from sqlite_master where name = 'entries'").all();
    return { hasEntries: tables.length > 0 && database.prepare('select 1 from entries limit 1').all().length > 0 };
  } finally {
    database.close();
  }
}

/** Looks for damage in a database. `undefined`: there is none, or the check would take long. */
function damageOf(database: DatabaseSync, size: number): string | undefined {
  if (size > CHECKED_SIZE) return undefined;
  const found = database.prepare('pragma quick_check(1)').get()?.['quick_check'];
  return found === 'ok' ? undefined : String(found).replaceAll(/\s+/g, ' ');
}
