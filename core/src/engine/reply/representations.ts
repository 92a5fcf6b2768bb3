import type { Readable } from 'node:stream';
import type { ByteRange } from '../../api/blob-store.js';
import type { Content } from '../../api/content.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import { UNPARSED } from '../request/stored-resource.js';
import type { RenderRequest } from '../../plugin/classes.js';
import type { ArtifactResource, DocumentResource, StoredResource } from '../request/resource.js';
import type { Judgement } from '../policy/judgement.js';
import type { ContentFindings } from '../policy/content-findings.js';
import type { Judge } from '../policy/judge.js';
import { listPolicy } from '../policy/list-policy.js';
import { SMALL_BLOB } from '../store/blob-cache.js';
import { contentOf } from '../store/content.js';
import type { Fetching } from '../fetch/fetching.js';
import type { FlightHead } from '../fetch/shared-flight.js';
import type { KeptKeys } from '../store/kept-keys.js';
import { chooseEncoding } from './encoding.js';
import { headersOf, NO_DOCUMENT, varyOf } from './kept-reply-headers.js';
import type { CacheFacts } from './outcome.js';
import { type Encoding, type Rendition, type RenditionSource } from '../store/renditions.js';
import type { EngineRequest } from '../request/request.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import { cacheControlUntil, type Representation } from './respond.js';

const NO_KEYS: KeptKeys = { keys: [], mark: '' };

/** The part of a request for a document that its policy makes. */
type ListContext = Pick<RenderRequest, 'baseUrl' | 'admits' | 'refusal'>;

/** Parts of a repository that make representations. */
export interface RepresentationContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly fetching: Fetching;
  readonly judge: Judge;
  readonly contents: ContentFindings;
}

/** Makes what clients get out of what is kept, or coming. */
export class Representations {
  readonly #context: RepresentationContext;

  constructor(context: RepresentationContext) {
    this.#context = context;
  }

  /** The representation of a kept entry that was judged, or `undefined` when its blob turns out to be missing. */
  async kept(
    request: EngineRequest,
    resource: ArtifactResource | DocumentResource,
    entry: Entry,
    facts: CacheFacts,
    judgement: Judgement | undefined,
  ): Promise<Representation | undefined> {
    const { clock, storage } = this.#context.services;
    storage.entries.accessed(entry);
    const age = Math.max(0, Math.floor((clock.now() - entry.checkedAt) / 1000));
    if (resource.isRendered) {
      try {
        return { ...(await this.rewritten(request, resource, entry, undefined, facts)), age };
      } catch (error) {
        if (error instanceof EntrepotError && error.code === 'BLOB_MISSING') return this.missing(entry);
        throw error;
      }
    }
    const open = await this.#opener(entry);
    return open === undefined
      ? this.missing(entry)
      : { ...this.#asStored(resource, entry, facts, judgement), age, open };
  }

  /** The representation of a body whose entry is still being kept. */
  ahead(
    resource: ArtifactResource,
    entry: Entry,
    { spool }: FlightHead,
    facts: CacheFacts,
    judgement: Judgement | undefined,
  ): Representation {
    const open = (range?: ByteRange): Buffer | Readable =>
      (range === undefined ? spool.bytes : undefined) ?? spool.follow(range);
    return { ...this.#asStored(resource, entry, facts, judgement), age: 0, open };
  }

  #asStored(
    resource: ArtifactResource | DocumentResource,
    entry: Entry,
    facts: CacheFacts,
    judgement: Judgement | undefined,
  ): Omit<Representation, 'open'> {
    return {
      ...this.base(resource, entry, facts, { changesAt: judgement?.decision.nextChangeAt }),
      size: entry.size,
      etag: `"${entry.digest}"`,
      lastModified: entry.lastModified,
      ranges: true,
    };
  }

  /** Notes that the bytes of `entry` are not there: it is a miss. */
  missing(entry: Entry): undefined {
    const { storage, logger } = this.#context.services;
    logger.error(
      { repository: entry.repository, key: entry.key, digest: entry.digest },
      'a blob is missing or has the wrong size',
    );
    storage.blobs.forget(entry.digest);
    storage.entries.forget(entry.repository, entry.key);
    return undefined;
  }

  async #opener({ digest, size }: Entry): Promise<((range?: ByteRange) => Buffer | Promise<Readable>) | undefined> {
    const { blobs } = this.#context.services.storage;
    if (size <= SMALL_BLOB) {
      const bytes = blobs.peek(digest) ?? (await blobs.read(digest, size));
      return bytes && ((range) => (range === undefined ? bytes : bytes.subarray(range.start, range.end + 1)));
    }
    if (!(await blobs.confirm(digest, size))) return undefined;
    return async (range) => {
      const stream = await blobs.open(digest, size, range);
      if (stream === undefined)
        throw new EntrepotError('storage', `The blob ${digest} is missing`, { code: 'BLOB_MISSING' });
      return stream;
    };
  }

  /** The representation of a body that is still coming. */
  coming(resource: ArtifactResource | DocumentResource, head: FlightHead, facts: CacheFacts): Representation {
    return {
      ...this.base(resource, head, facts),
      size: head.size,
      etag: head.digest && `"${head.digest}"`,
      lastModified: head.lastModified,
      ranges: true,
      open: (range) => head.spool.follow(range),
    };
  }

  /**
   * The representation of a rewritten document.
   * @param entry absent: there is no document, it is made from what is kept below its `keptBelow`
   * @param content the stored bytes, where they are not in the store
   */
  async rewritten(
    request: EngineRequest,
    resource: DocumentResource,
    entry: Entry | undefined,
    content: Content | undefined,
    facts: CacheFacts,
  ): Promise<Representation> {
    const { services } = this.#context;
    const stored = entry ?? { digest: NO_DOCUMENT, size: 0, mediaType: 'application/octet-stream', headers: {} };
    const encoding = chooseEncoding(request, resource.mediaType ?? stored.mediaType, stored.size);
    const kept = await this.#keptKeys(resource);
    const found = this.#context.contents.mark(resource.coordinates);
    const key = this.#renditionKey(request, resource, `${sourceOf(stored)} ${kept.mark} ${found}`, encoding);
    const rendition =
      services.storage.renditions.peek(key, services.clock.now()) ??
      (await services.storage.renditions.make(key, encoding, () =>
        this.#rewrite(request, resource, entry, kept.keys, content),
      ));
    return this.ofRendition(resource, stored, rendition, facts);
  }

  /** The representation of a document that was made before. */
  ofRendition(
    resource: StoredResource,
    entry: Pick<Entry, 'mediaType' | 'headers'> & { readonly digest?: string | undefined },
    rendition: Rendition,
    facts: CacheFacts,
  ): Representation {
    return {
      ...this.base(resource, entry, facts, rendition),
      size: rendition.size,
      etag: rendition.etag,
      // The upstream's date says nothing of what policy and we have made of the document since.
      lastModified: rendition.lastModified,
      vary: varyOf(resource),
      encoding: rendition.encoding === 'identity' ? undefined : rendition.encoding,
      // Positions in a compressed form say nothing to a client that holds the document itself.
      ranges: rendition.encoding === 'identity',
      open: (range) =>
        range === undefined || rendition.bytes === undefined
          ? (rendition.bytes ?? this.#context.services.storage.renditions.read(rendition, range))
          : rendition.bytes.subarray(range.start, range.end + 1),
    };
  }

  async #keptKeys({ keptBelow }: DocumentResource): Promise<KeptKeys> {
    if (keptBelow === undefined) return NO_KEYS;
    return await this.#context.services.storage.entries.keys.find(this.#context.definition.name, keptBelow);
  }

  #renditionKey(request: EngineRequest, resource: DocumentResource, source: string, encoding: Encoding): string {
    return `${source} ${resource.key} ${resource.variant ?? ''} ${this.#context.services.policy.revision()} ${encoding} ${this.#context.definition.name} ${request.baseUrl}`;
  }

  async #rewrite(
    request: EngineRequest,
    resource: DocumentResource,
    entry: Entry | undefined,
    cachedKeys: readonly string[],
    unstored: Content | undefined,
  ): Promise<RenditionSource> {
    const { fetching } = this.#context;
    const mediaType = resource.mediaType ?? entry?.mediaType ?? 'application/octet-stream';
    const content =
      unstored ?? (entry === undefined ? contentOf(0, mediaType, () => []) : fetching.reader.stored(entry));
    const isAbsent = entry === undefined;
    const parsed = isAbsent ? UNPARSED : (await fetching.descriptions.reading(resource, entry, content)).parsed;
    const { context, changesAt } = await this.listContext(request, resource);
    const rendering = { ...context, content, isAbsent, headers: entry?.headers ?? {}, cachedKeys };
    const { bytes, headers } = await resource.render(parsed, rendering);
    return { bytes, headers, mediaType, changesAt };
  }

  /** Makes the context of hooks that make documents, and tells when policy can change their result by time alone. */
  async listContext(
    { baseUrl }: EngineRequest,
    { coordinates }: Pick<StoredResource, 'coordinates'>,
  ): Promise<{ context: ListContext; changesAt: () => number | undefined }> {
    const { judge, contents, services } = this.#context;
    const found = await contents.of(coordinates);
    let earliest = Infinity;
    const notice = (at: number): void => {
      earliest = Math.min(earliest, at);
    };
    return {
      context: { baseUrl, ...listPolicy(judge, { now: services.clock.now(), baseUrl, found, notice }) },
      changesAt: () => (earliest === Infinity ? undefined : earliest),
    };
  }

  /**
   * Makes the part that all representations of `stored` have.
   * @param made what the protocol made of it, with headers of its own
   */
  base(
    resource: StoredResource,
    stored: Pick<Entry, 'mediaType' | 'headers'> & { readonly digest?: string | undefined },
    facts: CacheFacts,
    made: Pick<Rendition, 'headers' | 'changesAt'> = {},
  ): Pick<
    Representation,
    'repository' | 'resource' | 'mediaType' | 'cacheControl' | 'changesAt' | 'headers' | 'facts'
  > {
    const { definition, services } = this.#context;
    return {
      repository: definition.name,
      resource: resource.class,
      mediaType: resource.mediaType ?? stored.mediaType,
      cacheControl: cacheControlUntil(resource.cacheControl, made.changesAt, services.clock.now()),
      changesAt: made.changesAt,
      headers: headersOf(resource, stored, made.headers),
      facts,
    };
  }
}

/** Names the source of a rewritten document: its bytes, and the headers that the protocol is given with them. */
function sourceOf({ digest, headers }: { readonly digest: string; readonly headers: Entry['headers'] }): string {
  return Object.keys(headers).length === 0 ? digest : `${digest} ${JSON.stringify(headers)}`;
}
