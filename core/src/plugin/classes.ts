import type { ByteRange } from '../api/blob-store.js';
import type { Content } from '../api/content.js';
import type { PackageCoordinates } from '../api/coordinates.js';
import type { Integrity, IntegrityAlgorithm } from '../api/integrity.js';
import type { Entry } from '../api/entry-index.js';
import type { ArtifactFacts, FactName } from '../api/facts.js';
import type { FreshnessRule } from '../api/freshness.js';
import type { ChangeReply, HostedChange, HostedContext, SessionState } from '../api/hosted.js';
import type {
  AdaptContext,
  AdaptReplyContext,
  AdaptedReply,
  AdaptedRequest,
  ArtifactDescription,
  DocumentBytes,
  JoinedPiece,
  ProducedFile,
  RenderedDocument,
} from '../api/protocol.js';
import type { Table, TableMaker } from '../formats/tables/index.js';
import type { AliasClass } from './alias.js';
import type { LocalReply, Resource, Route } from './resource.js';

/**
 * A fact of a class: a value, or a function of one resource. `self` is what the side's `create` made. A function is pure, quick, and
 * only called when the fact is needed.
 */
export type Fact<Value, Self> = Value | ((resource: Resource, self: Self) => Value | undefined);

/** Freshness and life of kept bytes. */
export interface CacheFacts<Self> extends Partial<FreshnessRule> {
  /** Exceptions from the class's rule for one resource. The configuration of the class does not change them. */
  readonly except?: ((resource: Resource, self: Self) => Partial<FreshnessRule> | undefined) | undefined;
  /** Whether the client wants the cached copy however old: no upstream is asked. Absent: `false`. */
  readonly cachedOnly?: Fact<boolean, Self> | undefined;
  /**
   * Whether a client asks for parts of one copy in several requests, which may come to several replicas: in a cluster, each looks for the
   * copy that another one has put since. Absent: a replica serves what it has until that is old.
   */
  readonly oneCopy?: boolean | undefined;
  /**
   * The other form of a document that is not found. During an outage, where this one is not cached: the first of the forms
   * that is.
   */
  readonly alternative?: ((resource: Resource, self: Self) => Route | undefined) | undefined;
  /**
   * A prefix of keys, which ends in `/`: the document lists what is cached below it, too. `render` gets those keys. Where the
   * upstream has no such document and none is cached, `render` makes one from them alone.
   */
  readonly listsBelow?: Fact<string, Self> | undefined;
}

/** The exchange with an upstream. */
export interface UpstreamFacts<Self> {
  /** The `Accept` header. Absent: any media type. */
  readonly accept?: Fact<string, Self> | undefined;
  /**
   * Other request headers that an upstream chooses its answer by, lower-case: the client's own. A document whose upstream says that it
   * varies by one of them is only served to clients that ask alike.
   */
  readonly headers?: Fact<Readonly<Record<string, string>>, Self> | undefined;
  /** Media types that an upstream may answer with, lower-case, or `application/*`. Another one is an outage (captive portals). */
  readonly expects?: Fact<readonly string[], Self> | undefined;
  /** The largest body, in bytes: a larger one is an upstream fault. Absent: the repository's bound alone. */
  readonly maxBytes?: Fact<number, Self> | undefined;
  /**
   * The relation of several upstreams of one scope. `mirrors` (the default) have the same: the next one is asked when one fails
   * or lacks it. `origins` are places of their own, in order: only "not found" leads on to the next one, so that the
   * outage of a private one never sends its names to a public one. An upstream's own `fallback` goes before this.
   */
  readonly order?: 'mirrors' | 'origins' | undefined;
  /** URLs of the upstreams that are asked, as `among` of a resource says, where that changes with time. Absent: those of the resource. */
  readonly among?: ((resource: Resource, self: Self) => readonly string[] | undefined) | undefined;
  /**
   * Redirects that clients see, rewritten to paths here; what leads out of the upstream is always followed here. `directories`: from a
   * path to the same path with a slash. `pass`: all. Absent: `follow`, none.
   */
  readonly redirects?: Fact<'follow' | 'directories' | 'pass', Self> | undefined;
  /**
   * The scope of the token for a `Bearer` challenge: `repository:library/nginx:pull`. Core fetches the token from the realm that
   * the challenge names, as far as that realm is trusted. Absent: a challenge is a refusal.
   */
  readonly tokenScope?: Fact<string, Self> | undefined;
  /**
   * Whether some upstreams lack such documents and say so in ways of their own: a refusal other than 401 and 403, an unexpected media type,
   * a body that `parse` finds malformed. While none is cached, that is "not found".
   */
  readonly mayLack?: boolean | undefined;
  /** Makes the bytes here, where no upstream has them. Absent: they are fetched. */
  readonly produce?: Production<Self> | undefined;
  /**
   * Finds the place of bytes that are neither at `path` nor at the `location` of their description: a layer of an image, a
   * document on a host that another document names. `undefined`: they are where path and description say.
   */
  readonly locate?:
    ((resource: Resource, context: LocateContext, self: Self) => Promise<Location | undefined>) | undefined;
}

/** Context of `locate`. */
export interface LocateContext {
  readonly description?: ArtifactDescription | undefined;
  /** The URL of the document that named the place: of the one with the description, or of the last one that was read. */
  readonly namedBy: string | undefined;
  read: VerifyContext['read'];
  /**
   * Asks a place for something small, such as a manifest. Nothing of it is stored.
   * @throws EntrepotError as an upstream that cannot be asked; `upstream-unavailable` for more bytes than `maxBytes`
   */
  ask(place: Location & { readonly accept: string; readonly maxBytes: number }): Promise<LocatedBytes>;
}

/** A place outside of the upstream's base URL. It is asked for within the network zone of the document that named it. */
export interface Location {
  /** An absolute http or https URL. */
  readonly url: string;
  /** Others of the same bytes, best first. They are asked where it fails, or has sent other bytes a moment ago. Absent: none. */
  readonly mirrors?: readonly string[] | undefined;
  /** The scope of the token for a `Bearer` challenge. */
  readonly tokenScope?: string | undefined;
  /** Promises besides those of the description. */
  readonly integrity?: readonly Integrity[] | undefined;
  /** Bytes, where more is known than the place says on HEAD. */
  readonly size?: number | undefined;
}

/** The answer of a place. */
export interface LocatedBytes {
  /** The URL that was asked, without credentials. */
  readonly url: string;
  readonly bytes: Uint8Array;
}

/** The reply to clients. */
export interface ReplyFacts<Self> {
  /** The `Content-Type`. Absent: the upstream's, else `fallbackMediaType`, else `application/octet-stream`. */
  readonly mediaType?: Fact<string, Self> | undefined;
  /** The `Content-Type` where the upstream gives none. */
  readonly fallbackMediaType?: Fact<string, Self> | undefined;
  /** Reads a media type out of the bytes where the upstream gave none, or one that says nothing. `undefined`: the upstream's. */
  mediaTypeOf?(resource: Resource, content: Content, self: Self): Promise<string | undefined>;
  /** The name that a browser saves it under. Absent: the last segment of the path. */
  readonly filename?: Fact<string, Self> | undefined;
  /** The `Cache-Control` header (RFC 9111 §5.2). Absent: `no-cache`. */
  readonly cacheControl?: string | undefined;
  /** Names of request headers that chose the variant, for `Vary`. Absent: none. */
  readonly vary?: Fact<readonly string[], Self> | undefined;
  /** Headers of every reply but errors; names as they are sent. Absent: none. */
  readonly headers?: Fact<Readonly<Record<string, string>>, Self> | undefined;
  /** The header that carries the digest of the bytes, unless it is among the kept ones: `Docker-Content-Digest`. Absent: none. */
  readonly digestHeader?: Fact<string, Self> | undefined;
  /** Headers that carry sums of the fetched bytes in hex, by algorithm: `{ sha1: 'X-Checksum-SHA1' }`. Core computes them. Absent: none. */
  readonly sumHeaders?: Readonly<Partial<Record<IntegrityAlgorithm, string>>> | undefined;
  /** Upstream headers that are kept and passed on, lower-case, besides `Content-Type` and `Last-Modified`. Absent: none. */
  readonly keepHeaders?: Fact<readonly string[], Self> | undefined;
  /** Whether clients get the content coding of the upstream, where nothing is promised of the bytes. Absent: it is undone. */
  readonly keepsCoding?: boolean | undefined;
  /** Whether one request may ask for several ranges, up to 256 (RFC 9110 §14.6). Absent: it gets the whole. */
  readonly severalRanges?: boolean | undefined;
}

/** The promises that bytes are checked against. */
export interface TrustFacts<Self> {
  /**
   * The document that describes this: its integrity, place and facts. Its `describe` is given this resource's key. Where several documents
   * may, such as the indexes of an apt pool, the first one that lists it counts.
   */
  readonly describedBy?: ((resource: Resource, self: Self) => Resource | readonly Resource[] | undefined) | undefined;
  /**
   * A smaller document with the same promises for this artifact alone, and no facts. It is asked for, and not kept, where policy looks at
   * no facts and the repository has one upstream; `describedBy` where it cannot be had.
   */
  readonly describedBrieflyBy?: ((resource: Resource, self: Self) => Resource | undefined) | undefined;
  /**
   * Headers of the upstream's reply that state a sum of its body in hex, in lower case, with its algorithm: `{ 'x-checksum-sha1': 'sha1' }`. Bytes
   * that come with one are checked against it, and `describedBrieflyBy` is not asked for. The first header that is there counts. Absent: none.
   */
  readonly promisedInHeaders?: Readonly<Record<string, IntegrityAlgorithm>> | undefined;
  /** The facts for whose sake alone `describedBy` is read: not at all while policy looks at none of them. Absent: it is always read. */
  readonly describedFor?: readonly FactName[] | undefined;
  /** Of a document: the facts for whose sake alone it is read as one of several that describe something. Absent: it is always read. */
  readonly readFor?: readonly FactName[] | undefined;
  /** Whether it may be kept when `describedBy` is missing upstream, or does not list it. Absent: `false`, it is not found. */
  readonly descriptionOptional?: Fact<boolean, Self> | undefined;
  /**
   * Makes checks that one digest cannot. Called before fetched bytes are complete for any client and before they are stored; for a
   * document also each time before `parse`.
   * @throws EntrepotError `integrity` when the bytes are not what the ecosystem promised
   */
  verify?(resource: Resource, content: Content, context: VerifyContext, self: Self): Promise<void>;
  /** The document that `verify` always reads: it is asked for along with the bytes. Absent: only once `verify` reads it. */
  readonly verifiedBy?: ((resource: Resource, self: Self) => Resource | undefined) | undefined;
  /** The artifacts that it is one copy with for ever. Absent: it stands alone. */
  readonly publishedWith?: Fact<PublicationSet, Self> | undefined;
  /** Bytes named by their digest. Absent: they are named otherwise. */
  readonly addressed?: AddressedFacts<Self> | undefined;
}

/** Artifacts that are fetched and verified together, then published at once or not at all. */
export interface PublicationSet {
  /** All of them, this one among them; each names the same. */
  readonly members: readonly Resource[];
  /** Whether the upstream may lack some: those that it has are published. Absent: `false`. */
  readonly partly?: boolean | undefined;
}

/** Facts about bytes that are named by their digest. */
export interface AddressedFacts<Self> {
  /**
   * Whether other repositories or names may have brought the bytes: then the upstream is only asked by HEAD whether this name has them, and
   * `verify` is not called again.
   */
  readonly shared?: boolean | undefined;
  /** The size that a manifest states, in bytes, where more is known than the upstream says on HEAD. */
  readonly size?: Fact<number, Self> | undefined;
  /**
   * A document whose key begins the keys of all cached documents that name these bytes. Bytes refused under all their names are refused by
   * digest, too.
   */
  readonly namedBy?: ((resource: Resource, self: Self) => Resource | undefined) | undefined;
  /**
   * For a mutable name (a tag): the same bytes by their digest. In `key` and `path`, `{digest}` stands for it. The name is revalidated by
   * HEAD, and what it names now, as the upstream states in `reply.digestHeader`, is fetched by digest.
   */
  readonly pinned?: ((resource: Resource, self: Self) => PinnedName | undefined) | undefined;
  /** The part of a body that its digest covers, where that is not the whole. Only called where the whole has another digest. */
  readonly part?: ((resource: Resource, content: Content, self: Self) => Promise<Uint8Array | undefined>) | undefined;
}

/** The same bytes by their digest. */
export interface PinnedName {
  readonly key: string;
  /** Absent in hosted repositories. */
  readonly path?: string | undefined;
}

/** Settings of a class for policy and access control. */
export interface PolicyFacts<Self> {
  /** The name within the repository that a grant can be bound to. Absent: that of the coordinates where the plugin has `names.pattern`. */
  readonly accessName?: Fact<string, Self> | undefined;
  /** Whether a grant for any name suffices to read it (keys, proofs). Absent: `false`. */
  readonly forAnyName?: boolean | undefined;
  /** Whether it tells of an artifact with the same coordinates (metadata, signatures): judged as that, and not scanned. Absent: `false`. */
  readonly sidecar?: Fact<boolean, Self> | undefined;
  /** The key of the artifact that a sidecar tells of. Absent: any artifact with the same coordinates. */
  readonly sidecarOf?: Fact<string, Self> | undefined;
  /**
   * Whether a document has no dates of the versions that it lists, and what describes one of them has: no version is left out because of its
   * age, which is judged when it is asked for. Absent: `false`.
   */
  readonly undated?: boolean | undefined;
  /** Whether it is only refused where it is malicious: other versions need it to build (`go.mod`). Absent: `false`. */
  readonly refusedOnlyIfMalicious?: Fact<boolean, Self> | undefined;
  /** The reply where policy refuses the whole name and clients would hide why: an empty list. Absent: a 403 by `renderError`. */
  readonly refusal?: ((resource: Resource, self: Self) => LocalReply | undefined) | undefined;
  /** The parts that the bytes name by digest (`version` is the digest). Policy takes a part to be as old as the resource that names it. Absent: none. */
  readonly parts?:
    ((resource: Resource, content: Content, self: Self) => Promise<readonly PackageCoordinates[]>) | undefined;
}

/**
 * Bytes of another resource, with the upstream's headers that its class keeps, lower-case, `etag` and `last-modified` among them, and
 * those that tell its sums.
 */
export interface ReadContent extends Content {
  readonly headers: Readonly<Record<string, string>>;
}

/** Context of `parse` and `verify`. */
export interface VerifyContext {
  /** The facts that policy looks at. A document is parsed again when policy looks at more than `parse` was asked for. */
  readonly needs: ReadonlySet<FactName>;
  /**
   * The upstream's reply headers that the class keeps, lower-case, with `etag` and `last-modified`: those of the reply that brought the
   * bytes, and those of the entry when a kept document is read again. Empty for produced bytes.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** The description of an artifact. Absent for documents, and where there is none. */
  readonly description?: ArtifactDescription | undefined;
  /**
   * Passes on a document that can already be rendered while it is still being read: `content` follows the arriving
   * bytes. Absent: no client waits for that. Core renders it with `isArriving`, and only where policy can refuse
   * nothing.
   */
  arriving?(document: Parsed): void;
  /**
   * Reads another resource of this repository, cached or fetched by the same pipeline. Must not lead back to the resource that is verified.
   * @throws EntrepotError as a client would be answered
   */
  read(resource: Resource): Promise<ReadContent>;
}

/** A document that was read once. */
export interface Parsed {
  /** Bytes that it takes in memory, about. Bounds the cache of parsed documents. */
  readonly weight: number;
  /** Describes the artifact with `key`. `undefined`: it is not listed. */
  describe?(key: string): ArtifactDescription | undefined;
  /** Lists all descriptions, by key. */
  descriptions?(): Iterable<readonly [key: string, description: ArtifactDescription]>;
  /** Facts about artifacts that it listed once and lists no longer (PEP 792). Absent: they were removed. */
  readonly unlisted?: Pick<ArtifactFacts, 'upstream'> | undefined;
}

/** Request for a representation of a document. */
export interface RenderRequest {
  readonly resource: Resource;
  /** The stored bytes. Empty where there is no document, only what is cached below `listsBelow`. */
  readonly content: Content;
  /** Whether there is no document. */
  readonly isAbsent: boolean;
  /** Whether the document is still arriving: every version is listed. Absent: it is whole. */
  readonly isArriving?: boolean | undefined;
  /** The URL of the repository as this client reaches it, without a trailing slash. */
  readonly baseUrl: string;
  /** The upstream's headers that are kept with the document, lower-case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The keys of what is cached below `listsBelow`, in code-point order. */
  readonly cachedKeys: readonly string[];
  /** Whether policy lets a version be listed. A refused version is left out, and every pointer to it is moved. */
  admits(coordinates: PackageCoordinates, description?: ArtifactDescription): boolean;
  /** Explains why a version is not listed. `undefined`: it is listed. */
  refusal(coordinates: PackageCoordinates, description?: ArtifactDescription): string | undefined;
}

type Rendered = DocumentBytes | RenderedDocument | Promise<DocumentBytes | RenderedDocument>;

/** Makes bytes where no upstream has them: a version-control checkout, a tool of the ecosystem. */
export interface Production<Self> {
  /** Whether a resource is produced. Absent: all of the class are. */
  readonly applies?: ((resource: Resource, self: Self) => boolean) | undefined;
  /**
   * Makes the files of a resource; of all its set where it has `publishedWith`. Called once for all who ask meanwhile.
   * @throws EntrepotError `not-found`, `forbidden` or `upstream-unavailable`, as an upstream would have answered
   */
  make(resource: Resource, context: ProduceContext, self: Self): Promise<readonly ProducedFile[]>;
}

/** Context of `produce.make`. */
export interface ProduceContext {
  /** An empty folder of its own; removed when the files were stored. */
  readonly folder: string;
  /** The cached copy that is made anew. Absent: there is none. */
  readonly kept?: ReadContent | undefined;
  /** Lists the keys of what is kept below a prefix that ends in `/`, in code-point order. */
  keys(prefix: string): Promise<readonly string[]>;
  /** Aborted when it takes too long or the server shuts down. Child processes end with it. */
  readonly signal: AbortSignal;
  read: VerifyContext['read'];
}

/** Immutable bytes. Served with ranges, verified before they are complete. */
export interface ArtifactClass<Self = unknown> {
  readonly kind: 'artifact';
  /** One line for the configuration reference. */
  readonly about: string;
  readonly cache?: CacheFacts<Self> | undefined;
  readonly upstream?: UpstreamFacts<Self> | undefined;
  readonly reply?: ReplyFacts<Self> | undefined;
  readonly trust?: TrustFacts<Self> | undefined;
  readonly policy?: PolicyFacts<Self> | undefined;
}

/** A mutable resource. Stored as received; `reply.render` makes what clients get. */
export interface DocumentClass<Self = unknown, Document extends Parsed = Parsed> {
  readonly kind: 'document';
  /** One line for the configuration reference. */
  readonly about: string;
  readonly cache?: CacheFacts<Self> | undefined;
  readonly upstream?: UpstreamFacts<Self> | undefined;
  readonly reply?: DocumentReplyFacts<Self, Document> | undefined;
  readonly trust?: TrustFacts<Self> | undefined;
  readonly policy?: PolicyFacts<Self> | undefined;
  /**
   * Reads a document. Called once for each body, before it is stored, and again when policy looks at more facts or memory let it go: the
   * same bytes give the same. Bounded in memory, and at most a few milliseconds of work at a time.
   * @throws EntrepotError `upstream-unavailable` for a body that is no such document: it is not stored, and the cached copy is served. Any
   * other error is a fault of the plugin
   */
  parse?(content: Content, resource: Resource, context: VerifyContext, self: Self): Promise<Document>;
  /**
   * Tells people of one version that the document lists. Reserved for the pages: nothing calls it yet. `undefined`: it lists no such
   * version.
   */
  summarize?(content: Content, version: PackageCoordinates, self: Self): Promise<VersionSummary | undefined>;
  /**
   * Reads a document as rows, on a thread. One of 2 MiB or more becomes a table in a file: the same bytes are read once for all
   * repositories, also across restarts, and memory does not grow with them. Smaller ones are given to `parse`, or without it are a table
   * in memory. Absent: `parse` reads all.
   */
  readonly table?: DocumentTable<Self, Document> | undefined;
}

/** Reading of a document as rows. */
export interface DocumentTable<Self, Document extends Parsed> {
  /** Reads the rows of a document, by a program of the plugin. */
  readonly maker: RowSource;
  /** Counted up when the program reads other rows from the same bytes: older tables are not used any more. */
  readonly revision: number;
  /**
   * Gives all besides the bytes and their media type that the rows depend on, as plain data for the program. Documents with the same
   * bytes, media type and parameters share a table.
   */
  parameters(resource: Resource, context: Pick<VerifyContext, 'needs' | 'headers'>, self: Self): unknown;
  /** Makes the document that answers from its rows. Quick. */
  open(table: Table, resource: Resource, self: Self): Document;
}

/** The makers of tables, whatever their parameters are. */
export interface RowSource {
  write(...given: Parameters<TableMaker<unknown>['write']>): Promise<void>;
  read(...given: Parameters<TableMaker<unknown>['read']>): Promise<Table>;
}

/** Facts about a version for people. Absent: the document does not state them. */
export interface VersionSummary {
  readonly description?: string | undefined;
  /** As the ecosystem writes them. */
  readonly licences?: readonly string[] | undefined;
  readonly links?: readonly { readonly label: string; readonly url: string }[] | undefined;
  readonly dependencies?: readonly { readonly name: string; readonly range: string }[] | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Markdown or plain text. */
  readonly readme?: string | undefined;
}

/** The reply with a document. */
export interface DocumentReplyFacts<Self, Document extends Parsed> extends ReplyFacts<Self> {
  /**
   * Makes the representation for clients. Absent: the bytes go out as received, with ranges, while they arrive. Memoised for each
   * combination of bytes, cached keys, variant, base URL and policy revision.
   * @param document what `parse` made. `undefined` in a class without `parse`, and in one with `cache.listsBelow` where there is no document: such a
   * class declares it
   * @throws EntrepotError `not-found` when the document has no such variant
   */
  render?(document: Document, request: RenderRequest, self: Self): Rendered;
}

/** A question that is asked of the upstream every time. `key` is its short name for metrics and logs: `search`. */
export interface PassthroughClass<Self = unknown> {
  readonly kind: 'passthrough';
  /** One line about it, for the readers of the plugin. */
  readonly about: string;
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly upstream?: Pick<UpstreamFacts<Self>, 'accept' | 'tokenScope' | 'order'> | undefined;
  readonly policy?:
    | (Pick<PolicyFacts<Self>, 'accessName' | 'forAnyName'> & {
        /** Names that the upstream would learn: one that policy refuses is not told, and nothing is asked. */
        readonly names?: Fact<readonly PackageCoordinates[], Self> | undefined;
      })
    | undefined;
  /** Translates request and reply. Absent: they are passed on. */
  readonly adapt?: Adaptation<Self> | undefined;
  /** The time for which a reply may be shared by requests with the same body, in milliseconds. Absent: none. */
  readonly shareFor?: number | undefined;
}

/** Translation of a passthrough exchange. */
export interface Adaptation<Self> {
  /** The path of an advisory API under which a scanner may answer instead of the upstream. */
  readonly answerPath?: string | undefined;
  /** Makes the upstream's request. `body` is decoded and bounded by core. Names that policy refuses must not leave. */
  request(resource: Resource, body: Uint8Array, context: AdaptContext, self: Self): AdaptedRequest;
  /** Makes the client's reply from the upstream's. Header names are lower-case. */
  reply(resource: Resource, reply: PassedReply, context: AdaptReplyContext, self: Self): AdaptedReply;
}

/** The reply of an upstream, or of a scanner in its place, to a question. */
export interface PassedReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

/** Entries of a hosted repository that a document is made from. */
export interface EntrySelection {
  /** Those whose key begins with this, in code-point order. */
  readonly prefix: string;
  /** Only those after this key (exclusive). */
  readonly after?: string | undefined;
  /** At the most so many; absent: all. */
  readonly limit?: number | undefined;
  /** Whether there is a document when there is no entry. `false` or absent: it is not found, unless `prefix` is empty. */
  readonly orEmpty?: boolean | undefined;
  /** This entry must exist, otherwise the document is not found: the name that a list belongs to. */
  readonly requires?: string | undefined;
}

/** A document of a hosted repository, made from its entries. */
export interface ListingClass<Self = unknown> {
  readonly kind: 'listing';
  /** One line for the configuration reference. */
  readonly about: string;
  readonly reply?: Pick<ReplyFacts<Self>, 'mediaType' | 'cacheControl' | 'vary' | 'headers'> | undefined;
  readonly policy?: Pick<PolicyFacts<Self>, 'accessName' | 'forAnyName'> | undefined;
  /** Selects the entries that it is made from. Pure. */
  entries(resource: Resource, self: Self): EntrySelection;
  /** Makes the body from the selected entries, by key. Called once for each revision of the repository. Asks `admits` for each version. */
  render(resource: Resource, entries: AsyncIterable<Entry>, context: ListingContext, self: Self): Rendered;
  /**
   * Frames a large document that is kept in pieces: the bytes around and between those of the selected entries. One change then costs
   * what the changed piece costs. `undefined`, or where bytes of a piece are lost: `render` makes it.
   */
  readonly join?:
    | ((
        resource: Resource,
        entries: readonly Entry[],
        context: Pick<RenderRequest, 'baseUrl' | 'admits' | 'refusal'>,
        self: Self,
      ) => readonly JoinedPiece[] | undefined)
    | undefined;
}

/** Context of a listing's `render`. */
export interface ListingContext
  extends Pick<RenderRequest, 'baseUrl' | 'admits' | 'refusal'>, Pick<HostedContext, 'content' | 'find'> {
  /** Says that the document is right until `time` alone (milliseconds since the epoch): then it is made anew, whatever has changed. */
  rightUntil(time: number): void;
}

/** A change to a hosted repository. */
export interface ChangeClass<Self = unknown> {
  readonly kind: 'change';
  /** One line about it, for the readers of the plugin. */
  readonly about: string;
  /** `put` reads the body; `delete` and `link` do not. */
  readonly action: 'put' | 'delete' | 'link';
  /**
   * `forAnyName`: the names stand in the body, so a grant for any name suffices to send it. What `make` puts is taken where the caller
   * has a grant for the names of its coordinates.
   */
  readonly policy?: Pick<PolicyFacts<Self>, 'accessName' | 'forAnyName'> | undefined;
  /** Bounds of the change. */
  readonly bounds: ChangeBounds<Self>;
  /**
   * Makes the change. Called again when what it `expect`s is no longer so. Absent: a put makes one entry with the resource's key and the
   * whole body, a delete removes it.
   * @param content the body of a put, as checked against the resource's `integrity`; else empty
   * @throws EntrepotError `bad-request` for a body that is not what the ecosystem publishes, `not-found` for nothing to remove or link
   */
  readonly make?:
    ((resource: Resource, content: Content, context: HostedContext, self: Self) => Promise<HostedChange>) | undefined;
}

/** Bounds of a change. */
export interface ChangeBounds<Self> {
  /** The class of the entry that is made or removed. */
  readonly of: string;
  /** The largest body, in bytes: a larger one is `too-large`. */
  readonly maxBytes: Fact<number, Self>;
  /** Whether an entry that exists is replaced; otherwise it is a conflict. Only where there is no `make`. Absent: `false`. */
  readonly overwrite?: Fact<boolean, Self> | undefined;
  /** The media type of the entry, where there is no `make`. Absent: `application/octet-stream`. */
  readonly mediaType?: Fact<string, Self> | undefined;
  /** Changes with the same value are made one after another on this server. Absent: all at once. */
  readonly exclusive?: Fact<string, Self> | undefined;
}

/** An upload whose bytes come in several requests. Sessions survive a restart; those left alone expire. */
export interface SessionClass<Self = unknown> {
  readonly kind: 'session';
  /** One line about it, for the readers of the plugin. */
  readonly about: string;
  readonly policy?: Pick<PolicyFacts<Self>, 'accessName'> | undefined;
  /** The largest session, in bytes, over all its requests. */
  readonly maxBytes: Fact<number, Self>;
  /** Reads the step from a resource. Pure. */
  step(resource: Resource, self: Self): SessionStep;
  /** Makes the reply to a step that was taken. A range elsewhere is refused with the headers of the reply to `status`. */
  reply(step: SessionStep, state: SessionState, context: Pick<HostedContext, 'baseUrl'>, self: Self): ChangeReply;
}

/** One step of a session. */
export interface SessionStep {
  readonly action: 'open' | 'append' | 'status' | 'complete' | 'cancel';
  /** The owner of the session: one opened under another owner does not exist. */
  readonly owner: string;
  /** Absent to open one. One that does not exist is `not-found` with the code `SESSION_UNKNOWN`. */
  readonly id?: string | undefined;
  /**
   * The client's range for the body (both ends included). Another place than the end is `range-not-satisfiable`.
   * Absent: at the end.
   */
  readonly range?: ByteRange | undefined;
  /** To complete: the change that the bytes make. To open: a `link` that is tried first. */
  readonly change?: Resource | undefined;
}

/** A class of a proxy. */
export type ProxyClass<Self = unknown> =
  ArtifactClass<Self> | DocumentClass<Self> | PassthroughClass<Self> | AliasClass<Self>;
/** A class of a hosted repository. */
export type HostedClass<Self = unknown> =
  ArtifactClass<Self> | DocumentClass<Self> | ListingClass<Self> | ChangeClass<Self> | SessionClass<Self>;

type Declared<Class> = Omit<Class, 'kind'>;

/** Declares a class of artifacts. */
export function artifactClass<Self = unknown>(declared: Declared<ArtifactClass<Self>>): ArtifactClass<Self> {
  return Object.freeze({ kind: 'artifact', ...declared });
}

/** Declares a class of documents. */
export function documentClass<Self = unknown, Document extends Parsed = Parsed>(
  declared: Declared<DocumentClass<Self, Document>>,
): DocumentClass<Self, Document> {
  return Object.freeze({ kind: 'document', ...declared });
}

/** Declares a class of questions for the upstream. */
export function passthroughClass<Self = unknown>(declared: Declared<PassthroughClass<Self>>): PassthroughClass<Self> {
  return Object.freeze({ kind: 'passthrough', ...declared });
}

/** Declares a class of hosted documents. */
export function listingClass<Self = unknown>(declared: Declared<ListingClass<Self>>): ListingClass<Self> {
  return Object.freeze({ kind: 'listing', ...declared });
}

/** Declares a class of changes. */
export function changeClass<Self = unknown>(declared: Declared<ChangeClass<Self>>): ChangeClass<Self> {
  return Object.freeze({ kind: 'change', ...declared });
}

/** Declares a class of upload sessions. */
export function sessionClass<Self = unknown>(declared: Declared<SessionClass<Self>>): SessionClass<Self> {
  return Object.freeze({ kind: 'session', ...declared });
}
