import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { BlobSource } from '../../api/blob-store.js';
import type { Entry, EntryRenewal, Fence } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import { isPinned } from '../store/pinned-name.js';
import { entryByDigest } from './pinned-document.js';
import type { EngineServices } from '../store/repository.js';

/** A verified body: `bytes`, else the whole of the file at `path`. */
interface Body {
  readonly bytes?: Buffer | undefined;
  readonly path: string;
}

/** Keeps the bytes of `entry`. The blob comes first: an entry never points at a missing one. */
export async function putBlob({ storage }: EngineServices, entry: Entry, body: Body): Promise<void> {
  await storage.blobs.put(entry.repository, entry, sourceOf(body));
  if (body.bytes !== undefined) storage.blobs.remember(entry.digest, body.bytes);
}

/** The bytes of a body, for a store. */
export function sourceOf({ bytes, path }: Body): BlobSource {
  return bytes === undefined
    ? { open: () => createReadStream(path), path }
    : { open: () => Readable.from([bytes]), bytes };
}

/**
 * Publishes `entry`, whose blob is kept. Of an artifact the first copy wins.
 * @param kept the copy that was revalidated
 * @param fence the lease of the cluster for it
 * @returns the entry in force
 * @throws EntrepotError `integrity` when another replica was first with other bytes
 */
export async function putEntry(
  services: EngineServices,
  resource: ArtifactResource | DocumentResource,
  entry: Entry,
  kept: Entry | undefined,
  fence?: Fence,
): Promise<Entry> {
  const { entries } = services.storage;
  if (isPinned(resource)) await entries.putIfAbsent([entryByDigest(resource, entry)]);
  if (kept?.digest === entry.digest) {
    const facts = resource.kind === 'document' && kept.facts !== undefined ? (entry.facts ?? {}) : undefined;
    return (await entries.touch(kept, { ...renewalBy(entry), facts })) ?? entry;
  }
  if (resource.kind === 'document') {
    await entries.replace(entry, fence);
    return entry;
  }
  const [winner = entry] = await entries.putIfAbsent([entry], fence);
  if (winner.digest === entry.digest) {
    // Its bytes were fetched anew, perhaps since they were lost.
    if (winner.fetchedAt === entry.fetchedAt) {
      services.observer?.kept?.(winner);
      return winner;
    }
    return (await entries.touch(winner, renewalBy(entry))) ?? winner;
  }
  const facts = { repository: entry.repository, key: entry.key, kept: winner.digest, found: entry.digest };
  services.logger.error(facts, 'the upstream changed the bytes of an artifact; the first copy stays');
  const renewed = await entries.touch(winner, { checkedAt: entry.checkedAt });
  if (kept !== undefined) return renewed ?? winner;
  // Another replica was first. Whoever follows this flight has read the beginning of bytes that are not the artifact.
  throw new EntrepotError('integrity', `${entry.key} was stored with other bytes meanwhile; the first copy stays`, {
    code: 'FIRST_COPY_STAYS',
  });
}

/**
 * Renews a copy whose bytes came again, unchanged: headers that were corrected meanwhile are taken over (RFC 9111 §3.2).
 * Without a validator its date stays the same.
 */
function renewalBy({ checkedAt, etag, lastModified, headers, mediaType, expiresAt }: Entry): EntryRenewal {
  return { checkedAt, etag, lastModified, headers, mediaType, expiresAt };
}
