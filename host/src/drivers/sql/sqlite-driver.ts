import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { EntrepotError, isPlainText } from '@entrepot/core';
import { Limiter, Lru } from '@entrepot/core/formats';
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely';
import { CompiledQuery as Query } from 'kysely';
import { RESULTS, resultOf, sqliteError } from './sqlite-error.js';
import type { WriteAheadLog } from './write-ahead-log.js';

/** The longest wait for another process that writes, in milliseconds. */
const BUSY_PATIENCE = 10_000;
/** Prepared statements that are kept. Each differs by its text only; values are parameters. */
const STATEMENTS = 200;
const WRITING = /^\s*(?:insert|update|delete|replace)\b/i;

/** Within a transaction: a power cut may take it away, and nothing but it. */
export const UNSYNCED = 'commit without sync';

interface Prepared {
  readonly statement: StatementSync;
  readonly givesRows: boolean;
}

/**
 * Runs Kysely's queries on the synchronous binding of SQLite. Kysely's own driver is not used for four reasons:
 * - transactions begin IMMEDIATE, so that two processes never meet in the upgrade of a read to a write (SQLITE_BUSY that no wait cures);
 * - statements are prepared once: to prepare one takes as long as to run it;
 * - a call that finds the database locked by another process waits off the event loop;
 * - so does a commit for the disk, and whoever reads next waits with it: what is not durable yet is seen by nobody here.
 */
export class SqliteDriver implements Driver, DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #log: WriteAheadLog | undefined;
  readonly #turns = new Limiter(1);
  #release: () => void = () => {};
  #syncsCommit = true;
  /** By text, the least recently used first. */
  readonly #statements = new Lru<Prepared>(STATEMENTS);

  /**
   * @param path names the database in messages.
   * @param log what makes commits durable, where they have to be
   */
  constructor(database: DatabaseSync, path: string, log?: WriteAheadLog) {
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
    this.#syncsCommit = true;
  }

  async commitTransaction(): Promise<void> {
    await this.executeQuery(Query.raw('commit'));
    if (this.#syncsCommit) await this.#log?.sync();
  }

  async rollbackTransaction(): Promise<void> {
    // After some errors (a full disk) SQLite has rolled back by itself.
    if (this.#inTransaction) await this.executeQuery(Query.raw('rollback'));
  }

  /** Puts what is in the log into the file, unless others have it open. Callers that still wait for a lock get an error. */
  async destroy(): Promise<void> {
    this.#statements.clear();
    this.#database.close();
    await this.#log?.close();
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (query.sql === UNSYNCED) {
      this.#syncsCommit = false;
      return { rows: [] };
    }
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
      const { statement, givesRows } = this.#prepare(sql);
      // Always all rows: a statement that is left half-way holds its read lock.
      if (givesRows) return { rows: statement.all(...parameters) as Row[] };
      const { changes } = statement.run(...parameters);
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
    return this.#database.isOpen && this.#database.isTransaction;
  }

  #prepare(sql: string): Prepared {
    const kept = this.#statements.get(sql);
    if (kept !== undefined) return kept;
    const statement = this.#database.prepare(sql);
    const prepared = { statement, givesRows: statement.columns().length > 0 };
    this.#statements.set(sql, prepared);
    return prepared;
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
      if (resultOf(error) !== RESULTS.busy || performance.now() > deadline) throw sqliteError(error, path);
      await waitForIt();
    }
  }
}

/**
 * Refuses what would not come back as it was: half a surrogate pair is stored as another character, Node 22 cuts text at a NUL
 * as it reads it, newer ones store a boolean as a number.
 */
export function assertBindable(parameters: readonly unknown[]): asserts parameters is readonly SQLInputValue[] {
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
