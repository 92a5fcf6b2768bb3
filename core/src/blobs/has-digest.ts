import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Digest } from '../api/digest.js';

/** Whether bytes are those of `digest`. Reads them to their end. */
export async function hasDigest(bytes: Readable, digest: Digest): Promise<boolean> {
  const hash = createHash('sha256');
  for await (const chunk of bytes as AsyncIterable<Buffer>) hash.update(chunk);
  return `sha256:${hash.digest('hex')}` === digest;
}
