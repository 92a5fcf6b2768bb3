import { EntrepotError, type Content, type HostedChange } from '@entrepot/core';
import type { Resource } from '@entrepot/core';

/**
 * Makes the entry of a release. The body is not read into memory: it becomes the bytes of the entry as the file that it was received in.
 * @throws EntrepotError `bad-request` for a body that is not gzipped
 */
export async function receiveRelease({ key, coordinates }: Resource, content: Content): Promise<HostedChange> {
  const [first, second] = await firstBytes(content, 2);
  // RFC 1952 §2.3.1
  if (first !== 0x1f || second !== 0x8b) throw new EntrepotError('bad-request', 'Expected a file that is gzipped');
  return { create: [{ key, coordinates, mediaType: 'application/gzip' }] };
}

async function firstBytes(content: Content, count: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of content.stream()) {
    pieces.push(piece);
    size += piece.length;
    if (size >= count) break;
  }
  return Buffer.concat(pieces).subarray(0, count);
}
