import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { ReceivedEntry } from '../../api/hosted.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { UploadBody } from '../store/upload-body.js';

/** Services that keep the bytes of a change. */
export interface StoringContext {
  readonly definition: RepositoryDefinition;
  readonly services: Pick<EngineServices, 'clock' | 'storage'>;
}

/**
 * Keeps the bytes of all parts of a change.
 * @param body that the client sent, for parts that bring no bytes of their own
 * @returns the entries that will point at them
 */
export async function storeParts(
  context: StoringContext,
  parts: readonly ReceivedEntry[],
  body: UploadBody | undefined,
): Promise<readonly Entry[]> {
  const stored = new Set<Digest>();
  const entries: Entry[] = [];
  for (const part of parts) {
    const blob = part.sameAs ?? (await putBlob(context, part, body, stored));
    entries.push(entryOf(context, part, blob));
  }
  return entries;
}

interface StoredBlob {
  readonly digest: Digest;
  readonly size: number;
}

function entryOf({ definition, services }: StoringContext, part: ReceivedEntry, { digest, size }: StoredBlob): Entry {
  const now = services.clock.now();
  return {
    repository: definition.name,
    key: part.key,
    digest,
    size,
    mediaType: part.mediaType,
    headers: part.headers ?? {},
    lastModified: new Date(now).toUTCString(),
    fetchedAt: now,
    checkedAt: now,
    integrity: [],
    coordinates: part.coordinates,
    attributes: part.attributes,
  };
}

async function putBlob(
  { definition, services }: StoringContext,
  { key, bytes }: ReceivedEntry,
  body: UploadBody | undefined,
  stored: Set<Digest>,
): Promise<StoredBlob> {
  const { blobs } = services.storage;
  if (bytes !== undefined) {
    const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (!stored.has(digest)) {
      const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      await blobs.put(digest, bytes.length, { open: () => Readable.from([whole], { objectMode: false }) });
    }
    stored.add(digest);
    return { digest, size: bytes.length };
  }
  if (body === undefined) {
    const { plugin } = definition;
    throw new EntrepotError('plugin', `Plugin ${plugin.id} gives no bytes for ${key}, and the request has none`);
  }
  const { digest, size, path } = body;
  if (!stored.has(digest)) {
    await blobs.put(
      digest,
      size,
      size === 0 ? { open: () => Readable.from([]) } : { open: () => createReadStream(path), path },
    );
  }
  stored.add(digest);
  return { digest, size };
}
