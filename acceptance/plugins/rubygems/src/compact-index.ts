import { createHash } from 'node:crypto';
import type { RenderedDocument } from '@entrepot/core';

/** The line that ends the head of a document. */
export const HEAD_END = '---\n';

/** The reply with documents of the index. */
export const TEXT = { mediaType: 'text/plain; charset=utf-8' };

/** Gives a document the tag that Bundler computes itself, and the sum that newer ones check what they have put together against. */
export function indexText(head = HEAD_END, rows: readonly string[] = []): RenderedDocument {
  const text = head + rows.map((row) => `${row}\n`).join('');
  const [tag, sum] = [createHash('md5').update(text).digest('hex'), createHash('sha256').update(text).digest('base64')];
  return { bytes: [text], headers: { ETag: `"${tag}"`, 'Repr-Digest': `sha-256=:${sum}:` } };
}
