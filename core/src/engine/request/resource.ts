import type { LocalReply } from '../../plugin/resource.js';
import type { EntrySelection } from '../../plugin/classes.js';
import type { ByteRange } from '../../api/blob-store.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { FactName } from '../../api/facts.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { Integrity } from '../../api/integrity.js';

/**
 * The resource of a request. Plain data that can be printed as JSON, so that a table of requests and resources is a
 * test.
 * - `artifact`: immutable bytes;
 * - `document`: mutable, may be rewritten on its way out, may describe artifacts;
 * - `local`: answered without storage and upstream;
 * - `passthrough`: asked of the upstream every time, never stored;
 * - `upload`: any change to a hosted repository;
 * - `session`: one step of an upload in several requests.
 */
export type BoundResource =
  ArtifactResource | DocumentResource | LocalResource | PassthroughResource | UploadResource | SessionResource;

/** The parts of a resource for access control. */
export interface GuardedResource {
  /**
   * The name within the repository that a grant can be bound to: an image name, a tenant. Absent: that of the coordinates, where the
   * plugin has `accessNames`; else none.
   */
  readonly accessName?: string | undefined;
  /** Whether it is about no name in particular (keys, proofs), so that a caller who may read any name may read it. */
  readonly forAnyName?: boolean | undefined;
}

/** The place of a resource at its upstreams. */
export interface UpstreamLocation extends GuardedResource {
  /** The path below the upstream's base URL, percent-encoded, with its query, without a leading slash. */
  readonly upstreamPath: string;
  /** Ask only the upstreams that are configured for this scope; absent: those without a scope. */
  readonly upstreamScope?: string | undefined;
  /**
   * The relation of several upstreams of one scope. `mirrors` (the default) have the same content: the next one is
   * asked when one fails or does not have it. `origins` have their own, in order: only "not found" leads on to the next
   * one, so that the outage of a private one never sends its names to a public one. An upstream's own `fallback` takes
   * precedence.
   */
  readonly upstreamOrder?: 'mirrors' | 'origins' | undefined;
  /** The `Accept` header for the upstream. Absent: any media type. */
  readonly accept?: string | undefined;
  /**
   * Request headers for the upstream in place of this server's own, names in lower case: the client's `accept` and
   * `user-agent`, where an upstream answers by them. A document whose `Vary` names one of them is only served to
   * clients that send the same; for others the upstream is asked.
   */
  readonly askedWith?: Readonly<Record<string, string>> | undefined;
  /**
   * Which redirects of the upstream clients are told of, for the path that they lead to here; what leads out of the upstream is
   * always followed here. `directories`: from a path to the same path with a slash, since what is relative in a page depends on
   * that. `pass`: all: clients want to know that `latest` is 1.2.3. Absent: `follow`, none.
   */
  readonly redirects?: 'follow' | 'directories' | 'pass' | undefined;
  /**
   * The scope of the token that the upstream wants for this, where it answers 401 with a `Bearer` challenge:
   * `repository:library/nginx:pull`. Core fetches the token from the realm that the challenge names, as far as that
   * realm is trusted. Absent: a challenge is a refusal.
   */
  readonly tokenScope?: string | undefined;
}

/** Common part of artifacts and documents. */
export interface StoredResource extends UpstreamLocation {
  /**
   * Names the stored bytes within the repository. Two requests for the same bytes give the same key, two different
   * bytes never do. Several documents may derive from one key by `variant`.
   */
  readonly key: string;
  /** One of the names in the plugin's `classes`. Decides how long it is kept. */
  readonly class: string;
  readonly coordinates?: PackageCoordinates | undefined;
  /** The `Content-Type` for clients. Absent: what the upstream said, else `application/octet-stream`. */
  readonly mediaType?: string | undefined;
  /** The `Content-Type` where the upstream gives none. Absent: `application/octet-stream`. */
  readonly fallbackMediaType?: string | undefined;
  /**
   * The bytes come from the protocol's `produce` instead of an upstream: a version-control checkout, a tool of the
   * ecosystem. All else is as for any other resource.
   */
  readonly produced?: boolean | undefined;
  /** The client wants what is kept, however old, and no upstream is asked: otherwise it is not found. */
  readonly keptOnly?: boolean | undefined;
  /** Headers of every reply with this resource, errors excepted; names as they are sent. */
  readonly replyHeaders?: Readonly<Record<string, string>> | undefined;
  /** The name of a reply header that carries the digest of the bytes, unless it is among the kept ones: `Docker-Content-Digest`. */
  readonly digestHeader?: string | undefined;
  /** Upstream headers that are kept for clients besides those of the class, lower-case. */
  readonly keepHeaders?: readonly string[] | undefined;
  /**
   * Clients get the bytes with the content coding that the upstream gave them, as they would from there, where nothing is
   * promised of them. Only for what no hook reads. Absent: it is undone.
   */
  readonly keepsCoding?: boolean | undefined;
  /** The largest body that is taken from an upstream, in bytes: a larger one is an upstream fault. Absent: the repository's bound alone. */
  readonly maxBytes?: number | undefined;
  /**
   * The document that says what this is: policy judges by it, and an artifact's integrity and place come from it. Its key
   * there is that of this resource. Several documents may: the first one that lists it counts.
   */
  readonly describedBy?: DocumentResource | readonly DocumentResource[] | undefined;
  /**
   * A smaller document that promises the same of this artifact alone: its integrity and place, no facts. It is asked for, and
   * not kept, where policy looks at no facts and the repository has one upstream; `describedBy` where it cannot be had.
   */
  readonly describedBrieflyBy?: DocumentResource | undefined;
  /** It is only asked for what it says where policy looks at one of these facts. Absent: always. */
  readonly describedFor?: readonly FactName[] | undefined;
  /**
   * Whether it describes an artifact with the same coordinates (metadata, signatures). It is judged as that artifact
   * before its bytes are here, and is not scanned.
   */
  readonly sidecar?: boolean | undefined;
  /**
   * For a sidecar: the key of the artifact. It is refused with that, too, when a scan of its contents finds something. Absent: with
   * any of the same coordinates.
   */
  readonly sidecarOf?: string | undefined;
  /**
   * Whether a refusal by policy applies only to malicious versions: builds with other versions need these bytes too
   * (`go.mod` files). Absent: refusals always apply.
   */
  readonly refusedOnlyIfMalicious?: boolean | undefined;
  /** Exceptions from the class's rule for this one resource. */
  readonly freshness?: Partial<FreshnessRule> | undefined;
  /** Media types that an upstream may answer with, lower-case, or `application/*`. Another one is an outage, not a document (captive portals). */
  readonly expectedMediaTypes?: readonly string[] | undefined;
}

/** Bytes that never change under their name. Served with ranges, verified before they are complete. */
export interface ArtifactResource extends StoredResource {
  readonly kind: 'artifact';
  readonly filename: string;
  /** Checksums that are known from the request alone, for example a digest in the URL. */
  readonly integrity?: readonly Integrity[] | undefined;
  /**
   * Whether the artifact may be kept when `describedBy` does not exist upstream, or says nothing of it. `false` or
   * absent: it may not, the artifact is not found.
   */
  readonly descriptionOptional?: boolean | undefined;
  /**
   * The document that `verify` always reads. It is fetched along with the bytes. Absent: only once `verify` reads it.
   */
  readonly verifiedBy?: DocumentResource | undefined;
  /**
   * The artifacts, this one included, that must be one copy for ever on every replica: all of them are fetched and
   * verified, then published at once or not at all. The loser of a race serves the winner's copy. Each member names the
   * same members. Nothing is streamed before all of them are here.
   */
  readonly together?: readonly ArtifactResource[] | undefined;
  /**
   * Whether the upstream may lack some of `together`: those that it has are published. One that comes later must come with the
   * same bytes of the others.
   */
  readonly togetherPartly?: boolean | undefined;
  /**
   * The bytes are named by their digest (`integrity` has it), and other repositories or names may have brought them
   * already. Then the upstream is only asked by HEAD whether this name has them, too; they are not fetched again, and
   * `verify` is not called for them again: the digest is all that there is to check.
   */
  readonly contentAddressed?: boolean | undefined;
  /**
   * Kept documents whose key begins with that of this one are names of these bytes, or (by what `describe` says) of what
   * they are a part of. Bytes that policy refuses under all their names are refused by their digest, too.
   */
  readonly namedBelow?: DocumentResource | undefined;
  /** Bytes, where more is known than the upstream says on HEAD: the size in a manifest. */
  readonly size?: number | undefined;
  /** `attachment; filename=…` is sent when the upstream gave no `Content-Disposition` of its own. */
  readonly attachment?: boolean | undefined;
}

/** A mutable resource. It is stored as received; `rewrite` makes what clients get. */
export interface DocumentResource extends StoredResource {
  readonly kind: 'document';
  /** Which of several representations of the stored bytes is asked for; handed to `rewrite`. Absent: the only one. */
  readonly variant?: string | undefined;
  /** Whether `rewrite` makes the representation. `false` or absent: the bytes go out as received, with ranges, while they arrive. */
  readonly rewritten?: boolean | undefined;
  /**
   * In a proxy: the document tells of what is kept, too. `rewrite` is given the keys below this prefix, which ends in `/`.
   * Where the upstream gives no document and none is kept, it makes one from them alone.
   */
  readonly keptBelow?: string | undefined;
  /** Request headers that chose the variant; they go into `Vary`. */
  readonly vary?: readonly string[] | undefined;
  /** In a hosted repository: the document is made by `render`, or `join`, from these entries. */
  readonly fromEntries?: EntrySelection | undefined;
  /** The answer where policy refuses the whole name, and clients would hide why: an empty list. Absent: the refusal. */
  readonly refusal?: LocalResource | undefined;
  /**
   * The resource to serve when this is not found: another form of it, or an empty one in the form that clients expect.
   * During an outage, where this is not stored: the first of the forms that is.
   */
  readonly alternative?: DocumentResource | LocalResource | undefined;
  /**
   * Some upstreams do not have such documents at all, and say so in ways of their own: a refusal other than 401 and 403, a page of
   * another type than `expectedMediaTypes`, a body that `describe` finds malformed. While none is kept, that is "not found".
   */
  readonly unknownToSome?: boolean | undefined;
  /**
   * The document is a mutable name for bytes that are also found by their digest (the tag of an image). It is
   * revalidated by HEAD, and what it names now is fetched by digest: so no name ever moves between two questions. While
   * its upstream says that it takes less than a tenth of the requests of its limit (`ratelimit-remaining`), it stays
   * fresh ten times as long.
   */
  readonly pinned?: PinnedResource | undefined;
}

/** The same bytes by their digest. In `key` and `upstreamPath`, `{digest}` stands for it: `sha256:…`. */
export interface PinnedResource {
  /** Of the artifact that is kept along with the document, with these same bytes. */
  readonly key: string;
  readonly upstreamPath: string;
  /** The upstream's header that says the digest, lower-case: `docker-content-digest`. */
  readonly digestHeader: string;
}

/** A reply as a resource. */
export interface LocalResource extends LocalReply {
  readonly kind: 'local';
}

/** Asked of the upstream every time. */
export interface PassthroughResource extends UpstreamLocation {
  readonly kind: 'passthrough';
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** A short name for metrics and logs: `search`, `audit`. */
  readonly name: string;
  /** Names that the upstream would learn from it: one that policy refuses is not told, and so nothing is asked. */
  readonly names?: readonly PackageCoordinates[] | undefined;
  /** Whether `adaptRequest` and `adaptReply` of the protocol translate this exchange. */
  readonly adapted?: boolean | undefined;
  /** The path of an advisory API under which a scanner that offers that may answer instead of the upstream. Only where `adapted`. */
  readonly answerPath?: string | undefined;
  /** Whether a reply may be shared by requests with the same body for this long, in milliseconds. Absent: not at all. */
  readonly shareFor?: number | undefined;
}

/** A change to a hosted repository. */
export interface UploadResource extends GuardedResource {
  readonly kind: 'upload';
  /** `put` reads the body (`receive`); `delete` and `link` do not (`alter`). */
  readonly action: 'put' | 'delete' | 'link';
  /** The entry that is made or removed. Where the hook makes several, this one names the change in the log. */
  readonly key: string;
  readonly class: string;
  readonly filename: string;
  readonly coordinates?: PackageCoordinates | undefined;
  readonly mediaType?: string | undefined;
  /** Whether an entry that exists is replaced. `false`: the answer is a conflict. Only where there is no hook. */
  readonly overwrite: boolean;
  /** The largest body that is taken, in bytes. */
  readonly maxBytes: number;
  /** Checksums of the body; a mismatch is a `bad-request` with the code `DIGEST_MISMATCH`. */
  readonly integrity?: readonly Integrity[] | undefined;
  /**
   * Changes with the same value are computed one after another on this server, so that they do not fail on each other.
   */
  readonly exclusive?: string | undefined;
  /** Further input of `receive` and `alter`: a field name, a flag, the source of a link. Plain data. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

/** One step of an upload whose bytes come in several requests. Sessions survive a restart; those left alone expire. */
export interface SessionResource extends GuardedResource {
  readonly kind: 'session';
  readonly action: 'open' | 'append' | 'status' | 'complete' | 'cancel';
  readonly class: string;
  /** Whose session it is: one that was opened under another scope does not exist. */
  readonly scope: string;
  /** The session; absent to open one. One that does not exist is `not-found` with the code `SESSION_UNKNOWN`. */
  readonly id?: string | undefined;
  /**
   * The client's range for the body (both ends included). Another place than the end is `range-not-satisfiable`.
   * Absent: at the end.
   */
  readonly range?: ByteRange | undefined;
  /**
   * To complete: what is made of the bytes, those of this request's body included. To open: a `link` that is tried first;
   * only where its source is `not-found` a session is opened.
   */
  readonly upload?: UploadResource | undefined;
  /** The most bytes of a whole session. */
  readonly maxBytes: number;
}
