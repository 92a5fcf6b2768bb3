import type { Content } from './content.js';
import type { PackageCoordinates } from './coordinates.js';
import type { Entry } from './entry-index.js';
import type { EntrepotError } from './errors.js';
import type { FreshnessRule } from './freshness.js';
import type { Integrity } from './integrity.js';
import type { StandardSchema } from './options.js';
import type { ArtifactResource, DocumentResource, PassthroughResource, Resource, UploadResource } from './resource.js';
import type { Injected, TokenRecord } from './token.js';
import { API_VERSION } from './version.js';

/** The head of a request, as a protocol sees it. */
export interface RequestHead {
  readonly method: string;
  /** The path below the mount, split at `/`, each segment decoded once. A decoded segment may hold a `/` (`@scope%2fname`). */
  readonly segments: readonly string[];
  /** Whether the path ended in `/`. */
  readonly trailingSlash: boolean;
  readonly query: URLSearchParams;
  /** The query as it was sent, without `?`: for an upstream that cares how it is spelled. */
  readonly rawQuery: string;
  /** A request header by its lower-case name. */
  readonly header: (name: string) => string | undefined;
}

/** What a document says of one artifact. */
export interface ArtifactDescription {
  /** What the bytes are promised to be. Empty: the document promises nothing. */
  readonly integrity: readonly Integrity[];
  /** Where the bytes are when that is not the artifact's `upstreamPath`: absolute, or relative to the document's own URL. */
  readonly location?: string | undefined;
  readonly coordinates?: PackageCoordinates | undefined;
  /** Milliseconds since the epoch. */
  readonly publishedAt?: number | undefined;
  /** SPDX expressions. */
  readonly licenses?: readonly string[] | undefined;
  readonly deprecated?: boolean | undefined;
}

/** What a document says of its artifacts, by the artifact's `key`. */
export type Descriptions = ReadonlyMap<string, ArtifactDescription>;

/** What `rewrite` and `render` are given besides the document. */
export interface RewriteContext {
  /** The URL of the repository as this client reaches it, without a trailing slash: `https://packages.example.com/npm`. */
  readonly baseUrl: string;
  /** What `describe` said of this document; empty when the protocol has none. */
  readonly descriptions: Descriptions;
  /**
   * Whether policy lets this version be listed. A version for which it is `false` is left out, and every pointer to it is moved.
   * @param coordinates of the version
   * @param description what the document says of it, when there is one
   */
  admits(coordinates: PackageCoordinates, description?: ArtifactDescription): boolean;
}

/** What `describe` and `verify` are given besides the bytes. */
export interface VerifyContext {
  /** What the artifact's document says of it; absent where there is none, and for documents. */
  readonly description?: ArtifactDescription | undefined;
  /**
   * The bytes of another resource of this repository, kept or fetched by the same pipeline (and verified by it in turn):
   * the record of a checksum database, the tile above a tile. Must not lead back to the resource that is being verified.
   * @throws EntrepotError as a client would be answered
   */
  read(resource: ArtifactResource | DocumentResource): Promise<Content>;
}

/** The bytes of a rewritten document: in pieces, so that a large one is never held whole. */
export type DocumentBytes = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

/** An error, as a protocol prints it for its clients. */
export interface RenderedError {
  /** Another status, where the ecosystem's clients expect one. */
  readonly status?: number | undefined;
  readonly mediaType: string;
  readonly body: string;
}

/** A request for the upstream made from one of a client. */
export interface AdaptedRequest {
  readonly method: 'GET' | 'POST';
  readonly upstreamPath: string;
  readonly mediaType?: string | undefined;
  readonly body?: Uint8Array | undefined;
}

/** A reply made for the client from one of the upstream. */
export interface AdaptedReply {
  readonly status: number;
  readonly mediaType: string;
  readonly body: Uint8Array | string;
}

/** One file that `produce` made. */
export interface ProducedFile {
  /** The key of the resource whose bytes these are. */
  readonly key: string;
  /** Inside the folder that `produce` was given. */
  readonly path: string;
  readonly mediaType: string;
}

/** What `produce` is given. */
export interface ProduceContext {
  /** An empty folder of its own; removed when the files were stored. */
  readonly folder: string;
  /** Aborted when it takes too long or the server shuts down. Child processes end with it. */
  readonly signal: AbortSignal;
}

/** One entry that an upload makes. */
export interface ReceivedEntry {
  readonly key: string;
  /** The bytes; absent: the body of the upload itself. */
  readonly bytes?: Uint8Array | undefined;
  readonly mediaType: string;
  readonly coordinates?: PackageCoordinates | undefined;
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * What a protocol plugin makes for one repository. It says what requests mean; it never fetches, stores or sees a
 * connection. An error that a hook throws and that is not an `EntrepotError` is wrapped with the plugin's id and the hook's name.
 */
export interface Protocol {
  /**
   * What `head` names; `undefined` is 404. Pure, synchronous and total: it never throws anything but an
   * `EntrepotError` of kind `bad-request`, `not-found`, `forbidden` or `method-not-allowed`. Called once a request, before anything else.
   * HEAD routes as GET does.
   */
  route(head: RequestHead): Resource | undefined;
  /**
   * What a document says of its artifacts. Called once for each body, before it is stored: a body that throws is an
   * upstream fault, is not stored, and a kept copy is served. So this is also where a protocol checks that a document
   * is one. Must read in bounded memory and must not block the event loop for more than a few milliseconds at a time.
   */
  describe?(document: DocumentResource, content: Content, context: VerifyContext): Promise<Descriptions>;
  /**
   * Makes the bytes of a resource that says `produced`; for one with `together` those of all its members. Called once for
   * all who ask meanwhile.
   * @throws EntrepotError `not-found`, `forbidden` or `upstream-unavailable`, as an upstream would have answered
   */
  produce?(resource: ArtifactResource | DocumentResource, context: ProduceContext): Promise<readonly ProducedFile[]>;
  /**
   * The representation that clients get, for a document whose resource says `rewritten`. Called once for each
   * combination of bytes, variant, base URL and policy revision; the result is memoised. Bounded as `describe`.
   * @throws EntrepotError `not-found` when the stored document has no such variant.
   */
  rewrite?(
    document: DocumentResource,
    content: Content,
    context: RewriteContext,
  ): DocumentBytes | Promise<DocumentBytes>;
  /**
   * Checks that one digest cannot make. Called before a fetched artifact is complete for any client and before it is stored.
   * @throws EntrepotError `integrity` when the bytes are not what the ecosystem promised.
   */
  verify?(artifact: ArtifactResource, content: Content, context: VerifyContext): Promise<void>;
  /** Prints `error` in the shape that the ecosystem's clients show. Absent: plain text. Must not throw. */
  renderError?(error: EntrepotError): RenderedError;
  /** For a passthrough that says `adapted`: the request for the upstream. `body` is decoded, and bounded by core. */
  adaptRequest?(resource: PassthroughResource, body: Uint8Array): AdaptedRequest;
  /** For a passthrough that says `adapted`: the reply for the client, from the upstream's reply and the client's body. */
  adaptReply?(
    resource: PassthroughResource,
    reply: { readonly status: number; readonly body: Uint8Array },
    requestBody: Uint8Array,
  ): AdaptedReply;
  /**
   * The entries that an upload makes; they are put at once or not at all. Absent: one entry with the upload's key and the whole body.
   * @throws EntrepotError `bad-request` for a body that is not what the ecosystem publishes.
   */
  receive?(upload: UploadResource, content: Content): Promise<readonly ReceivedEntry[]>;
  /** The body of a hosted document, from the entries below its `fromEntries` prefix, by key. */
  render?(
    document: DocumentResource,
    entries: AsyncIterable<Entry>,
    context: RewriteContext,
  ): DocumentBytes | Promise<DocumentBytes>;
  /** Called once, when the repository is closed. */
  dispose?(): Promise<void>;
}

/** A class of resources: what is kept alike, and can be configured under `cache.<class>`. */
export interface ResourceClass {
  readonly kind: 'artifact' | 'document';
  /** One line for the configuration reference. */
  readonly description: string;
  /** What differs from `DEFAULT_FRESHNESS`. */
  readonly freshness?: Partial<FreshnessRule> | undefined;
  /** `Cache-Control` for clients. Absent: `no-cache`. */
  readonly cacheControl?: string | undefined;
  /** Upstream headers that are kept and passed to clients, lower-case, besides `Content-Type`, `ETag` and `Last-Modified`. */
  readonly keepHeaders?: readonly string[] | undefined;
}

/** An upstream of a repository, after configuration and discovery. */
export interface Upstream {
  /** The base URL; resources' `upstreamPath` is appended to it. Without credentials. */
  readonly url: string;
  /** Serves only resources that name this scope. */
  readonly scope?: string | undefined;
}

/** An upstream that was found in the settings of a client on this machine. */
export interface DiscoveredUpstream extends Upstream {
  /** Where it was found, for people: `npm's configuration (registry)`. */
  readonly source: string;
  /** The `Authorization` header that the client would send; only when `useClientCredentials` was asked for. A secret. */
  readonly authorization?: string | undefined;
}

/** What a protocol may know of its repository. */
export interface RepositoryFacts {
  readonly name: string;
  readonly kind: 'proxy' | 'hosted';
  readonly upstreams: readonly Upstream[];
}

/** How a client is pointed at a repository: shown on the start page. */
export interface ClientSetup {
  /** The client: `npm`, `pip`. */
  readonly client: string;
  /** A command or a settings fragment to copy. */
  readonly snippet: string;
}

/** A protocol as a package publishes it, as its default export. */
export interface ProtocolPlugin<Options = unknown, Deps extends TokenRecord = TokenRecord> {
  readonly kind: 'protocol';
  readonly apiVersion: number;
  /** Lower-case, digits, `-`. The `type` in the configuration. */
  readonly id: string;
  /** Which kinds of repository it serves. */
  readonly kinds: readonly ('proxy' | 'hosted')[];
  /** The options that stand beside the common keys of a repository. Must refuse unknown keys. */
  readonly options: StandardSchema<Options>;
  readonly inject: Deps;
  /** The classes of its resources, by name. */
  readonly classes: Readonly<Record<string, ResourceClass>>;
  /** Where the protocol must be mounted, when the ecosystem fixes it (`/v2`). Absent: anywhere. */
  readonly mount?: string | undefined;
  /** What happens to empty and `.` segments of a path. Absent: they are refused with 400. */
  readonly dotSegments?: 'refuse' | 'collapse' | undefined;
  /**
   * The upstreams that clients on this machine are set up with, for repositories that name none. Empty: nothing found.
   * @throws EntrepotError `configuration` when the client's settings cannot be read.
   */
  discoverUpstreams?(context: { readonly useClientCredentials: boolean }): Promise<readonly DiscoveredUpstream[]>;
  /** How clients are pointed at a repository at `baseUrl`. */
  clientSetup?(context: { readonly baseUrl: string; readonly repository: RepositoryFacts }): readonly ClientSetup[];
  create(context: {
    readonly services: Injected<Deps>;
    readonly options: Options;
    readonly repository: RepositoryFacts;
  }): Protocol | Promise<Protocol>;
}

/** Declares a protocol plugin: stamps `kind` and `apiVersion`. */
export function defineProtocolPlugin<Options, const Deps extends TokenRecord>(
  plugin: Omit<ProtocolPlugin<Options, Deps>, 'kind' | 'apiVersion'>,
): ProtocolPlugin<Options, Deps> {
  return Object.freeze({ kind: 'protocol' as const, apiVersion: API_VERSION, ...plugin });
}
