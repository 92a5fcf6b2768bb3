/** A package, with or without a version. */
interface PackageColumns {
  ecosystem: string;
  name: string;
  version: string | null;
}

/** A version of a package; `''` where there is none, since it is part of the key. */
interface VersionColumns {
  ecosystem: string;
  name: string;
  version: string;
}

/** One row an entry. Times are milliseconds since the epoch, structures are JSON text, absence is NULL. */
export interface EntryTable {
  repository: string;
  key: string;
  digest: string;
  size: number;
  media_type: string;
  headers: string;
  etag: string | null;
  last_modified: string | null;
  upstream_url: string | null;
  fetched_at: number;
  checked_at: number;
  integrity: string;
  ecosystem: string | null;
  name: string | null;
  version: string | null;
  attributes: string | null;
  facts: string | null;
  /** The document that `facts` are from, and what was looked for in it. */
  facts_from: string | null;
  /** When it was last served; NULL: not since it was stored. */
  accessed_at: number | null;
  /** When it goes before everything else where room is needed; NULL: never. */
  expires_at: number | null;
  /** The name of the uploader. */
  stored_by: string | null;
}

/** State of a blob: kept; found without a row; to be deleted unless somebody needs it; being deleted; damaged, and out of the store. */
export type BlobState = 'live' | 'found' | 'condemned' | 'deleting' | 'damaged';

/** A blob that is in the store, or about to be. */
export interface BlobTable {
  digest: string;
  size: number;
  state: BlobState;
  /** Grows with the time at which it was first put; milliseconds since the epoch. */
  seq: number;
  /** 1: served since the hand of the evictor passed it. */
  visited: number;
  /** When its state last changed; milliseconds since the epoch. */
  since: number;
}

/** The latest report of one scanner on one subject: on bytes under a name, or on a name. */
export interface ReportTable extends PackageColumns {
  subject: string;
  scanner: string;
  digest: string | null;
  revision: string;
  state: string;
  coverage: string | null;
  findings: string;
  detail: string | null;
  scanned_at: number;
  /** The count of changes of reports at which it was put. */
  change: number;
}

/** A pending scan. The holder of the lease runs it; the generation grows with each lease. */
export interface ScanJobTable extends PackageColumns {
  id: string;
  subject: string;
  scanner: string;
  revision: string;
  digest: string | null;
  /** Smaller is sooner. */
  priority: number;
  attempts: number;
  not_before: number;
  lease_owner: string | null;
  /** 0: not leased. */
  lease_until: number;
  generation: number;
  asked_at: number;
}

/** An exception, as JSON. */
export interface ExceptionTable {
  id: string;
  body: string;
  expires_at: number;
  last_used_at: number | null;
}

/** A version that policy holds, or that an administrator decided on. */
export interface QuarantineTable extends VersionColumns {
  repository: string;
  state: string;
  rules: string;
  held_at: number;
  asked_at: number;
  until: number | null;
  decided_at: number | null;
  decided_by: string | null;
  note: string | null;
}

/** A decision that a client met, as JSON. */
export interface DecisionTable extends PackageColumns {
  id: string;
  at: number;
  repository: string;
  action: string;
  body: string;
}

/** Downloads, a row for each version, caller and day. Absent values are `''`, since they are part of the key. */
export interface DownloadTable extends VersionColumns {
  repository: string;
  digest: string;
  caller: string;
  address: string;
  /** Days since the epoch. */
  day: number;
  first_at: number;
  last_at: number;
  times: number;
}

/** When a version that no document dates was first met here, in milliseconds since the epoch. */
export interface FirstSeenTable extends VersionColumns {
  seen_at: number;
}

/** The tables as the newest migration leaves them. */
export interface Schema {
  entries: EntryTable;
  /** One row that readiness checks write. */
  probes: { id: number; written: string };
  /** The number of changes of a repository. */
  revisions: { repository: string; revision: number };
  reports: ReportTable;
  scan_jobs: ScanJobTable;
  /** The database with which everything kept was last judged. `noted_until`: artifacts stored until then have its findings noted. */
  scanner_revisions: { scanner: string; revision: string; noted_until: number | null };
  exceptions: ExceptionTable;
  quarantine: QuarantineTable;
  decisions: DecisionTable;
  downloads: DownloadTable;
  first_seen: FirstSeenTable;
  blobs: BlobTable;
  /** Blobs that a process is about to put or to name: nobody deletes them `until` then. */
  holds: { id: string; digest: string; until: number };
  /** Counted by triggers: the blobs, under `''`, and the entries of each repository. */
  usage: { repository: string; bytes: number; amount: number };
  pins: PinTable;
  /** Where the evictor goes on: after this blob, or this entry of a repository. */
  hands: { scope: string; seq: number; key: string };
  leases: { name: string; owner: string; generation: number; until: number };
  meta: { name: string; value: string };
  flights: FlightTable;
  statistics: StatisticsTable;
  /** The last batch that each process has added to `statistics`, and when. */
  statistics_writers: { writer: string; batch: number; at: number };
  keys: KeyTable;
  audit: AuditTable;
}

/**
 * The rows of one repository on one day: one for all requests, and parts of it by package and by principal. The smallest parts become
 * one row of the others.
 */
export type Dimension = 'all' | 'package' | 'other-packages' | 'principal' | 'other-principals' | 'anonymous';

/** Numbers of one day. */
export interface StatisticsTable extends Record<StatisticsNumber, number> {
  /** Days since the epoch. */
  day: number;
  repository: string;
  dimension: Dimension;
  /** A package URL without a version, or a principal. Else `''`, since it is part of the key. */
  name: string;
}

/** The columns of numbers, which add up. Times are milliseconds. */
export const STATISTICS_NUMBERS = [
  'requests',
  'downloads',
  'bytes',
  'hits',
  'revalidated',
  'stale',
  'misses',
  'denied',
  'failed',
  'not_modified',
  'ranges',
  /** Bytes of replies that a kept copy was for. */
  'kept_bytes',
  'upstream_requests',
  /** Until the heads of their replies. */
  'upstream_time',
  'received_bytes',
  /** From the heads of replies to their last bytes. */
  'receive_time',
] as const;

export type StatisticsNumber = (typeof STATISTICS_NUMBERS)[number];

/** A fetch that one process does for all. */
export interface FlightTable {
  name: string;
  owner: string;
  /** Grows each time that somebody takes the lease. */
  generation: number;
  /** By the clock of the database; milliseconds since the epoch. */
  until: number;
  /** Where others follow it. NULL: nowhere. */
  address: string | null;
  /** The answer of the upstreams, where nothing was brought. JSON. */
  outcome: string | null;
}

/** A rule that keeps the evictor from entries. */
export interface PinTable {
  id: string;
  /** A package URL, or `<repository>/<glob over keys>`. */
  subject: string;
  made_at: number;
  made_by: string | null;
  note: string | null;
}

/** A key of callers. Times are milliseconds since the epoch. */
export interface KeyTable {
  id: string;
  /** SHA-256 of the secret, in hexadecimal digits. */
  hash: string;
  name: string;
  /** JSON. */
  scopes: string;
  note: string | null;
  created_at: number;
  created_by: string | null;
  expires_at: number | null;
  /** NULL: it is in force until it expires. */
  revoked_at: number | null;
  /** Time of the last use, give or take ten minutes. NULL: not yet. */
  used_at: number | null;
  /** The count of changes of keys at which it was put. */
  change: number;
}

/** A change, or denials of one minute that are equal. Times are milliseconds since the epoch. */
export interface AuditTable {
  /** Begins with the time. */
  id: string;
  kind: string;
  event: string;
  at: number;
  last_at: number;
  times: number;
  actor: string | null;
  address: string | null;
  repository: string | null;
  subject: string | null;
  /** JSON. */
  detail: string | null;
}
