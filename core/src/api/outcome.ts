import type { PackageCoordinates } from './coordinates.js';

/** The kind of answer that the pipeline gave to a request (architecture §4). */
export type OutcomeName =
  'hit' | 'revalidated' | 'miss' | 'stale' | 'bypass' | 'denied' | 'failed' | 'local' | 'upload';

/** The outcome of one request, for metrics, the access log and `Cache-Status`. */
export interface Outcome {
  readonly name: OutcomeName;
  readonly repository: string;
  /** The class of the resource, the name of a passthrough, or its kind where there is no class. */
  readonly resource: string;
  /** The package that the resource is of. Absent where it is of none. */
  readonly coordinates?: PackageCoordinates | undefined;
  /** Whether the resource is an artifact, and not something that tells of one. */
  readonly isArtifact?: boolean | undefined;
  /** The error's code when it failed or was denied. */
  readonly code?: string | undefined;
  /** For people: why it is stale, which upstream failed. */
  readonly detail?: string | undefined;
  /** Name of the user, or subject of the token. Absent for an anonymous caller. */
  readonly caller?: string | undefined;
}
