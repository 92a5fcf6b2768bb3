import type { Content } from '../api/content.js';
import { ByteWriter } from './byte-writer.js';
import { createJsonScanner, type ObjectVisitor } from './json-scanner.js';
import { slices } from './work-turns.js';

/** How much of a rewritten document is handed on at once, at the least. */
const BATCH = 64 * 1024;

/**
 * Shows the members of `content` to `root`.
 * @param isDone ends the reading early, unchecked from there on
 * @throws JsonFormatError
 */
export async function scanJson(content: Content, root: ObjectVisitor, isDone?: () => boolean): Promise<void> {
  const scanner = createJsonScanner(root);
  for await (const slice of slices(content.stream())) {
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
  for await (const slice of slices(content.stream())) {
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
