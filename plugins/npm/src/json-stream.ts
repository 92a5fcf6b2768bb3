import { setImmediate } from 'node:timers/promises';
import type { Content } from '@entrepot/core';
import { ByteWriter } from './byte-writer.js';
import { createJsonScanner, type ObjectVisitor } from './json-scanner.js';

/** How much is scanned at a stretch: well under a millisecond. */
const SLICE = 64 * 1024;
/** How long one reader keeps the event loop, in milliseconds. */
const TURN = 2;
/** How much of a rewritten document is handed on at once, at the least. */
const BATCH = 64 * 1024;

/** Lets other work run once a turn is over. */
export class Turns {
  #since = performance.now();

  /** Whether this turn has been long enough. */
  get over(): boolean {
    return performance.now() - this.#since > TURN;
  }

  async next(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}

async function* slices(content: Content): AsyncGenerator<Buffer, void, undefined> {
  const turns = new Turns();
  for await (const chunk of content.stream()) {
    for (let start = 0; start < chunk.length; start += SLICE) {
      yield Buffer.from(chunk.buffer, chunk.byteOffset + start, Math.min(SLICE, chunk.length - start));
      if (turns.over) await turns.next();
    }
  }
}

/**
 * Shows the members of `content` to `root`.
 * @param isDone ends the reading early, unchecked from there on
 * @throws JsonFormatError
 */
export async function scanJson(content: Content, root: ObjectVisitor, isDone?: () => boolean): Promise<void> {
  const scanner = createJsonScanner(root);
  for await (const slice of slices(content)) {
    scanner.write(slice);
    if (isDone?.() === true) return;
  }
  scanner.end();
}

/**
 * What `root` makes of `content`, in pieces.
 * @param output where `root` writes
 * @param isDone ends the reading early, unchecked from there on
 * @throws JsonFormatError
 */
export async function* rewriteJson(
  content: Content,
  root: ObjectVisitor,
  output: ByteWriter,
  isDone?: () => boolean,
): AsyncGenerator<Buffer, void, undefined> {
  const scanner = createJsonScanner(root, output);
  for await (const slice of slices(content)) {
    scanner.write(slice);
    if (output.size >= BATCH) yield output.take();
    if (isDone?.() === true) break;
  }
  if (isDone?.() !== true) scanner.end();
  if (output.size > 0) yield output.take();
}

/** An output of the size that `rewriteJson` fills. */
export function createOutput(): ByteWriter {
  return new ByteWriter(2 * BATCH);
}
