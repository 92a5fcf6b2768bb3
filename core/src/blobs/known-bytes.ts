import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { BlobSource } from '../api/blob-store.js';
import { EntrepotError, messageOf } from '../api/errors.js';

/** Bytes whose digest is known, any part of which can be had any number of times. */
export interface KnownBytes {
  /** A part of them. `end` is included. */
  part(start: number, end: number): Buffer | Readable;
}

/**
 * The bytes of a source whose digest the caller has verified. `undefined`: those of this one have yet to be verified.
 * @throws EntrepotError `integrity` when they are not `size` bytes
 */
export async function knownBytes({ bytes, path }: BlobSource, size: number): Promise<KnownBytes | undefined> {
  if (bytes !== undefined) {
    assertSize(bytes.length, size, 'in memory');
    return bytesInMemory(bytes);
  }
  if (path === undefined) return undefined;
  const found = await stat(path).catch((error: unknown) => {
    throw new EntrepotError('storage', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  });
  assertSize(found.size, size, `in ${path}`);
  return {
    part: (start, end) =>
      end < start ? Buffer.alloc(0) : createReadStream(path, { start, end, highWaterMark: 256 * 1024 }),
  };
}

/** Bytes that are in memory. They must not be written to again. */
export function bytesInMemory(bytes: Uint8Array): KnownBytes {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { part: (start, end) => buffer.subarray(start, end + 1) };
}

function assertSize(found: number, expected: number, where: string): void {
  if (found !== expected) throw new EntrepotError('integrity', `expected ${expected} bytes, found ${found} ${where}`);
}
