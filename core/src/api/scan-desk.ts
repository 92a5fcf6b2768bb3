import type { PackageCoordinates, PackageName } from './coordinates.js';
import type { Digest } from './digest.js';
import type { ScanFailure } from './policy.js';
import type { ScanReport, ScanSubject } from './scanner.js';

/** The reports of all scanners that know the ecosystem of a subject. */
export interface ScanAnswer {
  readonly reports: readonly ScanReport[];
  /** Scanners without a result. */
  readonly failures: readonly ScanFailure[];
}

/** The urgency of a scan. */
export interface ScanWish {
  /** `waiting`: a request waits for it; `background`: none does. */
  readonly priority: 'waiting' | 'background';
  /** When the result is no longer of use; milliseconds since the epoch. Absent: never. */
  readonly deadline?: number | undefined;
  readonly signal: AbortSignal;
}

/** Stored bytes with findings, or that a scanner could not judge. */
export interface ContentFinding {
  /** The key of their entry. */
  readonly key: string;
  readonly coordinates: PackageCoordinates;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  readonly answer: ScanAnswer;
}

/** Has stored content scanned, and caches the reports. Shared by all requests for the same content. */
export interface ScanDesk {
  /**
   * Returns the answer in memory; `undefined`: call `request`. The same object as long as nothing has changed. Called
   * for every request: must be quick and must not throw.
   */
  peek(subject: ScanSubject): ScanAnswer | undefined;
  /**
   * Returns the stored reports of all scanners, else scans.
   * @throws EntrepotError `scan-unavailable` when there is no report by the deadline; the signal's reason when it is
   * aborted. The scan goes on either way.
   */
  request(subject: ScanSubject, wish: ScanWish): Promise<ScanAnswer>;
  /**
   * Finds cached content of a name in a repository, or of all names in it, that is not clean. It counts for documents that
   * list the content, and for its sidecars. Absent: findings are not looked up by name.
   */
  contents?(repository: string, name?: PackageName): Promise<readonly ContentFinding[]>;
  /**
   * A number that changes whenever `contents` may, for a name or for all. Called for every request: must be quick and
   * must not throw.
   */
  mark?(name?: PackageName): number;
}
