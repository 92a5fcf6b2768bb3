import { Readable } from 'node:stream';
import type { BlobSource, Digest } from '@entrepot/core';
import { knownBytes, Pieces, sendBody, type SendOptions, verifiedBytes } from '@entrepot/core/blobs';
import { type S3Connection, SLOW, WRITE_ATTEMPTS } from './connection.js';
import { S3ReplyError } from './failure.js';
import { uploadParts } from './multipart.js';
import { withPayloadHash } from './payload-hash.js';

export interface PutOptions {
  /** Blobs above this size are sent in parts, in bytes. */
  readonly multipartAbove: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a blob under `key`, whole or not at all.
 * @throws EntrepotError `integrity` when the source has not the bytes that it promised
 */
export async function putObject(
  connection: S3Connection,
  key: string,
  blob: { readonly digest: Digest; readonly size: number; readonly source: BlobSource },
  { multipartAbove, signal }: PutOptions,
): Promise<void> {
  const { digest, size, source } = blob;
  const hex = digest.slice('sha256:'.length);
  const known = await knownBytes(source, size);
  const run = (work: (options: SendOptions) => Promise<void>, attempts = WRITE_ATTEMPTS): Promise<void> =>
    connection.run('write', key, work, { signal, attempts });
  // Each attempt opens a source anew whose bytes have yet to be verified.
  const verified = (): AsyncGenerator<Buffer> => verifiedBytes(() => source.open(), digest, size);
  if (size <= multipartAbove) {
    await run(async (options) => {
      const body = known?.part(0, size - 1) ?? Readable.from(verified(), { objectMode: false });
      await sendObject(connection, key, { body, size, hex }, options);
    });
  } else if (known !== undefined) {
    // Its parts are repeated one by one.
    await run((options) => uploadParts(connection, key, { size, bytes: known, isKnown: true }, options), 1);
  } else {
    await run(async (options) => {
      const bytes = verified();
      try {
        const pieces = new Pieces(bytes);
        const part = (start: number, end: number) => Readable.from(pieces.next(end - start + 1), { objectMode: false });
        await uploadParts(connection, key, { size, bytes: { part }, isKnown: false }, options);
      } finally {
        await bytes.return(undefined);
      }
    });
  }
}

/** Sends an object in one request. */
async function sendObject(
  connection: S3Connection,
  key: string,
  { body, size, hex }: { readonly body: Buffer | Readable; readonly size: number; readonly hex: string },
  options: SendOptions,
): Promise<void> {
  const command = new connection.sdk.PutObjectCommand({
    ...connection.object(key),
    ...connection.encryption,
    Body: body,
    ContentLength: size,
  });
  command.middlewareStack.add(withPayloadHash(hex), { step: 'build', name: 'payloadHash' });
  const { ETag } = await sendBody(body, options, (signals) => connection.client.send(command, { ...signals, ...SLOW }));
  if (ETag === undefined) throw new S3ReplyError('expected a tag of the object from S3, found none', { status: 0 });
}
