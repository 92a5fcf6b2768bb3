import type { AccessNeed } from './access.js';
import type { Content } from './content.js';
import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { Entry } from './entry-index.js';
import type { EntrepotError } from './errors.js';
import type { ArtifactFacts, FactName } from './facts.js';
import type { FreshnessRule } from './freshness.js';
import type { ChangeReply, HostedChange, HostedContext, SessionState } from './hosted.js';
import type { Integrity } from './integrity.js';
import type { StandardSchema } from './options.js';
import type {
  ArtifactResource,
  DocumentResource,
  LocalReply,
  PassthroughResource,
  Resource,
  SessionResource,
  UploadResource,
} from './resource.js';
import type { Injected, TokenRecord } from './token.js';
import { API_VERSION } from './version.js';

/** The head of a request, as a protocol sees it. */
export interface RequestHead {
  readonly method: string;
  /** The shared mount that it came in by; absent: the repository's own. */
  readonly mount?: string | undefined;
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

/**
 * Handling of empty and `.` segments of a path: refused with 400, or left out. `redirect` sends readers to the path without
 * empty segments, where links in the answer are relative to it; it refuses a `.`.
 */
export type DotSegments = 'refuse' | 'collapse' | 'redirect';

/**
 * Handling of bytes of a path that are not UTF-8, as file servers have them in names in Latin-1: refused with 400, or kept
 * as `\xE9` in their segment. No other segment holds a `\`.
 */
export type OtherBytes = 'refuse' | 'escape';

/** What a document says of one artifact. */
export interface ArtifactDescription extends ArtifactFacts {
  /** What the bytes are promised to be. Empty: the document promises nothing. */
  readonly integrity: readonly Integrity[];
  /** Where the bytes are when that is not the artifact's `upstreamPath`: absolute, or relative to the document's own URL. */
  readonly location?: string | undefined;
  /** Other places that have the same bytes, for when `location` does not: http URLs as `location`, best first. */
  readonly mirrors?: readonly string[] | undefined;
  readonly coordinates?: PackageCoordinates | undefined;
}

/** What a document says of its artifacts, by the artifact's `key`. */
export interface Descriptions extends ReadonlyMap<string, ArtifactDescription> {
  /**
   * Facts about artifacts that it listed once and lists no longer: an index that quarantines a project lists nothing of it
   * (PEP 792). Absent: they were removed, and nothing else is known.
   */
  readonly unlisted?: Pick<ArtifactFacts, 'upstream'> | undefined;
}

/** What `rewrite` and `render` are given besides the document. */
export interface RewriteContext {
  /** The URL of the repository as this client reaches it, without a trailing slash: `https://packages.example.com/npm`. */
  readonly baseUrl: string;
  /** What `describe` said of this document; empty when the protocol has none. */
  readonly descriptions: Descriptions;
  /** The upstream's headers that are kept with the document, lower-case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The keys of what is kept below the document's `keptBelow`, in code-point order; empty where it names none. */
  readonly keptKeys: readonly string[];
  /** Whether there is no document, only what is kept below its `keptBelow`: what is rewritten is empty. */
  readonly isAbsent?: boolean | undefined;
  /** Whether the document is still arriving: `descriptions` grow meanwhile, and nothing is refused. Absent: it is whole. */
  readonly isArriving?: boolean | undefined;
  /**
   * Whether policy lets this version be listed. A version for which it is `false` is left out, and every pointer to it is moved.
   * @param coordinates of the version
   * @param description what the document says of it, when there is one
   */
  admits(coordinates: PackageCoordinates, description?: ArtifactDescription): boolean;
  /** Why a version is not listed, for people: rules and the way to an explanation. `undefined` when it is listed. */
  refusal(coordinates: PackageCoordinates, description?: ArtifactDescription): string | undefined;
}

/** What something that is made of several pieces of bytes says of one of them. */
export interface PartReference {
  readonly digest: Digest;
  /** Absent: it does not say. */
  readonly mediaType?: string | undefined;
}

/** What `describe` and `verify` are given besides the bytes. */
export interface VerifyContext {
  /**
   * The facts that policy looks at: others need not be looked for where that costs a request. A document that was read by one who
   * looked at this is read again when policy looks at more.
   */
  readonly needs: ReadonlySet<FactName>;
  /** What the artifact's document says of it; absent where there is none, and for documents. */
  readonly description?: ArtifactDescription | undefined;
  /**
   * The upstream's reply headers that are kept, lower-case, with `etag` and `last-modified`: those of the reply that brought the bytes,
   * and those of the entry when a kept document is read again.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * Takes the descriptions of a document that can be rewritten from now on, although it is still being read: `content` follows bytes
   * that are arriving. Absent: nobody waits for that.
   */
  arriving?(descriptions: Descriptions): void;
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
  /** Names as they are sent. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** For whom a request of a client is adapted. */
export interface AdaptContext {
  /** Whether it leaves for an upstream. `false`: a scanner of this server answers it. */
  readonly leaves: boolean;
  /** Whether policy lets a name be asked for at all. */
  admits(coordinates: PackageCoordinates): boolean;
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
  /** What the entry says besides (JSON): the digest of what the bytes were taken from. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

/** What `produce` is given. */
export interface ProduceContext {
  /** An empty folder of its own; removed when the files were stored. */
  readonly folder: string;
  /** As in `VerifyContext`: what the bytes are made from, such as the archive that a file is taken out of. */
  read: VerifyContext['read'];
  /** Aborted when it takes too long or the server shuts down. Child processes end with it. */
  readonly signal: AbortSignal;
}

/** A piece of a joined document: bytes, or those of an entry. */
export type JoinedPiece = Uint8Array | Pick<Entry, 'digest' | 'size'>;

/** A document with headers of its own: a `Link` to the next page. */
export interface RenderedDocument {
  readonly bytes: DocumentBytes;
  /**
   * Names as they are sent, of any case; they replace those that were kept. Empty: it is left out. `ETag` and `Last-Modified`
   * are the validators of these bytes; without them, `ETag` is made from the bytes, and there is no date.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
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
   * The path below the repository, as a client sends it, of the document that describes all versions of a name: for people who
   * ask what is known of one. Where each version has a document of its own, and `subject` is one: the path of the artifact that it
   * describes. Pure. Absent, or `undefined`: there is none.
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
  produce?(resource: ArtifactResource | DocumentResource, context: ProduceContext): Promise<readonly ProducedFile[]>;
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
  verify?(artifact: ArtifactResource, content: Content, context: VerifyContext): Promise<void>;
  /**
   * Prints `error` in the shape that the ecosystem's clients show. Absent: plain text. Must not throw.
   * @param resource what the request named; absent when it named nothing
   */
  renderError?(error: EntrepotError, resource?: Resource): RenderedError;
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
   * What an upload (`put`) changes. Called again when what it `expect`s is no longer so. Absent: one entry with the
   * upload's key and the whole body.
   * @throws EntrepotError `bad-request` for a body that is not what the ecosystem publishes.
   */
  receive?(upload: UploadResource, content: Content, context: HostedContext): Promise<HostedChange>;
  /**
   * What a change without a body (`delete`, `link`) changes. Absent: a delete removes the entry of its key.
   * @throws EntrepotError `not-found` when there is nothing to remove or link.
   */
  alter?(upload: UploadResource, context: HostedContext): Promise<HostedChange>;
  /** What a client is told of a step of a session. Needed by protocols that route to sessions. */
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
  /** The `WWW-Authenticate` value for somebody who must say who they are. Absent: Basic. */
  challenge?(need: AccessNeed, context: { readonly baseUrl: string }): string;
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
  /**
   * What of this upstream leads on to the next one of its scope: only "not found" (404, 410), or any failure, a refusal
   * included. Absent: as the resource says (`upstreamsAre`).
   */
  readonly fallback?: 'not-found' | 'any-error' | undefined;
}

/** An upstream that was found in the settings of a client on this machine. */
export interface DiscoveredUpstream extends Upstream {
  /** Where it was found, for people: `npm's configuration (registry)`. */
  readonly source: string;
  /** The `Authorization` header that the client would send; only when `useClientCredentials` was asked for. A secret. */
  readonly authorization?: string | undefined;
}

/** Settings of clients that are asked for. */
export interface DiscoveryContext {
  readonly useClientCredentials: boolean;
  /**
   * Whether a URL leads to this server, for clients on this machine may be pointed here. A setting that does is passed over
   * as if nobody had written it: what stands behind it in the client's order counts.
   */
  readonly isOwn?: ((url: string) => boolean) | undefined;
}

/** What a protocol may know of its repository. */
export interface RepositoryFacts {
  readonly name: string;
  readonly kind: 'proxy' | 'hosted';
  readonly upstreams: readonly Upstream[];
}

/** A repository at a shared mount, as `select` sees it. */
export interface SharedRepository extends RepositoryFacts {
  /** Of its plugin. */
  readonly type: string;
  /** As its plugin's schema returned them. */
  readonly options: unknown;
}

/** A question for one of the repositories at a shared mount. */
export interface SharedQuestion {
  readonly repository: string;
  /** Below the repository, encoded; begins with `/`. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
}

/** Reply of a repository at a shared mount to a question. */
export interface SharedReply {
  readonly question: SharedQuestion;
  /** Names as they are sent. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What a request at a shared mount means that names no repository. */
export type SharedAnswer =
  /** The repository of this name, as if the path had named it; its whole path is below the mount. */
  | { readonly repository: string }
  /**
   * Asks the questions in turn, until `answer` makes something of a reply with 200: a list of all repositories is asked of
   * one after the other. Each question goes through access control as if the path had named its repository, so a caller
   * without read access learns nothing of it.
   */
  | {
      readonly questions: readonly SharedQuestion[];
      /** Pure. `reply` is absent after the last question. @returns `undefined`: the next question is asked */
      readonly answer: (reply: SharedReply | undefined) => LocalReply | undefined;
      readonly guarded?: boolean | undefined;
    }
  /** An answer of the mount itself. `guarded`: only for those who say who they are, where any repository asks for that. */
  | { readonly reply: LocalReply; readonly guarded?: boolean | undefined };

/** Facts for the steps of clients. */
export interface ClientSetupContext {
  readonly baseUrl: string;
  readonly repository: RepositoryFacts;
  /** Whether reading needs credentials: a step then has a place for them (`USER`, `PASSWORD`). Absent: `false`. */
  readonly guarded?: boolean | undefined;
}

/** The steps that point one client at a repository, as the start page shows them. */
export interface ClientSetup {
  /** The client: `npm`, `pip`. */
  readonly client: string;
  /** In order. */
  readonly steps: readonly SetupStep[];
  /** A command that shows whether it works. Absent: the first use does. */
  readonly check?: string | undefined;
  /** Commands that take it back. Absent: removing what the steps wrote does. */
  readonly undo?: readonly string[] | undefined;
}

/** A command to run, or lines for a settings file. */
export interface SetupStep {
  readonly kind: 'command' | 'file';
  /** The settings file. Absent for commands. */
  readonly path?: string | undefined;
  readonly text: string;
  /** Whether `USER` and `PASSWORD` in the text stand for credentials. Absent: there are none. */
  readonly needsKey?: boolean | undefined;
}

/** Prints the steps of a set-up as text to copy. */
export function setupText({ steps }: Pick<ClientSetup, 'steps'>): string {
  return steps.map(({ path, text }) => (path === undefined ? text : `# ${path}\n${text}`)).join('\n');
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
   * How patterns of names in grants are read where those are names of packages. `paths`: globs, as `compileGlob` of `@entrepot/core/formats` reads them. A function:
   * whether a name fits a pattern, as the ecosystem writes them; it may throw for one that is none. Absent: as `paths`, and grants are
   * bound to `accessName` alone.
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
  /** How clients are pointed at a repository at `baseUrl`. */
  clientSetup?(context: ClientSetupContext): readonly ClientSetup[];
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
