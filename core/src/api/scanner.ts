import type { Content } from './content.js';
import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { StandardSchema } from './options.js';
import type { Injected, TokenRecord } from './token.js';
import { API_VERSION } from './version.js';

/** How bad a finding is. `unknown` is a level of its own, not the lowest. */
export type Severity = 'critical' | 'high' | 'medium' | 'low' | 'none' | 'unknown';

/** One vulnerability in one subject. */
export interface Finding {
  /** The advisory: `GHSA-…`, `CVE-…`, `MAL-…`. */
  readonly id: string;
  /** Other names of the same advisory. */
  readonly aliases: readonly string[];
  readonly severity: Severity;
  /** CVSS base score, 0 to 10. */
  readonly cvss?: number | undefined;
  /** Versions that fix it; empty when there is none. */
  readonly fixedIn: readonly string[];
  /** The database that it comes from. */
  readonly source: string;
}

/** What one scanner said about one subject. */
export interface ScanReport {
  readonly scanner: string;
  /** The revision of the database that was asked. */
  readonly revision: string;
  /** Milliseconds since the epoch. */
  readonly scannedAt: number;
  /** `partial`: parts of the subject could not be judged. */
  readonly coverage: 'full' | 'partial';
  readonly findings: readonly Finding[];
}

/** What is scanned. `content` is there only for scanners that need it. */
export interface ScanSubject {
  readonly coordinates: PackageCoordinates;
  readonly digest?: Digest | undefined;
  readonly content?: Content | undefined;
  /** A file with the content, where the store has one. Read-only. */
  readonly path?: string | undefined;
}

/** Judges subjects by a database of advisories. */
export interface Scanner {
  /** Ecosystems (package URL types) that it knows. */
  readonly subjects: { readonly ecosystems: readonly string[] };
  readonly needs: 'coordinates' | 'content';
  /**
   * @throws EntrepotError `scan-unavailable` when it cannot say, also for an ecosystem that it does not know and for
   * content that it needs and did not get: an empty report always means "looked and found nothing".
   * Stops soon after `signal` is aborted, and then throws. Never changes the subject.
   */
  scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport>;
  /** Names the database in use; changes when its content does. */
  revision(): string;
  /** @throws EntrepotError `scan-unavailable` when it could not scan now. */
  check(): Promise<void>;
  dispose?(): Promise<void>;
}

/** A scanner as a package publishes it. */
export interface ScannerPlugin<Options = unknown, Deps extends TokenRecord = TokenRecord> {
  readonly kind: 'scanner';
  readonly apiVersion: number;
  /** Lower-case, digits, `-`. The `type` in the configuration. */
  readonly id: string;
  readonly options: StandardSchema<Options>;
  readonly inject: Deps;
  create(context: { readonly services: Injected<Deps>; readonly options: Options }): Scanner | Promise<Scanner>;
}

/** Declares a scanner plugin: stamps `kind` and `apiVersion`. */
export function defineScannerPlugin<Options, const Deps extends TokenRecord>(
  plugin: Omit<ScannerPlugin<Options, Deps>, 'kind' | 'apiVersion'>,
): ScannerPlugin<Options, Deps> {
  return Object.freeze({ kind: 'scanner' as const, apiVersion: API_VERSION, ...plugin });
}
