import { pipeline, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { Integrity } from '../../api/integrity.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import type { TransportReply } from '../../api/transport.js';

/** Names of files that are compressed by themselves: servers often label them with a content coding that is none. */
const COMPRESSED_NAME = /\.(?:gz|tgz|br|bz2|xz|zst)$/i;
/** Characters of a header that is passed on: codings by name (RFC 9110 §8.4). */
const PRINTABLE = /^[\w!#$%&'*+.^`|~, -]{1,100}$/;
/** The most bytes that tell a coding. */
const MAGIC_BYTES = 4;

interface Coding {
  create(): Transform;
  /** Whether a body can begin so. */
  begins(head: Buffer): boolean;
}

const GZIP: Coding = { create: () => createGunzip(), begins: (head) => head[0] === 0x1f && head[1] === 0x8b };

/** Codings that can be decoded, by name (RFC 9110 §8.4.1, RFC 7932, RFC 8878). */
const CODINGS: ReadonlyMap<string, Coding> = new Map([
  ['gzip', GZIP],
  ['x-gzip', GZIP],
  // A zlib header (RFC 1950 §2.2).
  [
    'deflate',
    {
      create: () => createInflate(),
      begins: (head) => ((head[0] ?? 0) & 15) === 8 && head.length > 1 && head.readUInt16BE(0) % 31 === 0,
    },
  ],
  ['br', { create: () => createBrotliDecompress(), begins: () => true }],
  [
    'zstd',
    {
      create: () => createZstdDecompress(),
      begins: (head) => head.length >= MAGIC_BYTES && head.readUInt32LE(0) === 0xfd2fb528,
    },
  ],
]);

/** Treatment of the content coding of a reply. */
export type CodingPlan =
  /** The bytes are taken as they come, and there is no coding to speak of. */
  | { readonly kind: 'none' }
  /** It is undone on the way in. */
  | { readonly kind: 'undo'; readonly coding: string }
  /** The bytes and their coding are kept and passed on as they came. */
  | { readonly kind: 'pass'; readonly coding: string }
  /** The promised digest tells whether the bytes are meant as they came, or decoded. */
  | { readonly kind: 'weigh'; readonly coding: string };

/**
 * Decides how to treat the coding of `reply`. Many labels are false: servers derive them from the name of a file (`.tgz` is
 * `gzip`), or send values that are no codings (`none`, `utf-8`, `aws-chunked`).
 */
export function planCoding(
  resource: ArtifactResource | DocumentResource,
  reply: Pick<TransportReply, 'headers'>,
  promised: readonly Integrity[],
): CodingPlan {
  const coding = reply.headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity') return { kind: 'none' };
  if (resource.isRendered) return { kind: 'undo', coding };
  const path = resource.upstreamPath.split('?', 1)[0] as string;
  if (COMPRESSED_NAME.test(resource.kind === 'artifact' ? resource.filename : path)) {
    return promised.length > 0 ? { kind: 'weigh', coding } : { kind: 'none' };
  }
  if (promised.length > 0) return { kind: 'weigh', coding };
  if (resource.keepsCoding !== true) return { kind: 'undo', coding };
  return PRINTABLE.test(coding) ? { kind: 'pass', coding } : { kind: 'none' };
}

/** The bytes of `body` without the codings that `coding` names, where they have them: a label that is none is passed over. */
export function undone(body: AsyncIterable<Buffer>, coding: string): AsyncIterable<Buffer> {
  // In the order in which they were applied.
  return coding
    .split(',')
    .map((name) => CODINGS.get(name.trim()))
    .filter((known) => known !== undefined)
    .reduceRight(undoOne, body);
}

async function* undoOne(body: AsyncIterable<Buffer>, { create, begins }: Coding): AsyncGenerator<Buffer> {
  const parts = body[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  async function* whole(): AsyncGenerator<Buffer> {
    try {
      yield head;
      for (let next = await parts.next(); next.done !== true; next = await parts.next()) yield next.value;
    } finally {
      await parts.return?.();
    }
  }
  while (head.length < MAGIC_BYTES) {
    const next = await parts.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  if (!begins(head)) {
    yield* whole();
    return;
  }
  const decoder = create();
  pipeline(whole, decoder, () => {});
  yield* decoder as AsyncIterable<Buffer>;
}
