import type { Content } from '../../api/content.js';
import { EntrepotError, isFull, storageFull } from '../../api/errors.js';
import type { Answering } from '../worker-pool.js';
import { TableWriter } from './table-writer.js';

/** The bytes that a table is made from. */
export type TableSource = Pick<Content, 'size' | 'mediaType' | 'stream'>;

/** A row to write: a key and its value. */
export type NewRow = readonly [key: string, value: Uint8Array | string];

/**
 * Reads rows, in order. Of rows with the same key the first one counts. Runs in a thread: it may take long, and what it is given and
 * throws is copied. Of an error the message is left, and the kind and code of an `EntrepotError`.
 * @param parameters plain data
 */
export type RowReader<Parameters> = (
  content: Content,
  parameters: Parameters,
) => Iterable<NewRow> | AsyncIterable<NewRow>;

/** The start of a table: of a file, or of rows that are answered. */
export interface TableStart<Parameters> extends Pick<TableSource, 'size' | 'mediaType'> {
  readonly file: { readonly path: string; readonly name: string } | undefined;
  readonly parameters: Parameters;
}

/** A question to the thread: make a table; then pieces of what it is made from, and `undefined` at their end. */
export type TableTask<Parameters> = TableStart<Parameters> | { readonly piece: Uint8Array | undefined };

/** The answer: the next piece, the first one again, or nothing more. */
export type TableAnswer =
  | { readonly wants: 'next' | 'first' }
  | { readonly wants: 'nothing'; readonly rows: readonly NewRow[] }
  | ({ readonly failed: string } & Partial<Pick<EntrepotError, 'kind' | 'code' | 'status'>>);

/** Answers the tasks of a thread that makes tables of what `read` yields. For `answerTasks`. */
export function tableProgram<Parameters>(read: RowReader<Parameters>): Answering<TableTask<Parameters>, TableAnswer> {
  let answer: (answer: TableAnswer) => void = () => {};
  let take: (piece: Uint8Array | undefined) => void = () => {};
  const ask = async (wants: 'next' | 'first'): Promise<Uint8Array | undefined> =>
    await new Promise((resolve) => {
      take = resolve;
      answer({ wants });
    });
  return async (task) =>
    await new Promise((resolve) => {
      answer = resolve;
      if ('piece' in task) return take(task.piece);
      makeTable(task, read, ask).then(
        (rows) => answer({ wants: 'nothing', rows }),
        (error: unknown) => answer(failureOf(error)),
      );
    });
}

/** @returns the rows that are not in a file */
async function makeTable<Parameters>(
  { file, size, mediaType, parameters }: TableStart<Parameters>,
  read: RowReader<Parameters>,
  ask: (wants: 'next' | 'first') => Promise<Uint8Array | undefined>,
): Promise<readonly NewRow[]> {
  let isFirst = true;
  async function* stream(): AsyncGenerator<Uint8Array> {
    let piece = await ask(isFirst ? 'next' : 'first');
    isFirst = false;
    for (; piece !== undefined; piece = await ask('next')) yield piece;
  }
  async function bytes(limit: number): Promise<Uint8Array> {
    if (size > limit) throw new EntrepotError('too-large', `The content has ${size} bytes; expected ${limit} at most`);
    return Buffer.concat(await Array.fromAsync(stream()));
  }
  const found = read({ size, mediaType, stream, bytes }, parameters);
  if (file === undefined) return await Array.fromAsync(found);
  const writer = new TableWriter(file.path, file.name);
  try {
    for await (const [key, value] of found) writer.add(key, value);
    writer.finish();
    return [];
  } finally {
    writer.close();
  }
}

function failureOf(thrown: unknown): TableAnswer {
  const error = isFull(thrown) ? storageFull('A table cannot be kept') : thrown;
  const failed = error instanceof Error ? error.message : String(error);
  if (!(error instanceof EntrepotError)) return { failed };
  const { kind, code, status } = error as EntrepotError;
  return { failed, kind, code, status };
}
