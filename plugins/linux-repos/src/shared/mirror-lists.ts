import type { LocateContext, Location, ReadContent, Resource } from '@entrepot/core';

type Read = (resource: Resource) => Promise<ReadContent>;

/** Mirrors of roots, as lists of them tell: `mirrorlist` and `metalink`. */
export interface MirrorLists {
  /** Finds the mirrors that have a file. `undefined`: no list is for it, and the upstreams have it. */
  locate(resource: Resource, context: LocateContext): Promise<Location | undefined>;
  /**
   * Names the sums that main documents of a root may have now: whatever was fetched under another name has not been checked against them.
   * `undefined`: there are none.
   */
  sums(root: string, read: Read): Promise<string | undefined>;
  /**
   * Checks a main document of a root against the list of its mirrors.
   * @throws EntrepotError `upstream-unavailable` for one that the list does not know
   */
  check(root: string, name: string, bytes: Uint8Array, read: Read): Promise<void>;
}
