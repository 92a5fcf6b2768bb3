import type { PackageCoordinates } from './coordinates.js';
import type { FreshnessRule } from './freshness.js';
import type { Integrity } from './integrity.js';

/**
 * What a request names. Plain data that can be printed as JSON, so that a table of requests and resources is a test.
 * - `artifact`: immutable bytes;
 * - `document`: mutable, may be rewritten on its way out, may describe artifacts;
 * - `local`: answered without storage and upstream;
 * - `passthrough`: asked of the upstream every time, never kept;
 * - `upload`: any change to a hosted repository.
 */
export type Resource = ArtifactResource | DocumentResource | LocalResource | PassthroughResource | UploadResource;

/** Where a resource is found upstream. */
export interface UpstreamLocation {
  /** The path below the upstream's base URL, percent-encoded, with its query, without a leading slash. */
  readonly upstreamPath: string;
  /** Ask only the upstreams that are configured for this scope; absent: those without a scope. */
  readonly upstreamScope?: string | undefined;
  /**
   * What several upstreams of one scope are to each other. `mirrors` (the default) have the same: the next one is asked when
   * one fails or does not have it. `origins` are places of their own, in order: only "not found" leads on to the next one, so
   * that the outage of a private one never sends its names to a public one.
   */
  readonly upstreamsAre?: 'mirrors' | 'origins' | undefined;
  /** The `Accept` header for the upstream. Absent: any media type. */
  readonly accept?: string | undefined;
}

/** What artifacts and documents have in common. */
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
  /** Upstream headers that are kept for clients besides those of the class, lower-case. */
  readonly keepHeaders?: readonly string[] | undefined;
  /** Exceptions from the class's rule for this one resource. */
  readonly freshness?: Partial<FreshnessRule> | undefined;
  /** Media types that an upstream may answer with, lower-case. Another one is an outage, not a document (captive portals). */
  readonly expectedMediaTypes?: readonly string[] | undefined;
}

/** Bytes that never change under their name. Served with ranges, verified before they are complete. */
export interface ArtifactResource extends StoredResource {
  readonly kind: 'artifact';
  readonly filename: string;
  /** What is known about the bytes from the request alone, for example a digest in the URL. */
  readonly integrity?: readonly Integrity[] | undefined;
  /** The document whose `describe` promises this artifact's integrity (and may say where its bytes are). */
  readonly describedBy?: DocumentResource | undefined;
  /**
   * Whether the artifact may be kept when `describedBy` does not exist upstream, or says nothing of it. `false` or
   * absent: it may not, the artifact is not found.
   */
  readonly descriptionOptional?: boolean | undefined;
  /**
   * The artifacts (this one among them) that must be one copy for ever, on every replica: all of them are fetched and
   * verified, then published at once or not at all, and whoever comes second serves the first one's copy. Each member
   * names the same members. Nothing is streamed before all of them are here.
   */
  readonly together?: readonly ArtifactResource[] | undefined;
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
  /** Request headers that chose the variant; they go into `Vary`. */
  readonly vary?: readonly string[] | undefined;
  /** In a hosted repository: the document is made by `render` from the entries whose key begins with this prefix. */
  readonly fromEntries?: string | undefined;
}

/** An answer that needs neither storage nor upstream. */
export interface LocalResource {
  readonly kind: 'local';
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
}

/** Asked of the upstream every time. */
export interface PassthroughResource extends UpstreamLocation {
  readonly kind: 'passthrough';
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** A short name for metrics and logs: `search`, `audit`. */
  readonly name: string;
  /** Whether `adaptRequest` and `adaptReply` of the protocol translate this exchange. */
  readonly adapted?: boolean | undefined;
  /** Whether a reply may be shared by requests with the same body for this long, in milliseconds. Absent: not at all. */
  readonly shareFor?: number | undefined;
}

/** A change to a hosted repository. */
export interface UploadResource {
  readonly kind: 'upload';
  readonly action: 'put' | 'delete';
  /** The entry that is made or removed. Where `receive` makes several, this one names the change in the log. */
  readonly key: string;
  readonly class: string;
  readonly filename: string;
  readonly coordinates?: PackageCoordinates | undefined;
  readonly mediaType?: string | undefined;
  /** Whether an entry that exists is replaced. `false`: the answer is a conflict. */
  readonly overwrite: boolean;
  /** The largest body that is taken, in bytes. */
  readonly maxBytes: number;
}
