import type { Readable } from 'node:stream';
import type { ByteRange } from '../api/blob-store.js';
import type { Content } from '../api/content.js';
import type { Entry } from '../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import type { DocumentBytes, RewriteContext } from '../api/protocol.js';
import type { ArtifactResource, DocumentResource } from '../api/resource.js';
import type { Admission } from './admission.js';
import { SMALL_BLOB } from './blob-cache.js';
import { bareMediaType, contentOf } from './content.js';
import type { FlightHead } from './flight.js';
import type { Flights } from './flights.js';
import type { KeptKeys } from './kept-keys.js';
import type { CacheFacts } from './outcome.js';
import { type Encoding, type Rendition, type RenditionSource } from './renditions.js';
import type { EngineRequest, EngineServices, RepositoryDefinition } from './repository.js';
import type { Representation } from './respond.js';

/** A document below this size is not worth compressing. Bytes. */
const MIN_COMPRESSED = 1024;
const COMPRESSIBLE = /^text\/|[/+](?:json|xml|yaml|x-yaml|javascript)$|install-v1\+json/;

/** What stands for the digest of a document that is not there. */
const NO_DOCUMENT = 'none';
const NO_KEYS: KeptKeys = { keys: [], mark: '' };

/** What representations are made with. */
export interface RepresentationContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly flights: Flights;
  readonly admission: Admission;
}

/** Makes what clients get out of what is kept, or coming. */
export class Representations {
  readonly #context: RepresentationContext;

  constructor(context: RepresentationContext) {
    this.#context = context;
  }

  /** The representation of a kept entry, or `undefined` when its blob turns out to be missing. */
  async kept(
    request: EngineRequest,
    resource: ArtifactResource | DocumentResource,
    entry: Entry,
    facts: CacheFacts,
  ): Promise<Representation | undefined> {
    const { services } = this.#context;
    const age = Math.max(0, Math.floor((services.clock.now() - entry.checkedAt) / 1000));
    services.storage.entries.accessed(entry);
    if (resource.kind === 'document' && resource.rewritten === true) {
      try {
        return { ...(await this.rewritten(request, resource, entry, undefined, facts)), age };
      } catch (error) {
        if (error instanceof EntrepotError && error.code === 'BLOB_MISSING') return this.#missing(entry);
        throw error;
      }
    }
    const open = await this.#opener(entry);
    if (open === undefined) return this.#missing(entry);
    return {
      ...this.#base(resource, entry, facts),
      size: entry.size,
      etag: `"${entry.digest}"`,
      lastModified: entry.lastModified,
      ranges: true,
      age,
      open,
    };
  }

  #missing(entry: Entry): undefined {
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
      ...this.#base(resource, head, facts),
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
    const key = this.#renditionKey(request, resource, `${stored.digest} ${kept.mark}`, encoding);
    const rendition =
      services.storage.renditions.peek(key, services.clock.now()) ??
      (await services.storage.renditions.make(key, encoding, () =>
        this.#rewrite(request, resource, entry, kept.keys, content),
      ));
    return this.#renditionOf(resource, { lastModified: undefined, ...stored }, rendition, facts);
  }

  #renditionOf(
    resource: DocumentResource,
    entry: Pick<Entry, 'mediaType' | 'headers' | 'lastModified'>,
    rendition: Rendition,
    facts: CacheFacts,
  ): Representation {
    return {
      ...this.#base(resource, entry, facts),
      size: rendition.size,
      etag: rendition.etag,
      lastModified: entry.lastModified,
      vary: [...(resource.vary ?? []), 'Accept-Encoding'].join(', '),
      encoding: rendition.encoding === 'identity' ? undefined : rendition.encoding,
      ranges: false,
      open: () => rendition.bytes ?? this.#context.services.storage.renditions.read(rendition),
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
    keptKeys: readonly string[],
    unstored: Content | undefined,
  ): Promise<RenditionSource> {
    const { definition, flights } = this.#context;
    const mediaType = resource.mediaType ?? entry?.mediaType ?? 'application/octet-stream';
    const content =
      unstored ?? (entry === undefined ? contentOf(0, mediaType, () => []) : flights.storedContent(entry));
    const descriptions =
      entry === undefined ? new Map() : await flights.descriptionsOf(resource, entry.digest, content);
    const { context, changesAt } = this.#rewriteContext(request, descriptions, entry?.headers ?? {}, keptKeys);
    const { protocol, plugin } = definition;
    if (protocol.rewrite === undefined)
      throw new EntrepotError(
        'plugin',
        `Plugin ${plugin.id} says that ${resource.key} is rewritten, but has no rewrite`,
      );
    const rewritten = await hook(
      plugin.id,
      'rewrite',
      () => protocol.rewrite?.(resource, content, context) as DocumentBytes,
    );
    return { bytes: guarded(plugin.id, 'rewrite', rewritten), mediaType, changesAt };
  }

  #rewriteContext(
    request: EngineRequest,
    descriptions: RewriteContext['descriptions'],
    headers: RewriteContext['headers'],
    keptKeys: RewriteContext['keptKeys'],
  ): { context: RewriteContext; changesAt: () => number | undefined } {
    let earliest = Infinity;
    const notice = (at: number): void => {
      earliest = Math.min(earliest, at);
    };
    return {
      context: {
        baseUrl: request.baseUrl,
        descriptions,
        headers,
        keptKeys,
        admits: (coordinates, description) => this.#context.admission.lists(coordinates, description, notice),
      },
      changesAt: () => (earliest === Infinity ? undefined : earliest),
    };
  }

  /** A document that is made from the entries of a hosted repository. Not memoised: entries change under it. */
  async fromEntries(
    request: EngineRequest,
    resource: DocumentResource,
    entries: AsyncIterable<Entry>,
    key: string,
  ): Promise<Representation> {
    const { definition, services } = this.#context;
    const { protocol, plugin } = definition;
    const mediaType = resource.mediaType ?? 'application/octet-stream';
    const encoding = chooseEncoding(request, mediaType, Infinity);
    const { renditions } = services.storage;
    const rendition = await renditions.make(key, encoding, async () => {
      const { context, changesAt } = this.#rewriteContext(request, new Map(), {}, []);
      const rendered = await hook(
        plugin.id,
        'render',
        () =>
          protocol.render?.(resource, entries, {
            ...context,
            content: (entry) => this.#context.flights.storedContent(entry),
          }) as DocumentBytes,
      );
      return { bytes: guarded(plugin.id, 'render', rendered), mediaType, changesAt };
    });
    const made = { mediaType, headers: {}, lastModified: undefined };
    const shown = this.#renditionOf(resource, made, rendition, { name: 'hit' });
    async function open(): Promise<Buffer | Readable> {
      const body = await shown.open();
      renditions.forget(key);
      return body;
    }
    return { ...shown, open };
  }

  #base(
    resource: ArtifactResource | DocumentResource,
    stored: Pick<Entry, 'mediaType' | 'headers'>,
    facts: CacheFacts,
  ): Pick<Representation, 'repository' | 'resource' | 'mediaType' | 'cacheControl' | 'headers' | 'facts'> {
    const { definition } = this.#context;
    const attachment =
      resource.kind === 'artifact' &&
      resource.attachment === true &&
      stored.headers['content-disposition'] === undefined
        ? { 'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(resource.filename)}` }
        : undefined;
    return {
      repository: definition.name,
      resource: resource.class,
      mediaType: resource.mediaType ?? stored.mediaType,
      cacheControl: definition.plugin.classes[resource.class]?.cacheControl ?? 'no-cache',
      headers: attachment === undefined ? stored.headers : { ...stored.headers, ...attachment },
      facts,
    };
  }
}

/** The coding for a document: gzip where the client takes it and it is worth it (RFC 9110 §12.5.3). */
function chooseEncoding(request: EngineRequest, mediaType: string, size: number): Encoding {
  if (size < MIN_COMPRESSED || !acceptsGzip(request)) return 'identity';
  return COMPRESSIBLE.test(bareMediaType(mediaType)) ? 'gzip' : 'identity';
}

/** Whether the client takes gzip. */
export function acceptsGzip(request: EngineRequest): boolean {
  const accepted = request.header('accept-encoding');
  return accepted?.includes('gzip') === true && !/gzip\s*;\s*q=0(?:\.0*)?(?:$|[\s,])/.test(accepted);
}

async function hook<Result>(plugin: string, name: string, call: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    throw asEntrepotError(error, 'plugin', `${name} of plugin ${plugin} failed`);
  }
}

async function* guarded(plugin: string, name: string, bytes: DocumentBytes): AsyncGenerator<Uint8Array | string> {
  try {
    yield* bytes;
  } catch (error) {
    throw asEntrepotError(error, 'plugin', `${name} of plugin ${plugin} failed`);
  }
}
