import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { ScanFailure } from './policy.js';
import type { ScanReport, ScanSubject } from './scanner.js';

/** What all scanners that know the ecosystem of a subject said of it. */
export interface ScanAnswer {
  readonly reports: readonly ScanReport[];
  /** Those that could not say. */
  readonly failures: readonly ScanFailure[];
}

/** How much somebody wants an answer. */
export interface ScanWish {
  /** `waiting`: a client does not get it before, and mostly holds the line; `background`: nobody minds. */
  readonly priority: 'waiting' | 'background';
  /** When it is of no more use; milliseconds since the epoch. Absent: never. */
  readonly deadline?: number | undefined;
  readonly signal: AbortSignal;
}

/** Kept bytes that some scanner says something against, or could not judge. */
export interface ContentFinding {
  /** Of their entry. */
  readonly key: string;
  readonly coordinates: PackageCoordinates;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  readonly answer: ScanAnswer;
}

/** Has content that is kept scanned, and knows what was said of it. Shared by all who ask for the same. */
export interface ScanDesk {
  /**
   * What is in memory; `undefined`: ask. The same object as long as nothing has changed. Called for every request: quick,
   * and does not throw.
   */
  peek(subject: ScanSubject): ScanAnswer | undefined;
  /**
   * The answer of all scanners: what is stored, else by a scan.
   * @throws EntrepotError `scan-unavailable` when there is none by the deadline; the reason of the signal when it is aborted.
   * The scan goes on either way.
   */
  request(subject: ScanSubject, wish: ScanWish): Promise<ScanAnswer>;
  /**
   * Finds cached content of a name in a repository, or of all names in it, that is not clean. It counts for documents that
   * list the content, and for its sidecars. Absent: findings are not looked up by name.
   */
  contents?(
    repository: string,
    name?: Pick<PackageCoordinates, 'ecosystem' | 'name'>,
  ): Promise<readonly ContentFinding[]>;
  /** Changes whenever `contents` could, of a name or of any. Called for every request: quick, and does not throw. */
  mark?(name?: Pick<PackageCoordinates, 'ecosystem' | 'name'>): number;
}
