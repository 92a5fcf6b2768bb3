import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { Parsed } from '../../plugin/classes.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import type { Judge } from '../policy/judge.js';
import type { NegativeCache } from '../store/negative-cache.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { Spool } from '../store/spool.js';
import type { QueryPlace } from '../upstream/query.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** A resource that is stored. */
export type Stored = ArtifactResource | DocumentResource;

/** Facts that are known once the head of the upstream's reply is here. */
export interface FlightHead {
  readonly spool: Spool;
  /** Bytes of the body; `undefined` when the upstream does not say. */
  readonly size: number | undefined;
  /** The digest, where the ecosystem promised just that. */
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  /** Whether the bytes may turn out to be of another media type. */
  readonly unsettled: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly lastModified: string | undefined;
  /** The source of the body, from which a part of it can be requested too. */
  readonly place: QueryPlace;
  /** Names the artifact by its document, else by its request. */
  readonly coordinates: PackageCoordinates | undefined;
  /** The description in its document. */
  readonly description?: ArtifactDescription | undefined;
  /** The entry of bytes that clients get before they are kept. `undefined`: they are kept first, or are not right. */
  readonly ahead: Promise<Entry | undefined>;
  /** Resolves as soon as a large document can be rendered. `undefined`: it has to be awaited. Absent: so are all of its kind. */
  readonly arriving?: Promise<ArrivingDocument | undefined> | undefined;
}

/** A document that can be rendered although it is still arriving. */
export interface ArrivingDocument {
  readonly parsed: Parsed;
  /** The bytes as they come, verified or not. */
  readonly content: Content;
}

/** Result of a flight. */
export type FlightResult =
  /** The upstream confirmed the kept copy. */
  | { readonly kind: 'renewed'; readonly entry: Entry }
  /** New bytes, verified and kept. */
  | { readonly kind: 'stored'; readonly entry: Entry }
  /** New bytes, verified, but not kept: by rule, or for want of room. */
  | { readonly kind: 'unstored'; readonly entry: Entry; readonly content: Content };

/** A fetch that several requests can share. */
export interface SharedFlight {
  /** Resolves with `undefined` when no body can be followed: wait for `done`. */
  readonly head: Promise<FlightHead | undefined>;
  readonly done: Promise<FlightResult>;
  /** Keeps the bytes of the flight readable until `release`. */
  retain(): void;
  release(): Promise<void>;
  /** Whether it is in use besides the flight itself, or its bytes were seen. */
  readonly wanted: boolean;
  /** Whether clients have got the whole already, which is being kept. */
  readonly isAhead?: boolean | undefined;
  /** Keeps nothing of what it brings from now on. Absent: what it brings cannot be served without being kept. */
  outdate?(): void;
  /** Ends the flight; all who follow it get an error: that the server is shutting down, unless there is another reason. */
  abort(reason?: EntrepotError): void;
}

/** Services of a repository that fetches. */
export interface FlightContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly upstreams: Upstreams;
  readonly judge: Judge;
  readonly negative: NegativeCache;
}

/** The error of a fetch that took longer than it may. */
export function tookTooLong({ key }: { readonly key: string }, milliseconds: number): EntrepotError {
  return new EntrepotError('upstream-unavailable', `Fetching ${key} took longer than ${milliseconds} ms`, {
    status: 504,
    code: 'UPSTREAM_TIMEOUT',
  });
}

/** The error of a fetch that was for a hook alone, which has failed meanwhile. */
export function abandoned({ key }: { readonly key: string }): EntrepotError {
  return new EntrepotError('upstream-unavailable', `Nobody waits for ${key} any more`, { code: 'ABANDONED' });
}

/** The error of a fetch that is ended with the server. */
export function shuttingDown(): EntrepotError {
  return new EntrepotError('upstream-unavailable', 'The server is shutting down', {
    status: 503,
    code: 'SHUTTING_DOWN',
  });
}
