import type { Content } from './content.js';
import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { Integrity } from './integrity.js';
import type { StandardSchema } from './options.js';
import type { Injected, TokenRecord } from './token.js';
import { API_VERSION } from './version.js';

/** How bad a finding is. `unknown` is a level of its own, not the lowest. */
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
  /** It is not vulnerable but hostile: `MAL-…`, CWE-506. */
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
  /** What the ecosystem promised about its bytes, for indicators by hash. */
  readonly integrity?: readonly Integrity[] | undefined;
  readonly content?: Content | undefined;
  /** A file with the content, where the store has one. Read-only. */
  readonly path?: string | undefined;
  /** Qualifiers of its package URL: for packages of a distribution `distro` (`debian-12`), `upstream` (the source) and `arch`. */
  readonly qualifiers?: Readonly<Record<string, string>> | undefined;
  /**
   * Other bytes of its repository that it names, by digest: the manifests, configuration and layers of an image. As long as
   * the scan runs. `undefined`: they are not to be had.
   * @param mediaType what they are said to be, where that is said
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
  /** Ecosystems (package URL types) that it knows. */
  readonly subjects: {
    readonly ecosystems: readonly string[];
    /** Those of them whose content it needs (with `digest` and `part`) although it needs none of the others. */
    readonly withContent?: readonly string[] | undefined;
  };
  readonly needs: 'coordinates' | 'content';
  /**
   * @throws EntrepotError `scan-unavailable` when it cannot say, also for an ecosystem that it does not know and for
   * content that it needs and did not get (both with the code `SCAN_UNSUPPORTED`): an empty report always means "looked and found nothing".
   * Stops soon after `signal` is aborted, and then throws. Never changes the subject.
   */
  scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport>;
  /** Names the database in use; changes when its content does. */
  revision(): string;
  /**
   * Several at once, where that is cheaper: one result a subject, in order; what could not be judged is its error.
   * Absent: `scan` is called for each.
   */
  scanAll?(subjects: readonly ScanSubject[], signal: AbortSignal): Promise<readonly (ScanReport | Error)[]>;
  /**
   * What the database says of a version, from memory or a local index, within microseconds: cheap enough for every
   * version of a document. `undefined`: it does not know the ecosystem, or cannot compare its versions. Without a version:
   * every advisory of the name, so that `fixedIn` tells which versions fix something.
   */
  lookup?(coordinates: PackageCoordinates, integrity?: readonly Integrity[]): readonly Finding[] | undefined;
  /**
   * Answers clients from the database, without any other server. `undefined`: it has no such API; the path is not found.
   * Lets other work run between the parts of a long answer (`WorkTurns`): anybody may ask for much.
   * @throws EntrepotError `scan-unavailable` when there is no database to ask
   */
  answer?(question: ScannerQuestion): Promise<ScannerAnswer | undefined>;
  /** Takes a newer database in use where there is one. @returns whose findings may differ now; `undefined`: it is not known. */
  update?(signal: AbortSignal): Promise<readonly PackageCoordinates[] | undefined>;
  /** For health and metrics: when the database was made; milliseconds since the epoch. */
  databaseDate?(): number | undefined;
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
