import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { BlockBlobClient } from '@azure/storage-blob';
import { type ObjectBody, Pieces, sendBody, UnexpectedReply } from '@entrepot/core/blobs';
import { failureOf } from './failure.js';
import type { Requests } from './requests.js';

const MIB = 1024 * 1024;
/** The most blocks. Azure takes 50,000. */
const MAX_BLOCKS = 45_000;
/** Sizes of what is sent in one request, in bytes. */
export interface SendSizes {
  /** Blobs above this size are sent in blocks. */
  readonly blocksAbove: number;
  /** The smallest block. */
  readonly block: number;
}

export const SEND_SIZES: SendSizes = { blocksAbove: 32 * MIB, block: 16 * MIB };

/** How a blob is sent. */
export interface PutOptions {
  readonly sizes: SendSizes;
  readonly signal?: AbortSignal | undefined;
}

/** The number of blocks that are sent side by side. */
const WIDTH = 2;

/** Writes a blob, whole or not at all: blocks are no blob before all of them are committed. */
export async function putBlob(
  requests: Requests,
  blob: BlockBlobClient,
  body: ObjectBody,
  { sizes, signal }: PutOptions,
): Promise<void> {
  if (body.size <= sizes.blocksAbove) await sendWhole(requests, blob, body, signal);
  else await sendBlocks(requests, blob, body, { sizes, signal });
}

async function sendWhole(
  requests: Requests,
  blob: BlockBlobClient,
  { size, known, open, retry }: ObjectBody,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { etag } = await retry(async () => {
    const bytes = known?.part(0, size - 1) ?? Readable.from(open(), { objectMode: false });
    return await send(requests, bytes, signal, (body, options) => blob.upload(body, size, options));
  });
  if (etag === undefined) throw new UnexpectedReply('expected a tag of the blob from Azure, found none');
}

async function sendBlocks(
  requests: Requests,
  blob: BlockBlobClient,
  body: ObjectBody,
  { sizes, signal }: PutOptions,
): Promise<void> {
  const { size, known, open, retry } = body;
  const length = Math.max(sizes.block, Math.ceil(size / MAX_BLOCKS));
  const count = Math.ceil(size / length);
  // Of several writers each has blocks of its own.
  const writer = randomUUID();
  const ids = Array.from({ length: count }, (_, at) =>
    Buffer.from(`${writer}-${String(at).padStart(6, '0')}`).toString('base64'),
  );
  const bytes = known === undefined ? open() : undefined;
  const pieces = bytes && new Pieces(bytes);
  const failing = new AbortController();
  const ending = signal === undefined ? failing.signal : AbortSignal.any([signal, failing.signal]);
  let next = 0;
  async function sendNext(): Promise<void> {
    while (next < count && !ending.aborted) {
      const at = next;
      next += 1;
      const start = at * length;
      const end = Math.min(size, start + length) - 1;
      await retry(async () => {
        const part =
          pieces === undefined
            ? (known?.part(start, end) as Buffer | Readable)
            : Readable.from(pieces.next(end - start + 1), { objectMode: false });
        await send(requests, part, ending, (sent, options) =>
          blob.stageBlock(ids[at] as string, sent, end - start + 1, options),
        );
      });
    }
  }
  try {
    // All of them have ended before this fails.
    const lanes = Array.from({ length: known === undefined ? 1 : WIDTH }, () =>
      sendNext().catch((error: unknown) => {
        failing.abort(error);
        throw error;
      }),
    );
    const failed = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected');
    if (failed !== undefined) throw failing.signal.reason ?? failed.reason;
    signal?.throwIfAborted();
    await commit(requests, blob, { ids, size }, signal);
  } finally {
    await bytes?.return(undefined);
  }
}

async function commit(
  requests: Requests,
  blob: BlockBlobClient,
  { ids, size }: { readonly ids: string[]; readonly size: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const { etag } = await requests.ask(signal, ({ abortSignal }) => blob.commitBlockList(ids, { abortSignal }));
    if (etag === undefined) throw new UnexpectedReply('expected a tag of the blob from Azure, found none');
  } catch (error) {
    // Another writer of the same bytes was first, which drops all other blocks; or the answer to an attempt of ours was lost.
    if (failureOf(error).code !== 'InvalidBlockList') throw error;
    const { contentLength } = await requests.ask(signal, ({ abortSignal }) => blob.getProperties({ abortSignal }));
    if (contentLength !== size) throw error;
  }
}

/** Sends a request with a body. One that fails ends the request at once. */
async function send<T>(
  requests: Requests,
  body: Buffer | Readable,
  signal: AbortSignal | undefined,
  work: (
    body: Buffer | (() => Readable),
    options: { readonly abortSignal: AbortSignal; readonly onProgress: () => void },
  ) => Promise<T>,
): Promise<T> {
  return await sendBody(body, signal === undefined ? {} : { abortSignal: signal }, ({ abortSignal }) =>
    requests.ask(abortSignal, (options) => work(body instanceof Readable ? () => body : body, options)),
  );
}
