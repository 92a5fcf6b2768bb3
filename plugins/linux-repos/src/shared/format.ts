import type { Integrity, Parsed, RequestHead, Resource, Route } from '@entrepot/core';

/** An index file, as the document that commits to it lists it. */
export interface ListedFile {
  readonly integrity: Integrity;
  /** Bytes. */
  readonly size: number;
}

/** A pointer document that was read. */
export interface Listing extends Parsed {
  /** The time that the archive gives it, in milliseconds since the epoch. `undefined`: none. */
  readonly date: number | undefined;
  /** The time from which on clients refuse it, in milliseconds since the epoch. Absent: none. */
  readonly validUntil?: number | undefined;
  /** Index files by their path below the root. */
  readonly files: ReadonlyMap<string, ListedFile>;
  /** The paths of index files that list packages. */
  readonly packageLists: readonly string[];
  /** The distribution as OSV names it: `debian-12`, `ubuntu-22.04`. Absent: it does not say. */
  readonly distribution?: string | undefined;
}

/** A document of a root, as a mirror has it now. */
export interface Taken {
  readonly name: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** The headers that it came with, by lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Reads it whole: only where that is needed, since a database of pacman may be large. */
  bytes(): Promise<Uint8Array>;
  /** Of a signature: the SHA-256 of the document that it signs. Of a main document: its sums in a list of mirrors. */
  readonly of?: string | undefined;
}

/**
 * The ways in which one format of repositories differs from the others. A root is what one pointer document commits to: a suite, or a
 * folder. Its name is a path below the repository.
 */
export interface Format<List extends Listing = Listing> {
  /** Names of the documents that commit to all others of a root. The first one that a mirror has counts. */
  mains(root: string): readonly string[];
  /** The path of a file of a root by its name. */
  pathOf(root: string, name: string): string;
  /** Names what a request is for: a resource of the class `suite`, `named`, `file`, `index` or `auxiliary`. */
  route(head: RequestHead): Resource | undefined;
  /**
   * Reads a main pointer document. Absent: that lists the packages themselves, and no index files.
   * @throws EntrepotError `upstream-unavailable` for one that is broken
   */
  read?(bytes: Uint8Array, name: string): List;
  /**
   * Takes the documents that are served beside a main one, as far as they are of the same time.
   * @param take takes one of a mirror; a detached signature with the document that it signs
   */
  beside(
    root: string,
    main: Taken,
    listing: List,
    take: (name: string, signed?: Taken) => Promise<Taken | undefined>,
  ): Promise<readonly Taken[]>;
  /** The signature of a pointer document: another document, or within it. `undefined`: it is never signed. */
  signatureOf(name: string): 'within' | { readonly detached: string } | undefined;
  /** Whether a name is that of a detached signature. */
  isSignature(name: string): boolean;
  /** Whether a name is that of public keys. Absent: none is. */
  isKey?(name: string): boolean;
  /** The media type of a pointer document. */
  mediaTypeOf(name: string): string;
  /** The largest pointer document that is taken, in bytes. */
  readonly largestPointer: number;
  /** The path that mirrors are asked for an index file. Absent: its own. */
  placeOf?(path: string, file: ListedFile, listing: List): string;
  /** Finds an index file by another sum than the one that the listing has first. Absent: no path has such sums. */
  fileBySum?(listing: List, hex: string): ListedFile | undefined;
  /** An index file by what it is: the same for all states of a root. Absent: its name. */
  roleOf?(name: string): string;
  /** The names of index files that every client reads: a mirror without them is being changed. Absent: none. */
  needed?(listing: List): readonly string[];
  /** The root of an index file whose root is not known yet. `undefined`: the path does not say. */
  guessedRoot(path: string): string | undefined;
  /**
   * Tells of a file below a root that its main document does not list: `auxiliary`, it never would; `earlier`, an earlier one may, since the
   * name has the sum; `nothing`, there is no such index file.
   */
  unlisted(name: string): 'auxiliary' | 'earlier' | 'nothing';
  /** The names by which the package lists of a root may have a path. Empty: that root has no such path. */
  namesBelow(path: string, root: string): readonly string[];
  /** Whether a path is that of a package. */
  isPackage(path: string): boolean;
  /** Paths of lists that may have a package, by its path: those that are fetched where no client has asked for them. */
  likelyLists(path: string, listing: List): readonly string[];
  /** Makes the package at `path`, or what belongs to it, by the value of its row. @param distribution as OSV names it: `debian-12`; `undefined`: not known */
  artifact(path: string, value: Buffer, distribution: string | undefined): Route;
}

/** The listing of a main document that lists no index files. */
export const NO_FILES: Listing = { weight: 0, date: undefined, files: new Map(), packageLists: [] };

/** Checks the signatures of pointer documents. */
export interface Signatures {
  /** Whether there is anything to check against. */
  readonly isChecking: boolean;
  /**
   * Checks a pointer document, with its detached signature where it has one.
   * @throws EntrepotError `upstream-unavailable` where `enforce` refuses it
   */
  check(bytes: Uint8Array, name: string, detached: Uint8Array | undefined): Promise<void>;
}
