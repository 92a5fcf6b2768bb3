import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { pipeline, type Readable } from 'node:stream';
import { EntrepotError } from '../../api/errors.js';
import type { EngineRequest } from './request.js';

/**
 * The whole body of a request, any content coding undone.
 * @throws EntrepotError `too-large` above `limit` bytes, also when only its inflated form is; `bad-request` for a body
 * that breaks off or is not coded as it says
 */
export async function readRequestBody(request: EngineRequest, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of decoded(request, limit) as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > limit) throw tooLarge(limit);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof EntrepotError) throw error;
    throw new EntrepotError('bad-request', 'The request body broke off, or is not coded as its Content-Encoding says', {
      cause: error,
    });
  }
  return Buffer.concat(parts);
}

function decoded(request: EngineRequest, limit: number): Readable {
  const { body } = request;
  const coding = request.header('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding === 'identity') return body;
  const decoder =
    coding === 'gzip'
      ? createGunzip()
      : coding === 'deflate'
        ? createInflate()
        : coding === 'br'
          ? createBrotliDecompress()
          : undefined;
  if (decoder === undefined) {
    throw new EntrepotError('bad-request', 'Unknown Content-Encoding; expected gzip, deflate, br or none', {
      status: 415,
      code: 'UNSUPPORTED_CODING',
    });
  }
  pipeline(
    body,
    (source: AsyncIterable<Buffer>) => bounded(source, limit),
    decoder,
    () => {},
  );
  return decoder;
}

/** Ends a coded body that has more bytes than its decoded form may have: not all of them need become bytes of that. */
async function* bounded(source: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const bytes of source) {
    size += bytes.length;
    if (size > limit) throw tooLarge(limit);
    yield bytes;
  }
}

function tooLarge(limit: number): EntrepotError {
  return new EntrepotError('too-large', `The request body has more than ${limit} bytes`);
}
