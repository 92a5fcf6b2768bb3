import { createHash, subtle } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Digest } from '../../api/digest.js';

/** Above this size a sum takes longer than a request may wait for: it is made on a thread. Bytes. */
const LARGE = 256 * 1024;
/** The bytes that a store is given at once. */
const PIECE = 64 * 1024;

/** The digest of bytes that a plugin made, however many they are. */
export async function digestOfGiven(bytes: Uint8Array): Promise<Digest> {
  if (bytes.length <= LARGE) return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const sum = await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  return `sha256:${Buffer.from(sum).toString('hex')}`;
}

/** The same bytes as a stream for a store, which works on one piece at a time. */
export function streamOfGiven(bytes: Uint8Array): Readable {
  return Readable.from(piecesOf(bytes), { objectMode: false });
}

function* piecesOf({ buffer, byteOffset, byteLength }: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < byteLength; at += PIECE)
    yield Buffer.from(buffer, byteOffset + at, Math.min(PIECE, byteLength - at));
}
