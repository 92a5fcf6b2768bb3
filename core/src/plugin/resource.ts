import type { PackageCoordinates } from '../api/coordinates.js';
import type { Integrity } from '../api/integrity.js';

/**
 * The name of one thing, as `route` reads it from a request. Plain data that can be printed as JSON, so that a table of requests and
 * resources is a test. Everything that all resources of a class have in common stands in the class.
 */
export interface Resource {
  /** One of the side's `classes`. */
  readonly class: string;
  /**
   * The stored bytes within the repository. Two requests for the same bytes give the same key, two different bytes never
   * do. Several representations may derive from one key, by `variant`.
   */
  readonly key: string;
  /**
   * The path below the upstream's base URL, percent-encoded, with its query, without a leading slash. Absent: the upstream has
   * no such thing, as in hosted repositories.
   */
  readonly path?: string | undefined;
  /** Other paths of the same bytes, as `path` is. They are asked for in turn where no upstream has them at `path`. Absent: none. */
  readonly otherPaths?: readonly string[] | undefined;
  /** Absent: policy has no name for it. */
  readonly coordinates?: PackageCoordinates | undefined;
  /** One of several representations of the stored bytes. Absent: the only one. */
  readonly variant?: string | undefined;
  /** The digests that the request states, for example in its URL. Absent: none. */
  readonly integrity?: readonly Integrity[] | undefined;
  /** The scope of upstreams to ask. Absent: the upstreams without a scope. */
  readonly scope?: string | undefined;
  /** URLs of the upstreams to ask, of those of its scope. Empty: none, it is not found. Absent: all. */
  readonly among?: readonly string[] | undefined;
  /** Data of the plugin's own for the hooks of the class. Plain data. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

/** A reply that needs neither storage nor upstream. */
export interface LocalReply {
  readonly status: number;
  /** Names as they are sent. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | undefined;
}

/** The result of routing: a resource, or the reply itself. */
export type Route = Resource | LocalReply;

/** Whether `route` is a reply. */
export function isLocalReply(route: Route): route is LocalReply {
  return 'status' in route;
}
