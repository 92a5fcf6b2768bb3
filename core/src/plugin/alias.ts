import type { PackageCoordinates } from '../api/coordinates.js';
import type { Parsed, PolicyFacts } from './classes.js';
import type { Resource, Route } from './resource.js';

/** A document as it is served now. */
export interface ResolvedDocument<Document extends Parsed = Parsed> {
  /** The result of its class's `parse`. */
  readonly document: Document;
  /** The digest of its bytes. */
  readonly digest: string;
}

/** Reads the documents of a repository, for hooks that find or look after what others lead to. */
export interface ReadingContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /**
   * Reads a document of this repository, cached or fetched by the same pipeline.
   * @throws EntrepotError as a client would be answered
   */
  document<Document extends Parsed>(resource: Resource): Promise<ResolvedDocument<Document>>;
  /**
   * Reads a document that is asked for, or made, anew: also where the cached copy is fresh, or the upstream lacked it a moment ago. Joins
   * the fetch that is running.
   * @throws EntrepotError as the upstream answers
   */
  renew<Document extends Parsed>(resource: Resource): Promise<ResolvedDocument<Document>>;
  /** Lists the keys of what is kept below a prefix that ends in `/`, in code-point order. */
  keys(prefix: string): Promise<readonly string[]>;
}

/** A page of what is kept, by the time at which it was stored. */
export interface KeptListing {
  /** Those that were stored then or later; milliseconds since the epoch. */
  readonly since: number;
  /** The key that the page before ended at: of those that were stored at `since`, only the ones after it. Absent: all. */
  readonly after?: string | undefined;
  /** The end of their keys: of the files of a version, the one that stands for it. */
  readonly suffix: string;
  readonly limit: number;
}

/** Bytes of a version that are kept. */
export interface KeptVersion {
  readonly coordinates: PackageCoordinates;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
}

/** Versions by the time at which they were stored, and by key where that is the same. */
export interface KeptPage {
  readonly versions: readonly KeptVersion[];
  /** The place where the next page begins. Absent: there is nothing more. */
  readonly next?: Pick<KeptListing, 'since' | 'after'> | undefined;
}

/** Context of `resolve`. */
export interface ResolveContext extends ReadingContext {
  /** The client's address. Absent: it is not known. */
  readonly client: string | undefined;
  /**
   * Names the connection of the client, among those of this process. Absent: it is not known, as behind a proxy, whose connections are for
   * everybody.
   */
  readonly connection: string | undefined;
  /** Whether the client only asks for the headers (HEAD). */
  readonly isHead: boolean;
  /**
   * Lists what is kept of versions that policy lets be listed, by the time at which it was stored. What was stored within the last minute is
   * left out: something older may still be about to be stored, and whoever goes on from the last one would miss it. Looks at 20,000
   * entries at the most, so that a page may hold less than `limit` although there is a next one.
   */
  kept(listing: KeptListing): Promise<KeptPage>;
}

/**
 * Paths that stand for other resources, by what documents say: a file of a suite stands for the bytes that the signed index of the
 * moment names. Nothing is stored under them. What they lead to is authorized, judged, cached and served as any other resource.
 */
export interface AliasClass<Self = unknown> {
  readonly kind: 'alias';
  /** A line about it, for the readers of the plugin. */
  readonly about: string;
  readonly policy?: Pick<PolicyFacts<Self>, 'accessName' | 'forAnyName'> | undefined;
  /**
   * Finds the resource for one request: an artifact, a document or a reply, not another alias. Quick: documents that it reads are cached.
   * `undefined` is 404.
   * @throws EntrepotError as `route`
   */
  resolve(resource: Resource, context: ResolveContext, self: Self): Promise<Route | undefined>;
  /**
   * Finds what to serve where no upstream has what `resolve` found: documents may be newer by now. Called once for a request; what it finds
   * is asked for once. `undefined`: 404. Absent: it always is.
   * @param missing what `resolve` found
   */
  resolveMissing?(
    resource: Resource,
    missing: Resource,
    context: ResolveContext,
    self: Self,
  ): Promise<Route | undefined>;
  /** Gives headers for the reply to one request, names as they are sent. Quick. Absent: those of what was found. */
  replyHeaders?(resource: Resource, context: ResolveContext, self: Self): Readonly<Record<string, string>> | undefined;
  /**
   * Lists the keys of all that is kept for a path, so that a purge of the path has it fetched anew. Documents that `context` reads are
   * cached: no upstream is asked. Absent: the key of what `resolve` finds then.
   */
  storedKeys?(resource: Resource, context: ResolveContext, self: Self): Promise<readonly string[]>;
}

/** Declares a class of aliases. */
export function aliasClass<Self = unknown>(declared: Omit<AliasClass<Self>, 'kind'>): AliasClass<Self> {
  return Object.freeze({ kind: 'alias', ...declared });
}
