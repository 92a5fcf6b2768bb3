import { type FileHandle, open } from 'node:fs/promises';
import { storageError } from '../blob/storage-error.js';

/**
 * The write-ahead log of a SQLite database, synced as `PRAGMA synchronous = FULL` syncs it after a commit. SQLite takes its
 * locks on other files (https://sqlite.org/wal.html#read_performance, https://sqlite.org/lockingv3.html), so that closing this
 * one gives none of them up.
 */
export class WriteAheadLog {
  readonly #path: string;
  #file: FileHandle | undefined;

  /** @param database the path of its file */
  constructor(database: string) {
    this.#path = `${database}-wal`;
  }

  /** Makes durable what was committed. */
  async sync(): Promise<void> {
    try {
      // Opened at the first commit: before that it may not be there. It stays the same file as long as the database is open.
      this.#file ??= await open(this.#path, 'r+');
      await this.#file.datasync();
    } catch (error) {
      throw storageError(error, 'sync', this.#path);
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}
