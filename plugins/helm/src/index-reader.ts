import type { Content } from '@entrepot/core';
import { ChartError } from './chart-error.js';
import type { IndexSummary, UpstreamChart } from './index-parser.js';
import type { YamlQuestion } from './yaml-task.js';
import { YamlThread } from './yaml-thread.js';

/** The largest index that is read, in bytes. */
export const LARGEST_INDEX = 256 * 1024 * 1024;
/** Bytes that the thread is given at once. */
const PIECE = 256 * 1024;

/**
 * Reads the index of an upstream repository in a thread of its own.
 * @param content YAML or JSON
 * @param indexUrl where it comes from; its relative URLs are resolved against it
 * @returns lines of JSON, to be kept as they are and read by `parseUpstreamChart`; at the end what the index came to
 * @throws ChartError for what is no index, also when a part of it was given: then nothing of it counts
 */
export async function* readUpstreamIndex(
  content: Pick<Content, 'size' | 'stream'>,
  indexUrl: string,
): AsyncGenerator<Uint8Array, IndexSummary> {
  if (content.size > LARGEST_INDEX) throw new ChartError(`expected an index of ${LARGEST_INDEX} bytes at most`);
  const thread = await YamlThread.start();
  try {
    const summary =
      (yield* readWith(thread, content, indexUrl, false)) ?? (yield* readWith(thread, content, indexUrl, true));
    if (summary === undefined) throw new Error('an index that is read as a whole is never unusual');
    return summary;
  } finally {
    await thread.close();
  }
}

/** One line that `readUpstreamIndex` gave. */
export function parseUpstreamChart(line: Uint8Array): UpstreamChart {
  return JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString()) as UpstreamChart;
}

/** `undefined`: it must be read as a whole, which leaves out the charts that were given. */
async function* readWith(
  thread: YamlThread,
  content: Pick<Content, 'stream'>,
  indexUrl: string,
  whole: boolean,
): AsyncGenerator<Uint8Array, IndexSummary | undefined> {
  await thread.ask({ ask: 'open', indexUrl, whole });
  for await (const bytes of pieces(content.stream())) {
    const summary = yield* answered(thread, { ask: 'piece', bytes });
    if (summary === undefined) return undefined;
  }
  return yield* answered(thread, { ask: 'end' });
}

/** All lines that one question leads to. */
async function* answered(
  thread: YamlThread,
  question: YamlQuestion,
): AsyncGenerator<Uint8Array, IndexSummary | undefined> {
  for (let asked = question; ; asked = { ask: 'next' }) {
    const answer = await thread.ask(asked);
    if (!('lines' in answer)) return undefined;
    yield* answer.lines;
    if (!answer.more) return answer.summary;
  }
}

/** The same bytes in larger pieces: each costs a message to the thread and one back. */
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
