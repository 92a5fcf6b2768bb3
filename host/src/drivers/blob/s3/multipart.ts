import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { CompletedPart } from '@aws-sdk/client-s3';
import { type KnownBytes, sendBody, type SendOptions } from '@entrepot/core/blobs';
import { abortUpload, type PartedUpload } from './abort-upload.js';
import { type S3Connection, SLOW, WRITE_ATTEMPTS } from './connection.js';
import { failureOf, S3ReplyError, withRetries } from './failure.js';
import { headObject } from './head-object.js';
import { withPayloadHash } from './payload-hash.js';

/** The smallest part, in bytes. */
const PART = 16 * 1024 * 1024;
/** The most parts. S3 takes 10,000. */
const MAX_PARTS = 9_000;
/** The number of parts that are sent side by side. */
const WIDTH = 2;

export interface PartedBytes {
  readonly size: number;
  readonly bytes: KnownBytes;
  /** Whether any part can be had any number of times. `false`: they come one after the other, each once. */
  readonly isKnown: boolean;
}

/** Writes an object in parts of the same size. Nothing of it is seen, and nothing of it stays, unless all goes well. */
export async function uploadParts(
  connection: S3Connection,
  key: string,
  parted: PartedBytes,
  options: SendOptions,
): Promise<void> {
  const { sdk, client, encryption, object } = connection;
  const repeat = { attempts: WRITE_ATTEMPTS, signal: options.abortSignal };
  const { UploadId } = await withRetries(
    () => client.send(new sdk.CreateMultipartUploadCommand({ ...object(key), ...encryption }), options),
    repeat,
  );
  if (UploadId === undefined) throw new S3ReplyError('expected the id of an upload from S3, found none', { status: 0 });
  const upload = { ...object(key), UploadId };
  connection.uploads.add(UploadId);
  let isComplete = false;
  try {
    const Parts = await sendParts(connection, upload, parted, options);
    const complete = new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
    await withRetries(() => client.send(complete, { ...options, ...SLOW }), repeat).catch((error: unknown) => {
      // An attempt whose answer was lost may have done it.
      if (failureOf(error).code !== 'NoSuchUpload') throw error;
    });
    const found = await withRetries(() => headObject(connection, key, options), repeat);
    if (found?.size !== parted.size) {
      throw new S3ReplyError(
        `expected ${parted.size} bytes after an upload in parts, found ${found?.size ?? 'no object'}`,
        {
          status: 0,
        },
      );
    }
    isComplete = true;
  } finally {
    // An upload that cannot be aborted now is left to the collector.
    if (!isComplete) await abortUpload(connection, upload).catch(() => {});
    connection.uploads.delete(UploadId);
  }
}

async function sendParts(
  connection: S3Connection,
  upload: PartedUpload,
  { size, bytes, isKnown }: PartedBytes,
  { abortSignal }: SendOptions,
): Promise<CompletedPart[]> {
  const partSize = Math.max(PART, Math.ceil(size / MAX_PARTS));
  const count = Math.ceil(size / partSize);
  const sent: CompletedPart[] = [];
  const failing = new AbortController();
  const signals = abortSignal === undefined ? [failing.signal] : [abortSignal, failing.signal];
  const signal = AbortSignal.any(signals);
  let next = 1;
  async function sendNext(): Promise<void> {
    while (next <= count && !signal.aborted) {
      const number = next;
      next += 1;
      const start = (number - 1) * partSize;
      const part = { number, start, end: Math.min(size, start + partSize) - 1 };
      const send = (): Promise<CompletedPart> => sendPart(connection, upload, { ...part, bytes, isKnown }, signal);
      sent[number - 1] = await withRetries(send, { attempts: isKnown ? WRITE_ATTEMPTS : 1, signal });
    }
  }
  // All of them have ended before the upload is aborted.
  const lanes = Array.from({ length: isKnown ? WIDTH : 1 }, () =>
    sendNext().catch((error: unknown) => {
      failing.abort(error);
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected');
  if (failed !== undefined) throw failing.signal.reason ?? failed.reason;
  abortSignal?.throwIfAborted();
  return sent;
}

async function sendPart(
  { sdk, client }: S3Connection,
  upload: PartedUpload,
  part: { readonly number: number; readonly start: number; readonly end: number } & Omit<PartedBytes, 'size'>,
  signal: AbortSignal,
): Promise<CompletedPart> {
  const { number, start, end, bytes, isKnown } = part;
  const hex = isKnown ? await hashOf(bytes.part(start, end)) : undefined;
  const body = bytes.part(start, end);
  const command = new sdk.UploadPartCommand({
    ...upload,
    PartNumber: number,
    Body: body,
    ContentLength: end - start + 1,
  });
  if (hex !== undefined) command.middlewareStack.add(withPayloadHash(hex), { step: 'build', name: 'payloadHash' });
  const { ETag } = await sendBody(body, { abortSignal: signal }, (signals) =>
    client.send(command, { ...signals, ...SLOW }),
  );
  if (ETag === undefined) throw new S3ReplyError('expected a tag of the part from S3, found none', { status: 0 });
  return { PartNumber: number, ETag };
}

async function hashOf(bytes: Buffer | Readable): Promise<string> {
  const hash = createHash('sha256');
  if (!(bytes instanceof Readable)) return hash.update(bytes).digest('hex');
  for await (const chunk of bytes as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}
