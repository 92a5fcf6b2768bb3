import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { Entry } from './entry-index.js';
import type { ArtifactFacts } from './facts.js';
import type { Integrity } from './integrity.js';
import type { LocalReply } from '../plugin/resource.js';

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

/** A document's description of one artifact. */
export interface ArtifactDescription extends ArtifactFacts {
  /** Checksums that the document promises. Empty: none. */
  readonly integrity: readonly Integrity[];
  /**
   * The URL of the bytes where it is not the artifact's `upstreamPath`: absolute, or relative to the document's own
   * URL.
   */
  readonly location?: string | undefined;
  /** Other URLs of the same bytes for when `location` fails: http URLs as `location`, best first. */
  readonly mirrors?: readonly string[] | undefined;
  readonly coordinates?: PackageCoordinates | undefined;
  /** Data of the plugin's own (JSON), handed back to `verify` and `locate`: a checksum of a part of the bytes. */
  readonly own?: Readonly<Record<string, unknown>> | undefined;
}

/** A reference to one blob of something that is made of several. */
export interface PartReference {
  readonly digest: Digest;
  /** Absent: unknown. */
  readonly mediaType?: string | undefined;
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

/** The recipient of an adapted request. */
export interface AdaptContext {
  /** Whether it leaves for an upstream. `false`: a scanner of this server answers it. */
  readonly leaves: boolean;
  /** Whether policy allows requests for a name. */
  admits(coordinates: PackageCoordinates): boolean;
}

/** A request for the upstream made from one of a client. */
export interface AdaptedRequest {
  readonly method: 'GET' | 'POST';
  readonly upstreamPath: string;
  readonly mediaType?: string | undefined;
  readonly body?: Uint8Array | undefined;
}

/** Context of a reply that is adapted. */
export interface AdaptReplyContext {
  /** The client's own body, decoded. */
  readonly requestBody: Uint8Array;
  /** The URL of the repository as this client reaches it, without a trailing slash. */
  readonly baseUrl: string;
  /** Whether policy lets a version be listed. */
  admits(coordinates: PackageCoordinates, description?: Partial<ArtifactDescription>): boolean;
}

/** A reply made for the client from one of the upstream. */
export interface AdaptedReply {
  readonly status: number;
  readonly mediaType: string;
  /** Headers besides those that core sends, names as they are sent. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body: Uint8Array | string;
}

/** One file that `produce` made. */
export interface ProducedFile {
  /** The key of the resource whose bytes these are. */
  readonly key: string;
  /** Inside the folder that `produce` was given. */
  readonly path: string;
  readonly mediaType: string;
  /** Data for the entry (JSON), such as the digest of the bytes that it was made from. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
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

/** An upstream of a repository, after configuration and discovery. */
export interface Upstream {
  /** The base URL; resources' `upstreamPath` is appended to it. Without credentials. */
  readonly url: string;
  /** Serves only resources that name this scope. */
  readonly scope?: string | undefined;
  /**
   * The failures of this upstream after which the next one of its scope is tried: only "not found" (404, 410), or any,
   * refusals included. Absent: as the class says (`order`).
   */
  readonly fallback?: 'not-found' | 'any-error' | undefined;
}

/** An upstream that was found in the settings of a client on this machine. */
export interface DiscoveredUpstream extends Upstream {
  /** The setting that it is from, for people: `npm's configuration (registry)`. */
  readonly source: string;
  /** The `Authorization` header that the client would send; only when `useClientCredentials` was asked for. A secret. */
  readonly authorization?: string | undefined;
}

/** Settings of clients that are asked for. */
export interface DiscoveryContext {
  readonly useClientCredentials: boolean;
  /**
   * Whether a URL is this server's, since clients on this machine may point here. Skip such a setting: the next one in
   * the client's order of precedence counts.
   */
  readonly isOwn?: ((url: string) => boolean) | undefined;
}

/** The repository, as its protocol sees it. */
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

/** The repository or the reply for a request at a shared mount whose first segment names no repository. */
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
