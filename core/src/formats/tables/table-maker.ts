import { EntrepotError } from '../../api/errors.js';
import { malformed } from '../malformed.js';
import { WorkerLimitError, WorkerPool, type Answering, type HeldWorker } from '../worker-pool.js';
import { MemoryTable } from './table.js';
import type { NewRow, TableAnswer, TableSource, TableStart, TableTask } from './table-program.js';

/** Memory of one thread, in MiB. */
const HEAP = 1024;
/** Milliseconds for one piece. */
const PATIENCE = 120_000;
/** Bytes that a thread is given at once: each piece costs a message to it and one back. */
const PIECE = 256 * 1024;

/** Makes tables in threads of one program, two at a time. */
export class TableMaker<Parameters> {
  readonly #threads: WorkerPool<TableTask<Parameters>, TableAnswer>;

  /** @param program calls `answerTasks(tableProgram(read))`; or `builtProgram` */
  constructor(program: URL | (() => Answering<TableTask<Parameters>, TableAnswer>)) {
    // The memory that one document took is given back.
    const limits = { maxOldGenerationSizeMb: HEAP };
    this.#threads = new WorkerPool(program, { most: 2, keepIdle: 0, patience: PATIENCE, limits });
  }

  /**
   * Has a thread write a table to `path`, a file that does not exist. Where it fails, the file may be there.
   * @param name the identity of what the table is made from
   * @throws what the program's reader throws; `upstream-unavailable` for a source that takes too much time or memory
   */
  async write(path: string, name: string, source: TableSource, parameters: Parameters): Promise<void> {
    await this.#run(source, { path, name }, parameters);
  }

  /** Has a thread read a small source. @throws as `write` */
  async read(source: TableSource, parameters: Parameters): Promise<MemoryTable> {
    const table = new MemoryTable();
    const rows = await this.#run(source, undefined, parameters);
    for (const [key, value] of rows) table.add(key, value);
    return table;
  }

  async #run(
    source: TableSource,
    file: TableStart<Parameters>['file'],
    parameters: Parameters,
  ): Promise<readonly NewRow[]> {
    const { size, mediaType } = source;
    const held = await this.#threads.hold();
    try {
      let answer = await held.ask({ file, size, mediaType, parameters });
      while ('wants' in answer && answer.wants !== 'nothing') answer = await giveAll(held, source);
      if ('failed' in answer) throw errorOf(answer);
      return answer.rows;
    } catch (error) {
      if (!(error instanceof WorkerLimitError)) throw error;
      throw malformed('a document', `reading it takes too much ${error.exceeded}`, error);
    } finally {
      await held.release();
    }
  }
}

/** Gives a thread a source from its start. @returns its answer when it wants no more of it, or all of it again */
async function giveAll<Parameters>(
  held: HeldWorker<TableTask<Parameters>, TableAnswer>,
  source: TableSource,
): Promise<TableAnswer> {
  for await (const piece of pieces(source.stream())) {
    const answer = await held.ask({ piece });
    if (!('wants' in answer) || answer.wants !== 'next') return answer;
  }
  return await held.ask({ piece: undefined });
}

async function* pieces(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    parts.push(part);
    size += part.length;
    if (size < PIECE) continue;
    yield Buffer.concat(parts);
    parts = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(parts);
}

function errorOf({ failed, kind, ...details }: Extract<TableAnswer, { failed: string }>): Error {
  return kind === undefined ? new Error(failed) : new EntrepotError(kind, failed, details);
}
