import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type BlobSource, EntrepotError } from '@entrepot/core';
import type { SendOptions } from './connection.js';
import { storageError } from '../storage-error.js';

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
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return { part: (start, end) => buffer.subarray(start, end + 1) };
  }
  if (path === undefined) return undefined;
  const found = await stat(path).catch((error: unknown) => {
    throw storageError(error, 'read', path);
  });
  assertSize(found.size, size, `in ${path}`);
  return {
    part: (start, end) =>
      end < start ? Buffer.alloc(0) : createReadStream(path, { start, end, highWaterMark: 256 * 1024 }),
  };
}

function assertSize(found: number, expected: number, where: string): void {
  if (found !== expected) throw new EntrepotError('integrity', `expected ${expected} bytes, found ${found} ${where}`);
}

/**
 * Sends a request with a body. A body that fails ends the request at once: the server would wait for the rest of it.
 * @param send gets the signal that ends it
 */
export async function sendBody<T>(
  body: Buffer | Readable,
  { abortSignal }: SendOptions,
  send: (options: Required<SendOptions>) => Promise<T>,
): Promise<T> {
  const failing = new AbortController();
  const signals = abortSignal === undefined ? [failing.signal] : [abortSignal, failing.signal];
  let failure: Error | undefined;
  if (body instanceof Readable) {
    body.on('error', (error) => {
      failure ??= error;
      failing.abort(error);
    });
  }
  try {
    return await send({ abortSignal: AbortSignal.any(signals) });
  } catch (error) {
    throw failure ?? error;
  } finally {
    if (body instanceof Readable) body.destroy();
  }
}

/** Sets the hash of the body, which the server holds it against. It is not hashed again for that. */
export function withPayloadHash(hex: string) {
  return <Args extends { readonly request: unknown }, Result>(next: (args: Args) => Promise<Result>) =>
    async (args: Args): Promise<Result> => {
      const { headers } = args.request as { readonly headers: Record<string, string> };
      headers['x-amz-content-sha256'] = hex;
      return await next(args);
    };
}
