import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { ArtifactFacts } from './facts.js';
import type { Integrity } from './integrity.js';

/** The row that ties (repository, key) to bytes. */
export interface Entry {
  readonly repository: string;
  readonly key: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The media type as the upstream or the uploader gave it, with its parameters. */
  readonly mediaType: string;
  /** Upstream headers that are kept for clients, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The upstream's `ETag`, as sent. Only valid for `upstreamUrl`. */
  readonly etag?: string | undefined;
  /** The upstream's `Last-Modified`, as sent; for an upload the time of it. */
  readonly lastModified?: string | undefined;
  /**
   * The source URL of the bytes, without credentials and query; of a document, after redirects. Absent for an upload.
   */
  readonly upstreamUrl?: string | undefined;
  /** When these bytes were stored; milliseconds since the epoch. */
  readonly fetchedAt: number;
  /** When the upstream last confirmed them; milliseconds since the epoch. Not before `fetchedAt`. */
  readonly checkedAt: number;
  /** The checksums that the bytes were verified against. Empty when the upstream promised none. */
  readonly integrity: readonly Integrity[];
  readonly coordinates?: PackageCoordinates | undefined;
  /** The facts that its document stated when it was last read. */
  readonly facts?: ArtifactFacts | undefined;
  /** The document that `facts` are from, and the facts that were read from it. Absent: unknown. */
  readonly factsFrom?: string | undefined;
  /** The protocol's own data of an entry that it made, for `render`. JSON. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
  /** When it is too old to be fresh; milliseconds since the epoch. It is kept, and goes first where room is needed. Absent: never. */
  readonly expiresAt?: number | undefined;
  /** The name of the uploader. Absent: it was fetched, or the uploader was not authenticated. */
  readonly storedBy?: string | undefined;
}

/** The changes to an entry that the upstream (304, or 200 with the same bytes) or its document has confirmed. */
export interface EntryRenewal {
  readonly checkedAt: number;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly mediaType?: string | undefined;
  readonly facts?: ArtifactFacts | undefined;
  readonly factsFrom?: string | undefined;
  readonly expiresAt?: number | undefined;
}

/** Gives `entry` with the changes of `renewal`. What it does not name stays. */
export function renewedEntry(entry: Entry, renewal: EntryRenewal): Entry {
  return {
    ...entry,
    checkedAt: renewal.checkedAt,
    etag: renewal.etag ?? entry.etag,
    lastModified: renewal.lastModified ?? entry.lastModified,
    headers: renewal.headers ?? entry.headers,
    mediaType: renewal.mediaType ?? entry.mediaType,
    facts: renewal.facts ?? entry.facts,
    factsFrom: renewal.factsFrom ?? entry.factsFrom,
    expiresAt: renewal.expiresAt ?? entry.expiresAt,
  };
}

/**
 * The lease of something that one process fetches for all. What it brings is published only while it has that lease.
 */
export interface Fence {
  readonly name: string;
  readonly owner: string;
  readonly generation: number;
}

/** An entry's state at the time that a change was computed. */
export interface Expectation {
  readonly key: string;
  /** Absent: there is no such entry. */
  readonly digest?: Digest | undefined;
}

/** A change to one repository, computed from what was read before. */
export interface EntryChange {
  readonly repository: string;
  /** The state that the change was computed from. */
  readonly expect: readonly Expectation[];
  /** The revision that it was computed at, where any change since is in its way. Absent: only what it expects counts. */
  readonly at?: number | undefined;
  /** Put whatever was there. All of this repository, no key twice. */
  readonly put: readonly Entry[];
  /** Removed; a key that is absent is passed over. None of them is in `put`. */
  readonly remove: readonly string[];
}

/** A page of the entries of a repository. */
export interface EntryListing {
  /** The beginning of their keys. */
  readonly prefix: string;
  /** The last key of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A page of the entries of a repository by the time at which they were stored, and by key where that is the same. */
export interface StoredListing {
  /** Those that were stored then or later; milliseconds since the epoch. */
  readonly since: number;
  /** The last key of the page before: of those that were stored at `since`, only the ones after it. Absent: all. */
  readonly after?: string | undefined;
  /** Those that were stored earlier than this; milliseconds since the epoch. */
  readonly before: number;
  readonly limit: number;
}

/** When an entry was last served. */
export interface EntryAccess {
  readonly repository: string;
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/**
 * The entries of all repositories. Keys of different repositories never meet. Absence is `undefined`; only failure
 * throws (`EntrepotError` of kind `storage`). Every method is atomic and seen by the next call, on every replica.
 */
export interface EntryIndex {
  find(repository: string, key: string): Promise<Entry | undefined>;
  /**
   * First copy wins: puts all of `entries`, whose keys differ, if none of their keys exists, otherwise none of them.
   * @param fence of an index that keeps leases, too. Others pass it over.
   * @returns the entries in force for those keys, in the given order; a key that the winner does not have is left out.
   * @throws EntrepotError `storage` with the code `LEASE_LOST` when another process has the lease by now: nothing was put
   */
  putIfAbsent(entries: readonly Entry[], fence?: Fence): Promise<readonly Entry[]>;
  /**
   * Carries `change` out as a whole, if all that it expects is so, and the repository is at the revision that it names.
   * @returns the revision that it made; `undefined` when something is not so: nothing was changed.
   */
  change(change: EntryChange): Promise<number | undefined>;
  /** Grows by one with every `change` of the repository that was carried out, on any replica. 0 before the first one. */
  revision(repository: string): Promise<number>;
  /**
   * Calls `changed` soon after a `change` on any replica, with the revision that it made; without a repository when some may have been
   * missed. Absent: nobody tells. Calls may be lost all the same.
   * @returns ends it
   */
  watch?(changed: (repository?: string, revision?: number) => void): () => void;
  /** Puts `entry`, whatever was there. @param fence as for `putIfAbsent` */
  replace(entry: Entry, fence?: Fence): Promise<void>;
  /**
   * Renews an entry if it still has `digest`. Fields that the renewal leaves out stay as they are; `headers` replace all kept headers.
   * @returns whether it did.
   */
  touch(repository: string, key: string, digest: Digest, renewal: EntryRenewal): Promise<boolean>;
  /** @returns whether there was one. With `digest`: only if it still has that digest. */
  remove(repository: string, key: string, digest?: Digest): Promise<boolean>;
  /**
   * The entries of `repository` whose key begins with `prefix`, by key in code-point order, those after `after` (exclusive),
   * `limit` at the most.
   */
  list(repository: string, listing: EntryListing): Promise<readonly Entry[]>;
  /**
   * The entries of `repository` by `fetchedAt`, then by key in code-point order: those from `since` (inclusive) to `before` (exclusive),
   * at `since` itself those after `after` (exclusive), `limit` at the most.
   */
  listStored(repository: string, listing: StoredListing): Promise<readonly Entry[]>;
  /** Those of `digests` that an entry of any repository points to. */
  referenced(digests: readonly Digest[]): Promise<ReadonlySet<Digest>>;
  /** Records accesses in one batch. Unknown keys are passed over; an older time never replaces a newer one. */
  recordAccess(accesses: readonly EntryAccess[]): Promise<void>;
  /** Reads when entries were last served, by key; milliseconds since the epoch. Those that never were, and unknown keys, are left out. */
  lastAccess(repository: string, keys: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * @param only `read`: whether the index can be written does not matter
   * @throws EntrepotError `storage` when the index cannot be read and written now
   */
  check(only?: 'read'): Promise<void>;
  dispose(): Promise<void>;
}
