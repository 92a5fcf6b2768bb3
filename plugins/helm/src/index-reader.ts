import type { Content } from '@entrepot/core';
import { ChartError } from './chart-error.js';
import type { UpstreamVersion } from './chart-lines.js';
import type { IndexSummary } from './index-parser.js';
import type { YamlQuestion } from './yaml-task.js';
import { withThread } from './yaml-thread.js';

/** The largest index that is read, in bytes. */
export const LARGEST_INDEX = 256 * 1024 * 1024;
/** Bytes that the thread is given at once: each piece costs a message to it and one back. */
const PIECE = 256 * 1024;

/**
 * Reads the index of an upstream repository in a thread of its own.
 * @param content YAML or JSON
 * @param indexUrl its own URL; relative URLs are resolved against it
 * @param take is given the next versions: JSON for `versionsIn`
 * @throws ChartError for what is no index, also when a part of it was given: then nothing of it counts
 */
export async function readUpstreamIndex(
  content: Pick<Content, 'size' | 'stream'>,
  indexUrl: string,
  take: (versions: Uint8Array) => Promise<void>,
): Promise<IndexSummary> {
  if (content.size > LARGEST_INDEX) throw new ChartError(`expected an index of ${LARGEST_INDEX} bytes at most`);
  return await withThread(async (ask) => {
    /** Passes on all versions that one question leads to. */
    const passOn = async (asked: YamlQuestion): Promise<IndexSummary | undefined> => {
      for (let question = asked; ; question = { ask: 'next' }) {
        const answer = await ask(question);
        if (!('versions' in answer)) return undefined;
        await take(answer.versions);
        if (!answer.more) return answer.summary;
      }
    };
    /** Reads it from its start. `undefined`: it must be read again, as a whole. */
    const read = async (): Promise<IndexSummary | undefined> => {
      for await (const bytes of pieces(content.stream()))
        if ((await passOn({ ask: 'piece', bytes })) === undefined) return undefined;
      return await passOn({ ask: 'end' });
    };
    await ask({ ask: 'open', indexUrl });
    let summary = await read();
    while (summary === undefined) summary = await read();
    return summary;
  });
}

/** Reads versions that `readUpstreamIndex` gave. */
export function versionsIn(json: Uint8Array): readonly UpstreamVersion[] {
  return JSON.parse(
    Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString(),
  ) as readonly UpstreamVersion[];
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
