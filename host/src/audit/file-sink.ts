import { appendFile } from 'node:fs/promises';
import type { Logger } from '@entrepot/core';
import type { AuditRecord } from '../drivers/sql/audit-store.js';
import type { AuditSink } from './audit-log.js';

/** The most lines that wait for the file. More are counted and dropped. */
const MAX_WAITING = 10_000;

/** Appends records to a file, one JSON object a line. Opens it for each batch: whoever rotates files may move it away at any time. */
export class FileSink implements AuditSink {
  readonly #file: string;
  readonly #logger: Logger;
  #lines: string[] = [];
  #lost = 0;
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  constructor(file: string, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
  }

  write(records: readonly AuditRecord[]): void {
    for (const record of records) this.#lines.push(`${JSON.stringify(record)}\n`);
    const over = this.#lines.length - MAX_WAITING;
    if (over > 0) {
      this.#lines.splice(0, over);
      this.#lost += over;
    }
    this.#writing ??= this.#append();
  }

  async dispose(): Promise<void> {
    await this.#writing;
    if (this.#lines.length > 0) await this.#append();
  }

  async #append(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    try {
      await appendFile(this.#file, lines.join(''), { mode: 0o600 });
      if (this.#hasFailed) this.#logger.info({ file: this.#file, lost: this.#lost }, 'the audit file is written again');
      this.#hasFailed = false;
      this.#lost = 0;
    } catch (error) {
      // They are tried again with the next batch.
      this.#lines = [...lines, ...this.#lines].slice(-MAX_WAITING);
      if (!this.#hasFailed) this.#logger.error({ err: error, file: this.#file }, 'the audit file is not written');
      this.#hasFailed = true;
    }
    this.#writing = undefined;
  }
}
