import { EntrepotError, isPlainText, messageOf } from '@entrepot/core';
import { Limiter, Lru } from '@entrepot/core/formats';
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely';
import { CompiledQuery as Query } from 'kysely';
import type Database from 'libsql';
import { setTimeout as wait } from 'node:timers/promises';
import type { WriteAheadLog } from './write-ahead-log.js';

/** The longest wait for another process that writes, in milliseconds. */
const BUSY_PATIENCE = 10_000;
/** Prepared statements that are kept. Each differs by its text only; values are parameters. */
const STATEMENTS = 200;
const WRITING = /^\s*(?:insert|update|delete|replace)\b/i;

/**
 * Runs Kysely's queries on a synchronous SQLite binding. Kysely's own driver is not used for four reasons:
 * - transactions begin IMMEDIATE, so that two processes never meet in the upgrade of a read to a write (SQLITE_BUSY that no wait cures);
 * - statements are prepared once: the binding frees one only when the garbage collector finds it, and memory grows meanwhile;
 * - a call that finds the database locked by another process waits off the event loop;
 * - so does a commit for the disk, and whoever reads next waits with it: what is not durable yet is seen by nobody here.
 */
export class SqliteDriver implements Driver, DatabaseConnection {
  readonly #database: Database.Database;
  readonly #path: string;
  readonly #log: WriteAheadLog | undefined;
  readonly #turns = new Limiter(1);
  #release: () => void = () => {};
  #closed = false;
  /** By text, the least recently used first. */
  readonly #statements = new Lru<Database.Statement>(STATEMENTS);

  /**
   * @param path names the database in messages.
   * @param log what makes commits durable, where they have to be
   */
  constructor(database: Database.Database, path: string, log?: WriteAheadLog) {
    this.#database = database;
    this.#path = path;
    this.#log = log;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    this.#release = await this.#turns.acquire();
    return this;
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  async beginTransaction(): Promise<void> {
    await this.executeQuery(Query.raw('begin immediate'));
  }

  async commitTransaction(): Promise<void> {
    await this.executeQuery(Query.raw('commit'));
    await this.#log?.sync();
  }

  async rollbackTransaction(): Promise<void> {
    // After some errors (a full disk) SQLite has rolled back by itself.
    if (this.#inTransaction) await this.executeQuery(Query.raw('rollback'));
  }

  /** Callers that still wait for a lock get an error: the binding ends the process over a closed database. */
  async destroy(): Promise<void> {
    try {
      // The binding closes the file only when its statements are collected; what is in the log belongs in the file now.
      this.#database.pragma('wal_checkpoint(TRUNCATE)');
    } catch {
      // The next process that opens the file does it.
    }
    this.#closed = true;
    this.#statements.clear();
    this.#database.close();
    await this.#log?.close();
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (!WRITING.test(query.sql) || this.#inTransaction) return await this.#run<Row>(query);
    // A statement outside of a transaction is one by itself. Only the beginning of one waits for a lock: a statement that has
    // met one half-way is in the way of whoever commits meanwhile.
    await this.beginTransaction();
    try {
      const result = await this.#run<Row>(query);
      await this.commitTransaction();
      return result;
    } catch (error) {
      await this.rollbackTransaction();
      throw error;
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery<Row>(query);
  }

  #run<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    assertBindable(parameters);
    const work = (): QueryResult<Row> => {
      const statement = this.#prepare(sql);
      // Always all rows: a statement that is left half-way holds its read lock.
      if (statement.reader) return { rows: statement.all(parameters) as Row[] };
      const { changes } = statement.run(parameters);
      return { rows: [], numAffectedRows: BigInt(changes) };
    };
    return retryWhileBusy(this.#path, work, () => (this.#inTransaction ? pause() : this.#giveWay()));
  }

  /** Lets others have the connection for a moment: the lock of another process that writes does not keep them from reading. */
  async #giveWay(): Promise<void> {
    this.#release();
    await pause();
    await this.acquireConnection();
  }

  get #inTransaction(): boolean {
    return !this.#closed && this.#database.inTransaction;
  }

  #prepare(sql: string): Database.Statement {
    if (this.#closed) throw new EntrepotError('storage', `the database ${this.#path} is closed`);
    const kept = this.#statements.get(sql);
    if (kept !== undefined) return kept;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function pause(): Promise<void> {
  return wait(1 + Math.random() * 20);
}

/**
 * Runs `work`, again and again while another process holds the lock. The binding itself waits only for a moment, since it
 * blocks the event loop meanwhile.
 * @throws EntrepotError `storage`, with the code `STORAGE_BUSY` when the lock is not given up, `STORAGE_FULL` when the disk is full.
 */
export async function retryWhileBusy<T>(path: string, work: () => T, waitForIt = pause): Promise<T> {
  const deadline = performance.now() + BUSY_PATIENCE;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!sqliteCode(error).startsWith('SQLITE_BUSY') || performance.now() > deadline) throw sqliteError(error, path);
      await waitForIt();
    }
  }
}

/** The name of SQLite's result code, `''` for an error of another kind. */
export function sqliteCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return '';
  return error.code.startsWith('SQLITE_') ? error.code : '';
}

function sqliteError(error: unknown, path: string): EntrepotError {
  if (error instanceof EntrepotError) return error as EntrepotError;
  const code = sqliteCode(error);
  const reason = `${messageOf(error)}${code === '' ? '' : ` (${code})`}`;
  return new EntrepotError('storage', `the database ${path} failed: ${reason}`, {
    cause: error,
    ...(code === 'SQLITE_FULL' ? { code: 'STORAGE_FULL', status: 507 } : {}),
    ...(code.startsWith('SQLITE_BUSY') ? { code: 'STORAGE_BUSY' } : {}),
  });
}

/**
 * Refuses what would not come back as it was: the binding ends the process over a boolean, cuts text at a NUL, and
 * stores half a surrogate pair as another character.
 */
function assertBindable(parameters: readonly unknown[]): void {
  for (const value of parameters) {
    if (typeof value === 'string') {
      if (isPlainText(value)) continue;
      throw new EntrepotError('storage', `expected text without NUL and lone surrogates, found ${printed(value)}`);
    }
    if (value === null || typeof value === 'number' || typeof value === 'bigint') continue;
    throw new EntrepotError('storage', `expected a value that SQLite can hold, found a ${typeof value}`);
  }
}

function printed(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
