import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { EntrySelection } from '../../plugin/classes.js';
import type { ListingResource } from '../request/resource.js';
import type { ContentFindings } from '../policy/content-findings.js';
import { missing } from './hosted-changes.js';
import { listEntries } from './list-entries.js';
import type { JoinedDocument } from '../store/joined-documents.js';
import { SMALL_RENDITION, type Encoding, type Rendition, type RenditionSource } from '../store/renditions.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import { chooseEncoding } from '../reply/encoding.js';
import type { Representations } from '../reply/representations.js';
import { respond, type Representation } from '../reply/respond.js';

/** A joined document with a larger piece is sent uncompressed: compressing takes the piece as a whole. Bytes. */
const MAX_COMPRESSED_PIECE = 8 * 1024 * 1024;
const HIT = { name: 'hit' } as const;

/** Parts of a hosted repository that make its documents. */
export interface HostedDocumentsContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly representations: Representations;
  readonly contents: ContentFindings;
}

/** One document as one client asks for it. */
interface Wanted {
  readonly request: EngineRequest;
  readonly resource: ListingResource;
  readonly selection: EntrySelection;
  /** All that it is made from besides the entries. */
  readonly key: string;
  /** The revision of the repository, as text: what the entries are. */
  readonly stamp: string;
  readonly encoding: Encoding;
}

/**
 * Serves documents that are rendered from the entries of a hosted repository. Each is rendered once for a revision, so
 * that a repeated request causes no query.
 */
export class HostedDocuments {
  readonly #context: HostedDocumentsContext;
  readonly #making = new Map<string, Promise<Rendition | JoinedDocument>>();

  constructor(context: HostedDocumentsContext) {
    this.#context = context;
  }

  /** @param revision of the repository, as memory shows it */
  async serve(request: EngineRequest, resource: ListingResource, revision: number): Promise<EngineReply> {
    const { contents, definition, services } = this.#context;
    const { key, selection, variant = '' } = resource;
    const revisionNow = `${services.policy.revision()} ${contents.mark(resource.coordinates)}`;
    const wanted: Wanted = {
      request,
      resource,
      selection,
      key: JSON.stringify([definition.name, key, variant, selection, revisionNow, request.baseUrl]),
      stamp: String(revision),
      encoding: chooseEncoding(request, mediaTypeOf(resource), Infinity),
    };
    const kept = this.#kept(wanted) ?? (await this.#make(wanted));
    return await respond(request, await this.#shownWhole(wanted, kept));
  }

  /** A piece may go after the document was put together: then it is made anew, without that. */
  async #shownWhole(wanted: Wanted, kept: Rendition | JoinedDocument): Promise<Representation> {
    try {
      return await this.#shown(wanted, kept);
    } catch (error) {
      if (!(error instanceof EntrepotError) || error.code !== 'BLOB_MISSING') throw error;
      return await this.#shown(wanted, await this.#make(wanted));
    }
  }

  #kept({ key, stamp, encoding }: Wanted): Rendition | JoinedDocument | undefined {
    const { storage, clock } = this.#context.services;
    const now = clock.now();
    return storage.renditions.peek(renditionKey(key, encoding), now, stamp) ?? storage.joined.peek(key, stamp, now);
  }

  /** Makes the document, once for all who ask meanwhile. */
  #make(wanted: Wanted): Promise<Rendition | JoinedDocument> {
    const name = `${wanted.stamp} ${renditionKey(wanted.key, wanted.encoding)}`;
    const running = this.#making.get(name);
    if (running !== undefined) return running;
    const making = this.#makeOnce(wanted).finally(() => this.#making.delete(name));
    this.#making.set(name, making);
    return making;
  }

  async #makeOnce(wanted: Wanted): Promise<Rendition | JoinedDocument> {
    await this.#requireExistence(wanted.selection);
    if (!wanted.resource.isJoined) return await this.#render(wanted, this.#entries(wanted.selection));
    const entries: Entry[] = [];
    for await (const entry of this.#entries(wanted.selection)) entries.push(entry);
    return (await this.#join(wanted, entries)) ?? (await this.#render(wanted, asyncIterable(entries)));
  }

  async #requireExistence({ prefix, requires, orEmpty = false }: EntrySelection): Promise<void> {
    const { definition, services } = this.#context;
    if (requires !== undefined && (await services.storage.entries.find(definition.name, requires)) === undefined)
      throw missing(requires);
    if (orEmpty || prefix === '') return;
    const [first] = await services.entries.list(definition.name, { prefix, limit: 1 });
    if (first === undefined) throw missing(prefix);
  }

  async #render(wanted: Wanted, entries: AsyncIterable<Entry>): Promise<Rendition> {
    const { definition, services, representations } = this.#context;
    const { request, resource } = wanted;
    return await this.#rendition(wanted, async () => {
      const { context, changesAt } = await representations.listContext(request, resource);
      const content = services.storage.blobs.content.bind(services.storage.blobs);
      const find = (key: string): Promise<Entry | undefined> => services.storage.entries.find(definition.name, key);
      const rendered = await resource.render(entries, { ...context, content, find });
      return { ...rendered, mediaType: mediaTypeOf(resource), changesAt };
    });
  }

  /** `undefined` where the protocol renders this document. */
  async #join(wanted: Wanted, entries: readonly Entry[]): Promise<Rendition | JoinedDocument | undefined> {
    const { definition, services, representations } = this.#context;
    const { request, resource, key, stamp } = wanted;
    const { context, changesAt } = await representations.listContext(request, resource);
    const pieces = await resource.join(entries, context);
    if (pieces === undefined) return undefined;
    const mediaType = mediaTypeOf(resource);
    const { joined } = services.storage;
    const document = joined.join(pieces, mediaType, stamp, changesAt());
    if (!(await joined.isWhole(document))) {
      // `render` may do without the piece.
      services.logger.error({ repository: definition.name, key: resource.key }, 'a piece of a document is lost');
      return undefined;
    }
    if (document.size <= SMALL_RENDITION) {
      // A small one is quicker as one piece in memory.
      return await this.#rendition(wanted, async () => ({ bytes: joined.open(document), mediaType, changesAt }));
    }
    joined.remember(key, document);
    return document;
  }

  #rendition({ key, stamp, encoding }: Wanted, source: () => Promise<RenditionSource>): Promise<Rendition> {
    return this.#context.services.storage.renditions.make(renditionKey(key, encoding), encoding, source, stamp);
  }

  #entries(selection: EntrySelection): AsyncGenerator<Entry> {
    const { definition, services } = this.#context;
    return listEntries(services.entries, definition.name, selection);
  }

  async #shown({ resource, encoding }: Wanted, document: Rendition | JoinedDocument): Promise<Representation> {
    const { services, representations } = this.#context;
    const stored = { mediaType: mediaTypeOf(resource), headers: {} };
    if (!('pieces' in document)) return representations.ofRendition(resource, stored, document, HIT);
    const { joined } = services.storage;
    const compressed = encoding === 'gzip' && document.pieces.every(({ size }) => size <= MAX_COMPRESSED_PIECE);
    const { etag, size, open } = compressed
      ? await joined.gzip(document)
      : { ...document, open: () => joined.open(document) };
    return {
      ...representations.base(resource, stored, HIT, { changesAt: document.changesAt }),
      size,
      etag,
      lastModified: undefined,
      vary: [...(resource.vary ?? []), 'Accept-Encoding'].join(', '),
      encoding: compressed ? 'gzip' : undefined,
      ranges: false,
      open,
    };
  }
}

function renditionKey(key: string, encoding: Encoding): string {
  return `${encoding} ${key}`;
}

function mediaTypeOf({ mediaType = 'application/octet-stream' }: ListingResource): string {
  return mediaType;
}

async function* asyncIterable<Value>(values: Iterable<Value>): AsyncGenerator<Value> {
  yield* values;
}
