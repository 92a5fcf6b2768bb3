import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Digest } from '../api/digest.js';

/** `size` bytes that look random but are the same in every run. Another `seed` gives other bytes. */
export function sampleBytes(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  // xorshift32; its state must not be 0.
  let state = (seed * 0x9e3779b1) >>> 0 || 1;
  for (let index = 0; index < size; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state & 0xff;
  }
  return bytes;
}

/** Our address of `bytes`. */
export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Everything that `stream` still holds. Rejects when it ends early. */
export async function readStream(stream: Readable): Promise<Buffer> {
  return buffer(stream);
}

/** `bytes` in pieces of `size`. */
export function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}
