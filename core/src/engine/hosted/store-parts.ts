import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { BlobSource, ByteRange } from '../../api/blob-store.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { ReceivedEntry } from '../../api/hosted.js';
import type { UploadBody } from '../store/upload-body.js';
import type { ReplyParts } from '../reply/reply-parts.js';
import { digestOfGiven, streamOfGiven } from './given-bytes.js';

/** The bytes of one part of a change. */
interface PartBytes {
  readonly digest: Digest;
  readonly size: number;
  readonly source: BlobSource;
}

/**
 * Keeps the bytes of all parts of a change.
 * @param body that the client sent, for parts that bring no bytes of their own
 * @param storedBy the name of the client
 * @returns the entries that will point at them
 */
export async function storeParts(
  { definition, services }: Pick<ReplyParts, 'definition' | 'services'>,
  parts: readonly ReceivedEntry[],
  body: UploadBody | undefined,
  storedBy?: string,
): Promise<readonly Entry[]> {
  const stored = new Set<Digest>();
  const entries: Entry[] = [];
  for (const part of parts) {
    const { key, mediaType, headers = {}, coordinates, attributes } = part;
    const { digest, size } = part.sameAs ?? (await store(part));
    const now = services.clock.now();
    entries.push({
      repository: definition.name,
      key,
      digest,
      size,
      mediaType,
      headers,
      lastModified: new Date(now).toUTCString(),
      fetchedAt: now,
      checkedAt: now,
      integrity: [],
      coordinates,
      attributes,
      storedBy,
    });
  }
  return entries;

  async function store({ key, bytes, slice }: ReceivedEntry): Promise<PartBytes> {
    const part = bytes === undefined ? body && (await bytesOfBody(body, slice)) : await bytesGiven(bytes);
    if (part === undefined) {
      const { id } = definition.plugin;
      throw new EntrepotError('plugin', `Plugin ${id} gives no bytes for ${key}, and the request has none there`);
    }
    const { digest, source } = part;
    if (!stored.has(digest)) await services.storage.blobs.put(definition.name, part, source);
    stored.add(digest);
    return part;
  }
}

async function bytesGiven(bytes: Uint8Array): Promise<PartBytes> {
  return {
    digest: await digestOfGiven(bytes),
    size: bytes.length,
    source: { open: () => streamOfGiven(bytes) },
  };
}

/** `undefined`: the body has no such part. */
async function bytesOfBody(body: UploadBody, slice?: ByteRange): Promise<PartBytes | undefined> {
  const { digest, size, path } = body;
  if (slice !== undefined) return slice.end < size ? await bytesOfSlice(path, slice) : undefined;
  return { digest, size, source: sourceOfBody(body) };
}

/** The bytes of a body, for a store. */
export function sourceOfBody({ size, path }: UploadBody): BlobSource {
  return size === 0 ? { open: () => Readable.from([]) } : { open: () => createReadStream(path), path };
}

async function bytesOfSlice(path: string, { start, end }: ByteRange): Promise<PartBytes> {
  const open = (): Readable => createReadStream(path, { start, end });
  const hash = createHash('sha256');
  for await (const piece of open()) hash.update(piece as Buffer);
  return { digest: `sha256:${hash.digest('hex')}`, size: end - start + 1, source: { open } };
}
