import { SEARCH } from './search-migration.js';
import { SPACE } from './space-migration.js';
import type { Statement } from './statement.js';

/**
 * The SQL of each version of the tables. Forward only: a migration that was released is never changed, and none goes back.
 */
export const MIGRATIONS: Readonly<Record<string, readonly Statement[]>> = {
  // The entries of all repositories, and the row that readiness checks write.
  '0001-initial': [
    `create table entries (
      repository text not null, key text not null,
      digest text not null, size integer not null, media_type text not null,
      headers text not null, etag text, last_modified text, upstream_url text,
      fetched_at integer not null, checked_at integer not null, integrity text not null,
      ecosystem text, name text, version text, attributes text, accessed_at integer,
      constraint entries_key primary key (repository, key))`,
    'create index entries_digest on entries (digest)',
    'create table probes (id integer not null primary key, written text not null)',
  ],
  // The number of changes of each repository: what is made from its entries is made anew when this has grown.
  '0002-revisions': ['create table revisions (repository text not null primary key, revision integer not null)'],
  // The facts that documents state about artifacts, with their entries.
  '0003-facts': ['alter table entries add column facts text'],
  '0004-policy': [
    `create table reports (
      subject text not null, scanner text not null, digest text, revision text not null,
      state text not null, coverage text, findings text not null, detail text,
      scanned_at integer not null, change integer not null,
      ecosystem text not null, name text not null, version text,
      constraint reports_key primary key (subject, scanner))`,
    'create index reports_package on reports (ecosystem, name)',
    'create index reports_change on reports (change)',
    `create table scan_jobs (
      id text not null primary key, subject text not null, scanner text not null, revision text not null,
      digest text, ecosystem text not null, name text not null, version text,
      priority integer not null, attempts integer not null, not_before integer not null,
      lease_owner text, lease_until integer not null, generation integer not null, asked_at integer not null,
      constraint scan_jobs_work unique (subject, scanner, revision))`,
    'create index scan_jobs_order on scan_jobs (priority, asked_at)',
    'create table scanner_revisions (scanner text not null primary key, revision text not null)',
    `create table exceptions (
      id text not null primary key, body text not null, expires_at integer not null, last_used_at integer)`,
    `create table quarantine (
      repository text not null, ecosystem text not null, name text not null, version text not null,
      state text not null, rules text not null, held_at integer not null, asked_at integer not null,
      until integer, decided_at integer, decided_by text, note text,
      constraint quarantine_key primary key (repository, ecosystem, name, version))`,
    `create table decisions (
      id text not null primary key, at integer not null, repository text not null,
      ecosystem text not null, name text not null, version text, action text not null, body text not null)`,
    'create index decisions_time on decisions (at)',
    'create index decisions_package on decisions (ecosystem, name)',
    `create table downloads (
      repository text not null, ecosystem text not null, name text not null, version text not null,
      digest text not null, caller text not null, address text not null,
      day integer not null, first_at integer not null, last_at integer not null, times integer not null,
      constraint downloads_key primary key (ecosystem, name, version, repository, digest, caller, address, day))`,
    'create index downloads_day on downloads (day)',
    // Which stored artifacts an advisory is about is asked by name.
    'create index entries_package on entries (ecosystem, name)',
  ],
  // When versions that no document dates were first met.
  '0005-first-seen': [
    `create table first_seen (
      ecosystem text not null, name text not null, version text not null, seen_at integer not null,
      constraint first_seen_key primary key (ecosystem, name, version))`,
    'create index first_seen_time on first_seen (seen_at)',
  ],
  // Which document the facts of an entry are from.
  '0006-facts-from': ['alter table entries add column facts_from text'],
  // Until when what was stored has its findings noted, by scanner.
  '0007-known-findings': [
    'alter table scanner_revisions add column noted_until integer',
    'create index entries_fetched on entries (fetched_at)',
  ],
  '0008-space': SPACE,
  // What one process of a cluster fetches for all. Times are those of the database.
  '0009-flights': [
    `create table flights (
      name text not null primary key, owner text not null, generation integer not null, until integer not null,
      address text, outcome text)`,
    'create index flights_until on flights (until)',
  ],
  // Keys of callers. Those that were revoked stay for a while, so that other processes see it.
  '0010-keys': [
    `create table keys (
      id text not null primary key, hash text not null, name text not null, scopes text not null, note text,
      created_at integer not null, created_by text, expires_at integer,
      revoked_at integer, used_at integer, change integer not null,
      constraint keys_hash unique (hash))`,
    'create index keys_name on keys (name)',
    'create index keys_change on keys (change)',
  ],
  // Changes and denials. Ids begin with the time, so that they are in its order.
  '0011-audit': [
    `create table audit (
      id text not null primary key, kind text not null, event text not null,
      at integer not null, last_at integer not null, times integer not null,
      actor text, address text, repository text, subject text, detail text)`,
    'create index audit_kind on audit (kind, id)',
    'create index audit_actor on audit (actor, id)',
    'create index audit_repository on audit (repository, id)',
  ],
  // What is kept can be searched for by name.
  '0012-search': SEARCH,
  // What was asked for and answered, by day; and the last batch of numbers that each process has added to it.
  '0013-statistics': [
    `create table statistics (
      day integer not null, repository text not null, dimension text not null, name text not null,
      requests integer not null, downloads integer not null, bytes integer not null,
      hits integer not null, revalidated integer not null, stale integer not null, misses integer not null,
      denied integer not null, failed integer not null, not_modified integer not null, ranges integer not null,
      kept_bytes integer not null, upstream_requests integer not null, upstream_time integer not null,
      received_bytes integer not null, receive_time integer not null,
      constraint statistics_key primary key (day, repository, dimension, name))`,
    'create table statistics_writers (writer text not null primary key, batch integer not null, at integer not null)',
  ],
};
