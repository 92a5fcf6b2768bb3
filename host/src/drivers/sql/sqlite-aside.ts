import { open, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { deserialize } from 'node:v8';
import { EntrepotError } from '@entrepot/core';
import { builtProgram, WorkerPool, WorkTurns } from '@entrepot/core/formats';
import type { CompiledQuery } from 'kysely';
import { storageError } from '../blob/storage-error.js';
import { syncDirectory } from '../blob/sync-file.js';
import type { Aside } from './aside.js';
import { assertBindable } from './sqlite-driver.js';
import { sqliteError } from './sqlite-error.js';
import { runTask, type SqliteAnswer, type SqliteTask } from './sqlite-task.js';

/** The time after which an idle thread is ended, in milliseconds. */
const KEEP_IDLE = 10_000;

/**
 * Long work on a file of SQLite, in a thread that does one task at a time. Others write meanwhile; what they write stays in the log
 * until the task ends. A thread ends between two rows: whoever closes the database waits for the sort, or the copy, that it is at.
 */
export class SqliteAside implements Aside {
  readonly #path: string;
  readonly #thread = new WorkerPool<SqliteTask, SqliteAnswer>(
    builtProgram(import.meta.url, 'sqlite-aside-worker', () => runTask),
    { most: 1, keepIdle: KEEP_IDLE },
  );

  constructor(path: string) {
    this.#path = path;
  }

  async all<Row>({ sql, parameters }: CompiledQuery<Row>): Promise<readonly Row[]> {
    const rows: Row[] = [];
    const turns = new WorkTurns();
    for (const piece of await this.#run(sql, parameters)) {
      rows.push(...(deserialize(piece) as Row[]));
      await turns.pause();
    }
    return rows;
  }

  async copyTo(path: string): Promise<void> {
    // SQLite fills a file that is empty. It would let everybody read one that it makes, and syncs none.
    const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
      throw storageError(error, 'make', path);
    });
    try {
      await this.#run('vacuum into ?', [resolve(path)]);
      await file.sync();
      await syncDirectory(dirname(path));
    } catch (error) {
      // Windows keeps a file that an ending thread still has open.
      await rm(path, { force: true }).catch(() => {});
      throw storageError(error, 'write', path);
    } finally {
      await file.close();
    }
  }

  async dispose(): Promise<void> {
    await this.#thread.dispose(new EntrepotError('storage', `the database ${this.#path} is closed`));
  }

  async #run(sql: string, parameters: readonly unknown[]): Promise<readonly Uint8Array[]> {
    assertBindable(parameters);
    try {
      const answer = await this.#thread.run({ path: this.#path, sql, parameters });
      if ('pieces' in answer) return answer.pieces;
      throw Object.assign(new Error(answer.failure.message), answer.failure);
    } catch (error) {
      throw sqliteError(error, this.#path);
    }
  }
}
