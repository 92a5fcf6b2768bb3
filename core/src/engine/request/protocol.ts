import type { AccessNeed } from '../../api/access.js';
import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Entry } from '../../api/entry-index.js';
import type { EntrepotError } from '../../api/errors.js';
import type { ArtifactFacts, FactName } from '../../api/facts.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { ChangeReply, HostedChange, HostedContext, SessionState } from '../../api/hosted.js';
import type { StandardSchema } from '../../api/options.js';
import type { Injected, TokenRecord } from '../../api/token.js';
import type {
  RequestHead,
  DotSegments,
  OtherBytes,
  ArtifactDescription,
  PartReference,
  DocumentBytes,
  RenderedError,
  AdaptContext,
  AdaptedRequest,
  AdaptedReply,
  ProducedFile,
  JoinedPiece,
  RenderedDocument,
  DiscoveredUpstream,
  DiscoveryContext,
  RepositoryFacts,
  SharedRepository,
  SharedAnswer,
  ClientSetupContext,
  ClientSetup,
} from '../../api/protocol.js';
import type {
  ArtifactResource,
  BoundResource,
  DocumentResource,
  PassthroughResource,
  SessionResource,
  UploadResource,
} from './resource.js';

/** A document's descriptions of its artifacts, by the artifact's `key`. */
export interface Descriptions extends ReadonlyMap<string, ArtifactDescription> {
  /**
   * Facts about artifacts that it listed once and lists no longer: an index that quarantines a project lists nothing of it
   * (PEP 792). Absent: they were removed, and nothing else is known.
   */
  readonly unlisted?: Pick<ArtifactFacts, 'upstream'> | undefined;
}

/** Context of `rewrite` and `render`. */
export interface RewriteContext {
  /** The URL of the repository as this client reaches it, without a trailing slash: `https://packages.example.com/npm`. */
  readonly baseUrl: string;
  /** The result of `describe`; empty when the protocol has none. */
  readonly descriptions: Descriptions;
  /** The upstream's headers that are kept with the document, lower-case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The keys of what is kept below the document's `keptBelow`, in code-point order; empty where it names none. */
  readonly keptKeys: readonly string[];
  /** Whether there is no document, only what is kept below its `keptBelow`: what is rewritten is empty. */
  readonly isAbsent?: boolean | undefined;
  /** Whether the document is still arriving. Absent: it is whole. */
  readonly isArriving?: boolean | undefined;
  /**
   * Whether policy admits this version to lists. Leave out a version for which it is `false`, and move every pointer to
   * it.
   * @param coordinates of the version
   * @param description by the document, when there is one
   */
  admits(coordinates: PackageCoordinates, description?: ArtifactDescription): boolean;
  /** Why a version is not listed, for people: rules and the URL of an explanation. `undefined` when it is listed. */
  refusal(coordinates: PackageCoordinates, description?: ArtifactDescription): string | undefined;
}

/** Context of `describe` and `verify`. */
export interface HookContext {
  /**
   * The facts that policy looks at: others need not be looked for where that costs a request. A document that was read by one who
   * looked at this is read again when policy looks at more.
   */
  readonly needs: ReadonlySet<FactName>;
  /** The description by the artifact's document. Absent where there is none, and for documents. */
  readonly description?: ArtifactDescription | undefined;
  /**
   * The upstream's reply headers that are kept, lower-case, with `etag` and `last-modified`: those of the reply that brought the bytes,
   * and those of the entry when a kept document is read again.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * Passes on the descriptions of a document that can already be rendered while it is still being read. Absent: no
   * client waits for that.
   */
  arriving?(descriptions: Descriptions): void;
  /**
   * The bytes of another resource of this repository, kept or fetched by the same pipeline (and verified by it in turn):
   * the record of a checksum database, the tile above a tile. Must not lead back to the resource that is being verified.
   * @throws EntrepotError as a client would be answered
   */
  read(resource: ArtifactResource | DocumentResource): Promise<Content>;
}

/** Context of `produce`. */
export interface ProduceHookContext {
  /** An empty folder of its own; removed when the files were stored. */
  readonly folder: string;
  /** As in `HookContext`: what the bytes are made from, such as the archive that a file is taken out of. */
  read: HookContext['read'];
  /** Aborted when it takes too long or the server shuts down. Child processes end with it. */
  readonly signal: AbortSignal;
}

/**
 * A protocol in one repository. It interprets requests; it never fetches, stores or sees a connection. An error that a
 * hook throws and that is not an `EntrepotError` is wrapped with the plugin's id and the hook's name.
 */
export interface EngineProtocol {
  /**
   * Names the resource of a request. `undefined` is 404. Pure, synchronous and total: it never throws anything but an
   * `EntrepotError` of kind `bad-request`, `not-found`, `forbidden` or `method-not-allowed`. Called once a request,
   * before anything else. HEAD routes as GET does.
   */
  route(head: RequestHead): BoundResource | undefined;
  /**
   * Describes the artifacts of a document. Called once for each body, before it is stored: a body that throws is an
   * upstream fault, is not stored, and a cached copy is served. So this is also where a protocol checks that a document
   * is one. Must read in bounded memory and must not block the event loop for more than a few milliseconds at a time.
   */
  describe?(document: DocumentResource, content: Content, context: HookContext): Promise<Descriptions>;
  /**
   * The path below the repository, as a client sends it, of the document that describes all versions of a name. For
   * explanations to administrators. Where each version has a document of its own, and `subject` is one: the path of the
   * artifact that it describes. Pure. Absent, or `undefined`: there is none.
   */
  documentPath?(subject: PackageCoordinates): string | undefined;
  /**
   * The path below the repository, as a client sends it, of other bytes that something of this name is made of: the manifests,
   * configuration and layers of an image. For scans of what no client has brought whole. Pure. Absent, or `undefined`: there are none.
   */
  partPath?(whole: PackageCoordinates, part: PartReference): string | undefined;
  /**
   * Lists the parts that the bytes of a resource name by digest (`version` is the digest): the manifests of an index, the
   * layers of an image. Policy takes a part to be as old as the resource that names it. Absent: a resource has no parts.
   */
  partsOf?(resource: ArtifactResource | DocumentResource, content: Content): Promise<readonly PackageCoordinates[]>;
  /**
   * Makes the bytes of a resource that says `produced`; for one with `together` those of all its members. Called once for
   * all who ask meanwhile.
   * @throws EntrepotError `not-found`, `forbidden` or `upstream-unavailable`, as an upstream would have answered
   */
  produce?(
    resource: ArtifactResource | DocumentResource,
    context: ProduceHookContext,
  ): Promise<readonly ProducedFile[]>;
  /**
   * The representation that clients get, for a document whose resource says `rewritten`. Called once for each
   * combination of bytes, kept keys, variant, base URL and policy revision; the result is memoised. Bounded as `describe`.
   * @param content empty where there is no document, only what is kept below its `keptBelow`
   * @throws EntrepotError `not-found` when the stored document has no such variant, or what is kept makes none.
   */
  rewrite?(
    document: DocumentResource,
    content: Content,
    context: RewriteContext,
  ): DocumentBytes | RenderedDocument | Promise<DocumentBytes | RenderedDocument>;
  /**
   * The media type to keep bytes under where the upstream gave none, or one that says nothing (`text/plain`,
   * `application/json`, `application/octet-stream`). `undefined`: what the upstream said.
   */
  mediaTypeOf?(resource: ArtifactResource | DocumentResource, content: Content): Promise<string | undefined>;
  /**
   * The part of a body that its digest speaks of, where that is not the whole: a signed manifest of Docker's first schema
   * without its signatures. Only called where the whole has another digest than was promised. `undefined`: there is none.
   */
  namedPart?(resource: ArtifactResource | DocumentResource, content: Content): Promise<Uint8Array | undefined>;
  /**
   * Checks that one digest cannot make. Called before a fetched artifact is complete for any client and before it is stored.
   * @throws EntrepotError `integrity` when the bytes are not what the ecosystem promised.
   */
  verify?(artifact: ArtifactResource, content: Content, context: HookContext): Promise<void>;
  /**
   * Prints `error` in the shape that the ecosystem's clients show. Absent: plain text. Must not throw.
   * @param resource what the request named; absent when it named nothing
   */
  renderError?(error: EntrepotError, resource?: BoundResource): RenderedError;
  /**
   * For a passthrough that says `adapted`: the request for the upstream. `body` is decoded, and bounded by core. Names that policy
   * refuses must not leave.
   */
  adaptRequest?(resource: PassthroughResource, body: Uint8Array, context: AdaptContext): AdaptedRequest;
  /** For a passthrough that says `adapted`: the reply for the client, from the upstream's reply and the client's body. */
  adaptReply?(
    resource: PassthroughResource,
    reply: { readonly status: number; readonly body: Uint8Array },
    requestBody: Uint8Array,
  ): AdaptedReply;
  /**
   * Computes the changes of an upload (`put`). Called again when the state that it `expect`s has changed. Absent: one
   * entry with the upload's key and the whole body.
   * @throws EntrepotError `bad-request` for a body that the ecosystem does not publish
   */
  receive?(upload: UploadResource, content: Content, context: HostedContext): Promise<HostedChange>;
  /**
   * Computes the changes of a request without a body (`delete`, `link`). Absent: a delete removes the entry of its key.
   * @throws EntrepotError `not-found` when there is nothing to remove or link
   */
  alter?(upload: UploadResource, context: HostedContext): Promise<HostedChange>;
  /** The reply to a step of a session. Required for protocols that route to sessions. */
  sessionReply?(session: SessionResource, state: SessionState, context: Pick<HostedContext, 'baseUrl'>): ChangeReply;
  /** The body of a hosted document, from the entries that its `fromEntries` selects, by key. */
  render?(
    document: DocumentResource,
    entries: AsyncIterable<Entry>,
    context: RewriteContext & Pick<HostedContext, 'content' | 'find'>,
  ): DocumentBytes | RenderedDocument | Promise<DocumentBytes | RenderedDocument>;
  /**
   * For a large hosted document that is kept in pieces: what stands around and between the bytes of the selected entries.
   * Core joins them without reading them, so one change costs what the changed piece costs. `undefined`, or where bytes of a
   * piece are lost: `render` makes this one.
   */
  join?(
    document: DocumentResource,
    entries: readonly Entry[],
    context: RewriteContext,
  ): readonly JoinedPiece[] | undefined;
  /** The `WWW-Authenticate` value for a caller who must authenticate. Absent: Basic. */
  challenge?(need: AccessNeed, context: { readonly baseUrl: string }): string;
  /** Called once, when the repository is closed. */
  dispose?(): Promise<void>;
}

/** A class of resources: what is kept alike, and can be configured under `cache.<class>`. */
export interface ResourceClass {
  readonly kind: 'artifact' | 'document';
  /** One line for the configuration reference. */
  readonly description: string;
  /** Freshness that differs from `DEFAULT_FRESHNESS`. */
  readonly freshness?: Partial<FreshnessRule> | undefined;
  /** `Cache-Control` for clients. Absent: `no-cache`. */
  readonly cacheControl?: string | undefined;
  /** Upstream headers that are kept and passed to clients, lower-case, besides `Content-Type`, `ETag` and `Last-Modified`. */
  readonly keepHeaders?: readonly string[] | undefined;
}

/** A protocol as a package publishes it, as its default export. */
export interface EnginePlugin<Options = unknown, Deps extends TokenRecord = TokenRecord> {
  readonly kind: 'protocol';
  readonly apiVersion: number;
  /** Lower-case, digits, `-`. The `type` in the configuration. */
  readonly id: string;
  /** Which kinds of repository it serves. */
  readonly kinds: readonly ('proxy' | 'hosted')[];
  /** The options that stand beside the common keys of a repository. Must refuse unknown keys. */
  readonly options: StandardSchema<Options>;
  /** Keys of the options that one kind of repository alone has. */
  readonly ownOptions?: Readonly<Record<'proxy' | 'hosted', readonly string[]>> | undefined;
  readonly inject: Deps;
  /** The classes of its resources, by name. */
  readonly classes: Readonly<Record<string, ResourceClass>>;
  /**
   * Paths that the ecosystem fixes (`/v2`) and that all repositories share which name them. A repository is found there
   * below its own name (`/v2/<repository>/…`), and at its own mount as ever. `RequestHead.mount` says which it was.
   */
  readonly sharedMounts?: readonly string[] | undefined;
  /**
   * The `type` of entries in the `access` claim of tokens, besides `repository`, that speak of names of this format:
   * `artifact-repository` of ChartMuseum. In other repositories such entries say nothing.
   */
  readonly claimTypes?: readonly string[] | undefined;
  /**
   * The reading of patterns of names in grants, where those are names of packages. `paths`: globs, as `compileGlob` of
   * `@entrepot/core/formats` reads them. A function: whether a name fits a pattern, as the ecosystem writes them; it
   * may throw for an invalid one. Absent: as `paths`, and grants are bound to `accessName` alone.
   */
  readonly accessNames?: 'paths' | ((pattern: string) => (name: string) => boolean) | undefined;
  /** The mount of a repository that has a listener to itself, where the configuration names none. Absent: `/<name>`. */
  readonly mountAlone?: string | undefined;
  /**
   * Which repository a request at a shared mount is for, when its first segment names none: the root of the mount, a name
   * that is looked up (`?ns=`). Pure. `undefined`: nothing is there.
   * @param named the repository that the first segment names; then it is only asked where there is a query, and
   * `undefined` leaves the request to that one
   */
  select?(head: RequestHead, repositories: readonly SharedRepository[], named?: string): SharedAnswer | undefined;
  /** Gives the `Authorization` value that stands for credentials of the ecosystem's own form. Absent: the header as it was sent. */
  credentials?(head: RequestHead): string | undefined;
  /** Whether a reply with a stale copy says so in a `Warning: 299` header, which its clients show. */
  readonly warnsStale?: boolean | undefined;
  /** Headers of every reply, errors included; names as they are sent. */
  readonly replyHeaders?: Readonly<Record<string, string>> | undefined;
  /** Absent: `refuse`. */
  readonly dotSegments?: DotSegments | undefined;
  /** Absent: `refuse`. */
  readonly otherBytes?: OtherBytes | undefined;
  /**
   * The upstreams that clients on this machine are set up with, for repositories that name none. Empty: nothing found.
   * @throws EntrepotError `configuration` when the client's settings cannot be read.
   */
  discoverUpstreams?(context: DiscoveryContext): Promise<readonly DiscoveredUpstream[]>;
  /** The steps that point clients at a repository at `baseUrl`. */
  clientSetup?(context: ClientSetupContext): readonly ClientSetup[];
  create(context: {
    readonly services: Injected<Deps>;
    readonly options: Options;
    readonly repository: RepositoryFacts;
  }): EngineProtocol | Promise<EngineProtocol>;
}
