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
  /** When it was last served; NULL: not since it was stored. */
  accessed_at: number | null;
}

/** How often a repository was changed. */
export interface RevisionTable {
  repository: string;
  revision: number;
}

/** One row that readiness checks write. */
export interface ProbeTable {
  id: number;
  written: string;
}

/** The tables as the newest migration leaves them. */
export interface Schema {
  entries: EntryTable;
  probes: ProbeTable;
  revisions: RevisionTable;
}
