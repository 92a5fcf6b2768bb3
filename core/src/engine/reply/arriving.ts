import { PassThrough, pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { DocumentBytes } from '../../api/protocol.js';
import type { DocumentResource } from '../request/resource.js';
import type { ArrivingDocument, FlightHead } from '../fetch/shared-flight.js';
import { withoutHeaders } from '../request/merge-headers.js';
import type { EngineRequest } from '../request/request.js';
import { listContext } from '../policy/list-context.js';
import { VALIDATORS, type Encoding } from '../store/renditions.js';
import { chooseEncoding } from './encoding.js';
import type { CacheFacts } from './outcome.js';
import type { ReplyParts } from './reply-parts.js';
import { varyOf, type Representation } from './respond.js';

/** A document that is still arriving. */
export interface Arriving {
  readonly head: FlightHead;
  readonly document: ArrivingDocument;
  /** Resolves when all of it is right. */
  readonly verified: Promise<unknown>;
}

/** Renders a document while it arrives, where policy refuses nothing. */
export async function renderArriving(
  parts: ReplyParts,
  request: EngineRequest,
  resource: DocumentResource,
  { head, document: { parsed, content }, verified }: Arriving,
  facts: CacheFacts,
): Promise<Representation> {
  const encoding = chooseEncoding(request, resource.mediaType ?? head.mediaType, Infinity);
  const { context } = await listContext(parts, request, resource);
  const arriving = { isAbsent: false, isArriving: true, headers: head.headers, cachedKeys: [] };
  const { bytes, headers } = await resource.render(parsed, { ...context, ...arriving, content });
  return {
    ...parts.representations.base(resource, head, facts, { headers: headers && withoutHeaders(headers, VALIDATORS) }),
    size: undefined,
    etag: undefined,
    lastModified: undefined,
    vary: varyOf(resource),
    encoding: encoding === 'identity' ? undefined : encoding,
    ranges: false,
    open: () => arrivingBody(bytes, encoding, verified),
  };
}

/**
 * Encodes the bytes of an arriving document. Its last piece is held back until `verified` resolves, so that a wrong
 * one never looks complete.
 */
function arrivingBody(bytes: DocumentBytes, encoding: Encoding, verified: Promise<unknown>): Readable {
  const body = encoding === 'gzip' ? createGzip() : new PassThrough();
  // A failure ends the connection in the middle: a status can no longer tell of it.
  pipeline(Readable.from(heldBack(bytes, verified), { objectMode: false }), body, () => {});
  return body;
}

async function* heldBack(bytes: DocumentBytes, verified: Promise<unknown>): AsyncGenerator<Uint8Array> {
  let held: Buffer | undefined;
  try {
    for await (const part of bytes) {
      if (part.length === 0) continue;
      if (held !== undefined) yield held;
      held = Buffer.from(part as string);
    }
  } catch (error) {
    // Whoever hears of it and asks again must not join the same flight.
    await verified;
    throw error;
  }
  await verified;
  if (held !== undefined) yield held;
}
