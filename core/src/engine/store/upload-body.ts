import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import { EntrepotError, storageFull } from '../../api/errors.js';
import { printIntegrity, strongest, type Integrity, type IntegrityAlgorithm } from '../../api/integrity.js';
import { contentOf } from './content.js';
import type { EngineRequest } from '../request/request.js';
import { Spool } from './spool.js';
import type { SpoolSpace } from './spool-space.js';

/** All bytes of an upload, in a file that is not written to any more. */
export interface UploadBody {
  readonly size: number;
  readonly digest: Digest;
  /** Nothing is there when it has no bytes. */
  readonly path: string;
  /** Removes the file, unless it was linked. */
  release(): Promise<void>;
}

/**
 * Reads the body of `request` into a file.
 * @throws EntrepotError `too-large` above `maxBytes`, `storage` when the disk is full, `bad-request` when it breaks off
 */
export async function receiveBody(spools: SpoolSpace, request: EngineRequest, maxBytes: number): Promise<UploadBody> {
  const announced = Number(request.header('content-length') ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const spool = new Spool(spools);
  const hash = createHash('sha256');
  try {
    for await (const bytes of request.body as AsyncIterable<Buffer>) {
      if (spool.size + bytes.length > maxBytes) throw tooLarge(maxBytes);
      hash.update(bytes);
      await spool.append(bytes);
      if (!spool.isWhole) throw diskFull();
    }
    if (request.signal.aborted) throw brokeOff();
    await spool.toFile();
    if (!spool.isWhole) throw diskFull();
  } catch (error) {
    await spool.release();
    throw asBrokeOff(error);
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  return { size: spool.size, digest, path: spool.path, release: () => spool.release() };
}

/** The content of `body`, for hooks. */
export function contentOfBody({ size, path }: UploadBody, mediaType: string): Content {
  if (size === 0) return contentOf(0, mediaType, () => []);
  return contentOf(size, mediaType, () => createReadStream(path), path);
}

/**
 * Checks `body` against what the client said that it is.
 * @throws EntrepotError `bad-request` with the code `DIGEST_MISMATCH`
 */
export async function checkIntegrity(body: UploadBody, expected: readonly Integrity[]): Promise<void> {
  const [first, ...others] = strongest(expected);
  if (first === undefined) return;
  const { algorithm } = first;
  const hex = await hexOf(body, algorithm);
  if ([first, ...others].some((promise) => promise.hex === hex)) return;
  const wanted = [first, ...others].map(printIntegrity).join(' or ');
  throw new EntrepotError(
    'bad-request',
    `Expected ${wanted}, found ${printIntegrity({ algorithm, hex })}; nothing was stored`,
    { code: 'DIGEST_MISMATCH' },
  );
}

async function hexOf(body: UploadBody, algorithm: IntegrityAlgorithm): Promise<string> {
  if (algorithm === 'sha256') return body.digest.slice('sha256:'.length);
  const hash = createHash(algorithm);
  for await (const bytes of contentOfBody(body, 'application/octet-stream').stream()) hash.update(bytes);
  return hash.digest('hex');
}

/** The error for a body above its bound. */
export function tooLarge(maxBytes: number): EntrepotError {
  return new EntrepotError('too-large', `The upload has more than the ${maxBytes} bytes that are taken here`);
}

/** The error for bytes that nothing is left to keep on. */
export function diskFull(): EntrepotError {
  return storageFull('The disk has no room for this upload');
}

/** The error of a body that was not read to its end: ours, or the client has gone in the middle of it. */
export function asBrokeOff(error: unknown): EntrepotError {
  return error instanceof EntrepotError ? (error as EntrepotError) : brokeOff(error);
}

/** The error for a client that has gone in the middle of its upload. */
export function brokeOff(cause?: unknown): EntrepotError {
  return new EntrepotError('bad-request', 'The upload broke off', { code: 'UPLOAD_BROKE_OFF', cause });
}
