import type { Content } from '../../api/content.js';
import type { Entry } from '../../api/entry-index.js';
import type { EntrySelection } from '../../plugin/classes.js';
import type { ListingResource } from '../request/resource.js';
import { listContext } from '../policy/list-context.js';
import { missing } from './hosted-changes.js';
import { createDocumentSharing } from '../reply/document-sharing.js';
import type { ReplyParts } from '../reply/reply-parts.js';
import { listEntries } from './list-entries.js';
import { isBlobMissing } from '../store/blob-missing.js';
import type { JoinedDocument } from '../store/joined-documents.js';
import {
  SMALL_RENDITION,
  type Encoding,
  type Rendition,
  type RenditionSource,
  type SharedRendition,
} from '../store/renditions.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import { chooseEncoding } from '../reply/encoding.js';
import { respond, varyOf, type Representation } from '../reply/respond.js';

/** A joined document with a larger piece is sent uncompressed: compressing takes the piece as a whole. Bytes. */
const MAX_COMPRESSED_PIECE = 8 * 1024 * 1024;
const HIT = { name: 'hit' } as const;

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

/** Creates the handler of documents that are rendered from the entries of a hosted repository. Each is rendered once for a revision, so that a repeated request causes no query. */
export function createListingHandler(parts: ReplyParts) {
  const { contents, definition, representations, services } = parts;
  const { blobs, entries, joined, renditions } = services.storage;
  const { name: repository } = definition;
  const owner = renditions.newOwner();
  const sharedAt = createDocumentSharing(parts);
  const making = new Map<string, Promise<Rendition | JoinedDocument>>();

  /** @param revision of the repository, as memory shows it */
  return async (request: EngineRequest, resource: ListingResource, revision: number): Promise<EngineReply> => {
    const { key, selection, variant = '' } = resource;
    const revisionNow = `${services.policy.revision()} ${contents.mark(resource.coordinates)}`;
    const wanted: Wanted = {
      request,
      resource,
      selection,
      key: JSON.stringify([owner, key, variant, selection, revisionNow, request.baseUrl]),
      stamp: String(revision),
      encoding: chooseEncoding(request, mediaTypeOf(resource), Infinity),
    };
    return await respond(request, await shownWhole(wanted, kept(wanted) ?? (await make(wanted))));
  };

  /** A piece may go after the document was put together: then it is made anew, without that. */
  async function shownWhole(wanted: Wanted, document: Rendition | JoinedDocument): Promise<Representation> {
    try {
      return await shown(wanted, document);
    } catch (error) {
      if (!isBlobMissing(error)) throw error;
      return await shown(wanted, await make(wanted));
    }
  }

  function kept({ key, stamp, encoding }: Wanted): Rendition | JoinedDocument | undefined {
    const now = services.clock.now();
    return renditions.peek(renditionKey(key, encoding), now, stamp) ?? joined.peek(key, stamp, now);
  }

  /** Makes the document, once for all who ask meanwhile. */
  function make(wanted: Wanted): Promise<Rendition | JoinedDocument> {
    const name = `${wanted.stamp} ${renditionKey(wanted.key, wanted.encoding)}`;
    const running = making.get(name) ?? makeOnce(wanted).finally(() => making.delete(name));
    making.set(name, running);
    return running;
  }

  async function makeOnce(wanted: Wanted): Promise<Rendition | JoinedDocument> {
    await requireExistence(wanted.selection);
    const selected = listEntries(services.entries, repository, wanted.selection);
    if (!wanted.resource.isJoined) return await render(wanted, selected, await sharedPlace(wanted));
    const all = await Array.fromAsync(selected);
    return (await join(wanted, all)) ?? (await render(wanted, asyncIterable(all)));
  }

  async function requireExistence({ prefix, requires, orEmpty = false }: EntrySelection): Promise<void> {
    if (requires !== undefined && (await entries.find(repository, requires)) === undefined) throw missing(requires);
    if (orEmpty || prefix === '') return;
    const [first] = await services.entries.list(repository, { prefix, limit: 1 });
    if (first === undefined) throw missing(prefix);
  }

  /** A revision has the same entries in all processes. */
  function sharedPlace({
    request,
    resource,
    selection,
    stamp,
    encoding,
  }: Wanted): Promise<SharedRendition | undefined> {
    const source = [resource.key, resource.variant ?? '', mediaTypeOf(resource), selection, stamp];
    return sharedAt({ coordinates: resource.coordinates, baseUrl: request.baseUrl, encoding, source, stamp });
  }

  async function render(wanted: Wanted, selected: AsyncIterable<Entry>, shared?: SharedRendition): Promise<Rendition> {
    const { request, resource } = wanted;
    const source = async (): Promise<RenditionSource> => {
      const { context, ...judged } = await listContext(parts, request, resource);
      const find = (key: string): Promise<Entry | undefined> => entries.find(repository, key);
      const content = (entry: Entry): Content => blobs.content(entry);
      let until = Infinity;
      const rightUntil = (time: number): void => void (until = Math.min(until, time));
      const rendered = await resource.render(selected, { ...context, content, find, rightUntil });
      const changesAt = (): number | undefined => {
        const earliest = Math.min(until, judged.changesAt() ?? Infinity);
        return earliest === Infinity ? undefined : earliest;
      };
      return { ...rendered, mediaType: mediaTypeOf(resource), ...judged, changesAt };
    };
    return await rendition(wanted, source, shared);
  }

  /** `undefined` where the protocol renders this document. */
  async function join(wanted: Wanted, all: readonly Entry[]): Promise<Rendition | JoinedDocument | undefined> {
    const { request, resource, key, stamp } = wanted;
    const { context, ...judged } = await listContext(parts, request, resource);
    const pieces = await resource.join(all, context);
    if (pieces === undefined) return undefined;
    const mediaType = mediaTypeOf(resource);
    const document = joined.join(pieces, mediaType, stamp, judged.changesAt());
    if (!(await joined.isWhole(document))) {
      // `render` may do without the piece.
      services.logger.error({ repository, key: resource.key }, 'a piece of a document is lost');
      return undefined;
    }
    if (document.size <= SMALL_RENDITION) {
      // A small one is quicker as one piece in memory.
      return await rendition(wanted, async () => ({ bytes: joined.open(document), mediaType, ...judged }));
    }
    joined.remember(key, document);
    return document;
  }

  function rendition(
    { key, stamp, encoding }: Wanted,
    source: () => Promise<RenditionSource>,
    shared?: SharedRendition,
  ): Promise<Rendition> {
    return renditions.make(renditionKey(key, encoding), encoding, source, { stamp, shared });
  }

  async function shown({ resource, encoding }: Wanted, document: Rendition | JoinedDocument): Promise<Representation> {
    const stored = { mediaType: mediaTypeOf(resource), headers: {} };
    if (!('pieces' in document)) return representations.ofRendition(resource, stored, document, HIT);
    const compressed = encoding === 'gzip' && document.pieces.every(({ size }) => size <= MAX_COMPRESSED_PIECE);
    const { etag, size, open } = compressed
      ? await joined.gzip(document)
      : { ...document, open: () => joined.open(document) };
    return {
      ...representations.base(resource, stored, HIT, { changesAt: document.changesAt }),
      size,
      etag,
      lastModified: undefined,
      vary: varyOf(resource),
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
