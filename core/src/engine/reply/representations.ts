import type { Readable } from 'node:stream';
import type { ByteRange } from '../../api/blob-store.js';
import type { Content } from '../../api/content.js';
import type { Entry } from '../../api/entry-index.js';
import { UNPARSED } from '../request/stored-resource.js';
import type { ArtifactResource, DocumentResource, StoredResource } from '../request/resource.js';
import type { Judgement } from '../policy/judgement.js';
import type { JudgingParts } from '../policy/judge.js';
import { listContext } from '../policy/list-context.js';
import { SMALL_BLOB } from '../store/blob-cache.js';
import { blobMissing, isBlobMissing } from '../store/blob-missing.js';
import { contentOf } from '../store/content.js';
import type { Fetching } from '../fetch/fetching.js';
import type { FlightHead } from '../fetch/shared-flight.js';
import type { KeptKeys } from '../store/kept-keys.js';
import { headerIn } from '../request/merge-headers.js';
import { createDocumentSharing } from './document-sharing.js';
import { chooseEncoding } from './encoding.js';
import type { CacheFacts } from './outcome.js';
import type { Rendition, RenditionSource } from '../store/renditions.js';
import type { EngineRequest } from '../request/request.js';
import { cacheControlUntil, headersOf, NO_DOCUMENT, varyOf, type Representation } from './respond.js';

const NO_KEYS: KeptKeys = { keys: [], mark: '' };

/** The stored bytes behind a representation. */
type Source = Pick<Entry, 'mediaType' | 'headers'> & { readonly digest?: string | undefined };

/** Makes representations for clients out of cached or arriving bytes. */
export type Representations = ReturnType<typeof createRepresentations>;

/** Makes representations for one repository. */
export function createRepresentations(parts: JudgingParts, { descriptions, reader }: Fetching) {
  const { contents, definition, services } = parts;
  const { clock, logger, policy, storage } = services;
  const { blobs, entries, renditions } = storage;
  const owner = renditions.newOwner();
  const sharedAt = createDocumentSharing(parts);

  /** The representation of a kept entry that was judged, or `undefined` when its blob turns out to be missing. */
  async function kept(
    request: EngineRequest,
    resource: ArtifactResource | DocumentResource,
    entry: Entry,
    facts: CacheFacts,
    judgement: Judgement | undefined,
  ): Promise<Representation | undefined> {
    // Whoever fetched it has not come back to it.
    entries.accessed(entry, facts.name !== 'miss' || facts.collapsed === true);
    const age = Math.max(0, Math.floor((clock.now() - entry.checkedAt) / 1000));
    if (resource.isRendered) {
      try {
        return { ...(await rewritten(request, resource, entry, undefined, facts)), age };
      } catch (error) {
        if (isBlobMissing(error)) return missing(entry);
        throw error;
      }
    }
    const open = await opener(entry);
    if (open === undefined) return missing(entry);
    const mayBeElsewhere = resource.kind === 'artifact' && blobs.mayRedirect(entry.size);
    const elsewhere = mayBeElsewhere ? elsewhereOf(entry) : undefined;
    return { ...asStored(resource, entry, facts, judgement), age, elsewhere, open };
  }

  /** Finds a URL of the store that serves an artifact as we would. */
  function elsewhereOf(entry: Entry): Representation['elsewhere'] {
    return async (headers) => {
      // The store would have to be told of it, and few can be.
      if (headers['Content-Encoding'] !== undefined || headers['Warning'] !== undefined) return undefined;
      const disposition = headerIn(headers, 'content-disposition');
      return await blobs.signedUrl(entry.digest, { mediaType: headers['Content-Type'], disposition });
    };
  }

  /** The representation of a body whose entry is still being kept. */
  function ahead(
    resource: ArtifactResource,
    entry: Entry,
    { spool }: FlightHead,
    facts: CacheFacts,
    judgement: Judgement | undefined,
  ): Representation {
    const open = (range?: ByteRange): Buffer | Readable =>
      (range === undefined ? spool.bytes : undefined) ?? spool.follow(range);
    return { ...asStored(resource, entry, facts, judgement), age: 0, open };
  }

  function asStored(
    resource: ArtifactResource | DocumentResource,
    entry: Entry,
    facts: CacheFacts,
    judgement: Judgement | undefined,
  ): Omit<Representation, 'open'> {
    return {
      ...base(resource, entry, facts, { changesAt: judgement?.decision.nextChangeAt }),
      size: entry.size,
      etag: `"${entry.digest}"`,
      lastModified: entry.lastModified,
      ranges: true,
    };
  }

  /** Notes that the bytes of `entry` are not there: it is a miss. */
  function missing({ repository, key, digest, upstreamUrl }: Entry): undefined {
    const facts = { repository, key, digest };
    if (upstreamUrl === undefined) logger.error(facts, 'a blob is missing or has the wrong size');
    else logger.warn(facts, 'a blob is missing or has the wrong size; it is fetched again');
    blobs.forget(digest);
    entries.forget(repository, key);
    return undefined;
  }

  async function opener({
    digest,
    size,
  }: Entry): Promise<((range?: ByteRange) => Buffer | Promise<Readable>) | undefined> {
    if (size <= SMALL_BLOB) {
      const bytes = blobs.peek(digest) ?? (await blobs.read(digest, size));
      return bytes && ((range) => (range === undefined ? bytes : bytes.subarray(range.start, range.end + 1)));
    }
    if (!(await blobs.confirm(digest, size))) return undefined;
    return async (range) => {
      const stream = await blobs.open(digest, size, range);
      if (stream === undefined) throw blobMissing(digest);
      return stream;
    };
  }

  /** The representation of a body that is still coming. */
  function coming(resource: ArtifactResource | DocumentResource, head: FlightHead, facts: CacheFacts): Representation {
    return {
      ...base(resource, head, facts),
      size: head.size,
      etag: head.digest && `"${head.digest}"`,
      lastModified: head.lastModified,
      ranges: true,
      // A spool is let go with its first reader.
      severalRanges: false,
      open: (range) => head.spool.follow(range),
    };
  }

  /**
   * The representation of a rewritten document.
   * @param entry absent: there is no document, it is made from what is kept below its `keptBelow`
   * @param content the stored bytes, where they are not in the store
   */
  async function rewritten(
    request: EngineRequest,
    resource: DocumentResource,
    entry: Entry | undefined,
    content: Content | undefined,
    facts: CacheFacts,
  ): Promise<Representation> {
    const stored = entry ?? { digest: NO_DOCUMENT, size: 0, mediaType: 'application/octet-stream', headers: {} };
    const encoding = chooseEncoding(request, resource.mediaType ?? stored.mediaType, stored.size);
    const { keptBelow, variant = '' } = resource;
    const below = keptBelow === undefined ? NO_KEYS : await entries.keys.find(definition.name, keptBelow);
    const source = `${sourceOf(stored)} ${below.mark} ${contents.mark(resource.coordinates)}`;
    const place = `${resource.key} ${variant} ${policy.revision()} ${encoding} ${owner} ${request.baseUrl}`;
    const key = `${source} ${place}`;
    const make = async (): Promise<Rendition> => {
      const named = [resource.key, variant, resource.mediaType ?? stored.mediaType, sourceOf(stored), below.mark];
      const { coordinates } = resource;
      const shared = await sharedAt({ coordinates, baseUrl: request.baseUrl, encoding, source: named });
      return await renditions.make(key, encoding, () => rewrite(request, resource, entry, below.keys, content), {
        shared,
      });
    };
    return ofRendition(resource, stored, renditions.peek(key, clock.now()) ?? (await make()), facts);
  }

  /** The representation of a document that was made before. */
  function ofRendition(
    resource: StoredResource,
    source: Source,
    rendition: Rendition,
    facts: CacheFacts,
  ): Representation {
    const { bytes, encoding, etag, lastModified, size } = rendition;
    return {
      ...base(resource, source, facts, rendition),
      size,
      etag,
      // The upstream's date says nothing of what policy and we have made of the document since.
      lastModified,
      vary: varyOf(resource),
      encoding: encoding === 'identity' ? undefined : encoding,
      // Positions in a compressed form say nothing to a client that holds the document itself.
      ranges: encoding === 'identity',
      open: (range) =>
        bytes === undefined
          ? renditions.read(rendition, range)
          : range === undefined
            ? bytes
            : bytes.subarray(range.start, range.end + 1),
    };
  }

  async function rewrite(
    request: EngineRequest,
    resource: DocumentResource,
    entry: Entry | undefined,
    cachedKeys: readonly string[],
    unstored: Content | undefined,
  ): Promise<RenditionSource> {
    const mediaType = resource.mediaType ?? entry?.mediaType ?? 'application/octet-stream';
    const content = unstored ?? (entry === undefined ? contentOf(0, mediaType, () => []) : reader.stored(entry));
    const isAbsent = entry === undefined;
    const parsed = isAbsent ? UNPARSED : (await descriptions.reading(resource, entry, content)).parsed;
    const { context, ...judged } = await listContext(parts, request, resource);
    const rendering = { ...context, content, isAbsent, headers: entry?.headers ?? {}, cachedKeys };
    const { bytes, headers } = await resource.render(parsed, rendering);
    return { bytes, headers, mediaType, ...judged };
  }

  /**
   * Makes the part that all representations of `source` have.
   * @param made what the protocol made of it, with headers of its own
   */
  function base(
    resource: StoredResource,
    source: Source,
    facts: CacheFacts,
    { changesAt, headers }: Pick<Rendition, 'headers' | 'changesAt'> = {},
  ): Omit<Representation, 'size' | 'etag' | 'lastModified' | 'ranges' | 'open'> {
    return {
      repository: definition.name,
      resource: resource.class,
      coordinates: resource.coordinates,
      isArtifact: resource.kind === 'artifact' && resource.sidecar !== true,
      mediaType: resource.mediaType ?? source.mediaType,
      cacheControl: cacheControlUntil(resource.cacheControl, changesAt, clock.now()),
      changesAt,
      headers: headersOf(resource, source, headers),
      severalRanges: resource.severalRanges,
      facts,
    };
  }

  return { kept, ahead, missing, coming, rewritten, ofRendition, base };
}

/** Names the source of a rewritten document: its bytes, and the headers that the protocol is given with them. */
function sourceOf({ digest, headers }: { readonly digest: string; readonly headers: Entry['headers'] }): string {
  return Object.keys(headers).length === 0 ? digest : `${digest} ${JSON.stringify(headers)}`;
}
