import { isDigest, type Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { parseHex, type Integrity } from '../../api/integrity.js';
import { nameOf, type PinnedDocument } from '../store/pinned-name.js';
import { askingHeaders } from './asking.js';
import type { EngineServices } from '../store/repository.js';
import { drain, isHeadRefused } from '../upstream/upstream-reply.js';
import { placeOf, type QueryPlace } from '../upstream/query.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** Asks the upstream what the document names now. `undefined` when it does not say so, or does not answer HEAD. */
export async function namedNow(
  upstreams: Upstreams,
  resource: PinnedDocument,
  signal: AbortSignal,
): Promise<Digest | undefined> {
  try {
    const reply = await upstreams.fetch({
      method: 'HEAD',
      ...placeOf(resource),
      headers: { ...askingHeaders(resource), 'accept-encoding': 'identity' },
      signal,
      skipUnhealthy: true,
    });
    drain(reply);
    const digest = reply.headers[resource.pinned.digestHeader];
    return digest !== undefined && isDigest(digest) ? digest : undefined;
  } catch (error) {
    if (isHeadRefused(error)) return undefined;
    throw error;
  }
}

/** The place of the bytes with `digest` that the document names. */
export function placeByDigest(resource: PinnedDocument, digest: Digest): QueryPlace {
  return { ...placeOf(resource), path: resource.pinned.upstreamPath.replaceAll('{digest}', digest) };
}

/** The key of the artifact with `digest`. */
export function keyByDigest({ pinned }: PinnedDocument, digest: Digest): string {
  return pinned.key.replaceAll('{digest}', digest);
}

/** The entry for the bytes of a document, as an artifact by their digest. */
export function entryByDigest(resource: PinnedDocument, entry: Entry): Entry {
  const { coordinates } = entry;
  const digest = nameOf(entry);
  return {
    ...entry,
    key: keyByDigest(resource, digest),
    etag: undefined,
    integrity: promisedBy(digest),
    // What policy says of the name does not follow the bytes.
    coordinates: coordinates && { ...coordinates, version: digest },
  };
}

/** The kept entry of those bytes, if they are really there. */
export async function keptByDigest(
  { storage }: EngineServices,
  repository: string,
  resource: PinnedDocument,
  digest: Digest,
): Promise<Entry | undefined> {
  const entry = await storage.entries.find(repository, keyByDigest(resource, digest));
  if (entry === undefined || nameOf(entry) !== digest) return undefined;
  return (await storage.blobs.confirm(entry.digest, entry.size)) ? entry : undefined;
}

/** The checksum that a digest of the upstream promises. Empty for a digest of an unknown form. */
export function promisedBy(digest: string | undefined): readonly Integrity[] {
  const [, algorithm, hex] = /^(sha256|sha512):([0-9a-f]+)$/.exec(digest ?? '') ?? [];
  const integrity = hex === undefined ? undefined : parseHex(algorithm as 'sha256' | 'sha512', hex);
  return integrity === undefined ? [] : [integrity];
}
