import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import type { ArtifactFacts } from '../../api/facts.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { ArtifactResource, DocumentResource, StoredResource } from '../request/resource.js';
import type { ContentFinding } from '../../api/scan-desk.js';
import { isPinned } from '../store/pinned-name.js';
import type { DescriptionNow } from './facts.js';

/** Facts of a resource that decide how it is judged. */
export type Judged = Pick<Partial<StoredResource>, 'coordinates' | 'refusedOnlyIfMalicious' | 'sidecarOf'> &
  Pick<Partial<ArtifactResource>, 'contentAddressed' | 'integrity'> &
  Pick<Partial<DocumentResource>, 'pinned'>;

/** A name as a whole, before an upstream is asked for anything below it. The result is the same for all callers. */
export interface NameSubject {
  readonly kind: 'name';
  /** Absent: policy has no name for it, and allows it. */
  readonly coordinates: PackageCoordinates | undefined;
}

/** A version by its document's description, without reading its bytes. */
export interface VersionSubject {
  readonly kind: 'version';
  readonly coordinates: PackageCoordinates;
  /** Absent: an entry of a list. */
  readonly resource?: Judged | undefined;
  /** Whether its age is not known here, and no rule is to count it from now. */
  readonly isUndated?: boolean | undefined;
  readonly description?: Partial<ArtifactDescription> | undefined;
  /** The digest of the bytes that a name stands for. */
  readonly digest?: Digest | undefined;
  /** Findings in bytes that may be those of this version. The first that keeps it off lists decides. */
  readonly contents?: readonly ContentFinding[] | undefined;
}

/** Bytes in the cache. */
export interface CachedSubject {
  readonly kind: 'cached';
  readonly resource: ArtifactResource | DocumentResource;
  readonly entry: Entry;
  /** The document that describes them, as memory knows it. */
  readonly document: Digest | undefined;
  /** Reads the document's description. Called only where no earlier judgement holds. */
  describe(): Promise<DescriptionNow>;
}

/** Bytes for one client that are not stored, so that they are not scanned. */
export interface FetchedSubject {
  readonly kind: 'fetched';
  readonly resource: ArtifactResource | DocumentResource;
  readonly coordinates: PackageCoordinates | undefined;
  readonly description?: Partial<ArtifactDescription> | undefined;
  readonly digest?: Digest | undefined;
}

/** Bytes that have no version of their own, by a cached document that names them. */
export interface PartSubject {
  readonly kind: 'part';
  readonly namedBy: Entry;
}

/** A file that tells of an artifact without being it, by the findings in the bytes of that artifact. */
export interface SidecarSubject {
  readonly kind: 'sidecar';
  readonly resource: Judged;
  readonly coordinates: PackageCoordinates | undefined;
  readonly facts?: ArtifactFacts | undefined;
}

/** A subject that is judged at once. */
export type ImmediateSubject = NameSubject | VersionSubject | FetchedSubject | PartSubject;

/** Everything that policy judges. */
export type Subject = ImmediateSubject | CachedSubject | SidecarSubject;

/** Whether the name of `resource` is judged before its bytes are here: a rewritten document is of no single version. */
export function isJudgedByName(resource: ArtifactResource | DocumentResource): boolean {
  return resource.isRendered;
}

/** Whether `resource` is an artifact, or belongs to one. */
export function isArtifact(resource: ArtifactResource | DocumentResource): boolean {
  return resource.kind === 'artifact' || isPinned(resource);
}

/** Whether `resource` is judged by its document alone: it only describes an artifact, and is not scanned. */
export function isJudgedUnscanned(resource: ArtifactResource | DocumentResource): boolean {
  return resource.sidecar === true || !isArtifact(resource);
}
