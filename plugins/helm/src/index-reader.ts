import type { Content } from '@entrepot/core';
import { ChartError } from './chart-error.js';
import type { UpstreamChart } from './chart-lines.js';
import type { IndexSummary } from './index-parser.js';
import type { YamlQuestion } from './yaml-task.js';
import { withThread, type AskThread } from './yaml-thread.js';

/** The largest index that is read, in bytes. */
export const LARGEST_INDEX = 256 * 1024 * 1024;
/** Bytes that the thread is given at once: each piece costs a message to it and one back. */
const PIECE = 256 * 1024;

/**
 * Reads the index of an upstream repository in a thread of its own.
 * @param content YAML or JSON
 * @param indexUrl its own URL; relative URLs are resolved against it
 * @returns lines of JSON for `parseUpstreamChart`; at the end a summary of the index
 * @throws ChartError for what is no index, also when a part of it was given: then nothing of it counts
 */
export async function* readUpstreamIndex(
  content: Pick<Content, 'size' | 'stream'>,
  indexUrl: string,
): AsyncGenerator<Uint8Array, IndexSummary> {
  if (content.size > LARGEST_INDEX) throw new ChartError(`expected an index of ${LARGEST_INDEX} bytes at most`);
  return yield* withThread(async function* (ask) {
    const opened = yield* readWith(ask, content, { ask: 'open', indexUrl });
    const summary = opened ?? (yield* readWith(ask, content, { ask: 'again' }));
    if (summary === undefined) throw new Error('an index that is read as a whole is never unusual');
    return summary;
  });
}

/** Reads a line that `readUpstreamIndex` gave. */
export function parseUpstreamChart(line: Uint8Array): UpstreamChart {
  return JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString()) as UpstreamChart;
}

/** Reads an index from its start. `undefined`: it must be read `again`. */
async function* readWith(
  ask: AskThread,
  content: Pick<Content, 'stream'>,
  start: YamlQuestion,
): AsyncGenerator<Uint8Array, IndexSummary | undefined> {
  await ask(start);
  for await (const bytes of pieces(content.stream())) {
    if ((yield* answered(ask, { ask: 'piece', bytes })) === undefined) return undefined;
  }
  return yield* answered(ask, { ask: 'end' });
}

/** Yields all lines that one question leads to. */
async function* answered(ask: AskThread, question: YamlQuestion): AsyncGenerator<Uint8Array, IndexSummary | undefined> {
  for (let asked = question; ; asked = { ask: 'next' }) {
    const answer = await ask(asked);
    if (!('lines' in answer)) return undefined;
    yield* answer.lines;
    if (!answer.more) return answer.summary;
  }
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
