import type { Entry } from '../api/entry-index.js';
import type { HostedChange, HostedContext } from '../api/hosted.js';
import type { VersionOrder } from '../formats/versions/version-order.js';

/** Something in a hosted repository that rules of cleanup may remove: a version, or what has none, such as a file. */
export interface StoredVersion {
  /** The entry that stands for it, and for nothing else: when that is removed, it is gone. */
  readonly entry: Entry;
  /** The name that rules are bound to: of a package, an image, a file. */
  readonly name: string;
  /** Absent: it is no version, and goes when it was not used for long, and for no other reason. */
  readonly version?: string | undefined;
  /** Keys of the other entries by which clients get it. Absent: none. */
  readonly servedBy?: readonly string[] | undefined;
}

/** Facts about the versions of a format. */
export interface VersionFacts {
  /** Their order. What it takes for no version comes before all others. Absent: the order in which they were uploaded. */
  readonly order?: VersionOrder | undefined;
  /** Whether a version is a prerelease. Pure. Absent: the format has none. */
  isPrerelease?(version: string): boolean;
}

/** The repository as the hooks of its cleanup see it. */
export interface CleanupContext extends Pick<HostedContext, 'find' | 'list' | 'content'> {
  /** The keys of those of `entries` that were stored or served within the last `duration` milliseconds. */
  usedWithin(entries: readonly Entry[], duration: number): Promise<ReadonlySet<string>>;
}

/** The removal of versions: carried out as a whole, if nothing else in the repository has changed meanwhile. */
export type Retirement = Pick<HostedChange, 'replace' | 'remove'>;

/** Cleanup of hosted repositories: what may be removed, and how it goes. Core decides what does, by the rules of the operator. */
export interface Cleanup<Self = unknown> {
  /** Absent: nothing that is stored has a version. */
  readonly versions?: VersionFacts | undefined;
  /** Yields what may be removed, all versions of one name together. Only reads. The repository may change while it goes on. */
  stored(context: CleanupContext, self: Self): AsyncIterable<readonly StoredVersion[]>;
  /**
   * Makes the change that removes versions, with all that is there for their sake alone, as deletions by clients do. A version whose
   * entry it does not remove stays: something else needs it. Only reads and returns: it is called again when the repository has
   * changed meanwhile, and for a report on what would be removed.
   * @param versions some of those that `stored` gave together
   */
  retire(versions: readonly StoredVersion[], context: CleanupContext, self: Self): Promise<Retirement>;
}
