import type { Content } from './content.js';
import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { Integrity } from './integrity.js';
import type { StandardSchema } from './options.js';
import type { Injected, TokenRecord } from './token.js';
import { API_VERSION } from './version.js';

/** The severity of a finding. `unknown` is a level of its own, not the lowest. */
export type Severity = 'critical' | 'high' | 'medium' | 'low' | 'none' | 'unknown';

/** One vulnerability in one subject. */
export interface Finding {
  /** The advisory: `GHSA-…`, `CVE-…`, `MAL-…`. */
  readonly id: string;
  /** Other names of the same advisory, transitively: one group is one finding. */
  readonly aliases: readonly string[];
  /** The highest of the group. */
  readonly severity: Severity;
  /** CVSS base score, 0 to 10. */
  readonly cvss?: number | undefined;
  /** Whether it marks malicious content instead of a vulnerability: `MAL-…`, CWE-506. */
  readonly malicious?: boolean | undefined;
  /** It is known to be exploited (CISA KEV). */
  readonly exploited?: boolean | undefined;
  /** The probability that it will be exploited within 30 days, 0 to 1 (EPSS). */
  readonly epss?: number | undefined;
  /** Versions that fix it; empty when there is none. */
  readonly fixedIn: readonly string[];
  /** The part of the subject that it is about, where it is not the subject itself: a package URL. */
  readonly component?: string | undefined;
  /** `cpe`: matched by a name that may be another's. Absent: exact. */
  readonly confidence?: 'exact' | 'cpe' | undefined;
  /** When the advisory was published; milliseconds since the epoch. */
  readonly publishedAt?: number | undefined;
  readonly title?: string | undefined;
  readonly url?: string | undefined;
  /** The database that it comes from. */
  readonly source: string;
}

/** A scanner's report on one subject. */
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

/** The subject of a scan. `content` is there only for scanners that need it. */
export interface ScanSubject {
  readonly coordinates: PackageCoordinates;
  readonly digest?: Digest | undefined;
  /** Checksums that the ecosystem promises, for indicators by hash. */
  readonly integrity?: readonly Integrity[] | undefined;
  readonly content?: Content | undefined;
  /** Qualifiers of its package URL: for packages of a distribution `distro` (`debian-12`), `upstream` (the source) and `arch`. */
  readonly qualifiers?: Readonly<Record<string, string>> | undefined;
  /**
   * Reads other blobs of its repository that it names by digest: the manifests, configuration and layers of an image.
   * Valid while the scan runs. `undefined`: not available.
   * @param mediaType the media type that the reference gives, if it gives one
   */
  readonly part?: ((digest: Digest, mediaType?: string) => Promise<Content | undefined>) | undefined;
}

/** A request of a client to an API of the database itself, such as `POST /v1/query` of OSV or the bulk audit of npm. */
export interface ScannerQuestion {
  readonly method: 'GET' | 'POST';
  /** From the root of that API: `/v1/query`, `/-/npm/v1/security/advisories/bulk`. Without a query. */
  readonly path: string;
  /** Decompressed. */
  readonly body?: Uint8Array | undefined;
}

/** The reply to a `ScannerQuestion`, errors of the API included. */
export interface ScannerAnswer {
  readonly status: number;
  readonly mediaType: string;
  readonly body: string | Uint8Array;
}

/** Judges subjects by a database of advisories. */
export interface Scanner {
  /** Ecosystems (package URL types) that it can judge. */
  readonly subjects: {
    readonly ecosystems: readonly string[];
    /** Ecosystems whose content it needs (with `digest` and `part`), when it needs none of the others'. */
    readonly withContent?: readonly string[] | undefined;
  };
  readonly needs: 'coordinates' | 'content';
  /**
   * Scans one subject. Never changes it, and throws soon after `signal` is aborted.
   * @throws EntrepotError `scan-unavailable` when there is no result; with the code `SCAN_UNSUPPORTED` for an unknown
   * ecosystem or missing content. An empty report always means "scanned, nothing found".
   */
  scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport>;
  /** Names the database in use; changes when its content does. */
  revision(): string;
  /**
   * Scans several subjects at once, where that is cheaper. Returns a report or an error for each, in order. Absent:
   * `scan` is called for each.
   */
  scanAll?(subjects: readonly ScanSubject[], signal: AbortSignal): Promise<readonly (ScanReport | Error)[]>;
  /**
   * Looks a version up in memory or in a local index, within microseconds: it is called for every version of a
   * document. `undefined`: it does not know the ecosystem, or cannot compare its versions. Without a version it returns
   * every advisory of the name, so that `fixedIn` tells which versions fix something.
   */
  lookup?(coordinates: PackageCoordinates, integrity?: readonly Integrity[]): readonly Finding[] | undefined;
  /**
   * Answers clients from the database, without any other server. `undefined`: it has no such API, and the path is not
   * found. Yields between the parts of a long answer (`WorkTurns`), since any client may send a large request.
   * @throws EntrepotError `scan-unavailable` when there is no database
   */
  answer?(question: ScannerQuestion): Promise<ScannerAnswer | undefined>;
  /**
   * Switches to a newer database, if there is one.
   * @returns packages whose findings may have changed; `undefined` when that is unknown
   */
  update?(signal: AbortSignal): Promise<readonly PackageCoordinates[] | undefined>;
  /** When the database was made, for health and metrics; milliseconds since the epoch. */
  databaseDate?(): number | undefined;
  /**
   * Checks that a scan would work now.
   * @throws EntrepotError `scan-unavailable`
   */
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
