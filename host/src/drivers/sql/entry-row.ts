import type { ArtifactFacts, Digest, Entry } from '@entrepot/core';
import type { Selectable } from 'kysely';
import type { EntryTable } from './schema.js';
import { coordinatesOf, rowOf } from './sql-store.js';

const NAMELESS = { ecosystem: null, name: null, version: null };

/** A row without its access time: that is recorded apart, and survives a replacement. */
export type EntryRow = Omit<Selectable<EntryTable>, 'accessed_at'>;

/** The row of `entry`. */
export function toRow(entry: Entry): EntryRow {
  return {
    repository: entry.repository,
    key: entry.key,
    digest: entry.digest,
    size: entry.size,
    media_type: entry.mediaType,
    headers: JSON.stringify(entry.headers),
    etag: entry.etag ?? null,
    last_modified: entry.lastModified ?? null,
    upstream_url: entry.upstreamUrl ?? null,
    fetched_at: entry.fetchedAt,
    checked_at: entry.checkedAt,
    integrity: JSON.stringify(entry.integrity),
    ...(entry.coordinates === undefined ? NAMELESS : rowOf(entry.coordinates)),
    attributes: entry.attributes === undefined ? null : JSON.stringify(entry.attributes),
    facts: entry.facts === undefined ? null : JSON.stringify(entry.facts),
    facts_from: entry.factsFrom ?? null,
    expires_at: entry.expiresAt ?? null,
    stored_by: entry.storedBy ?? null,
  };
}

/** The entry of `row`. 64-bit integers come as text from some databases, hence `Number`. */
export function toEntry(row: EntryRow): Entry {
  const { ecosystem, name, version } = row;
  return {
    repository: row.repository,
    key: row.key,
    digest: row.digest as Digest,
    size: Number(row.size),
    mediaType: row.media_type,
    headers: JSON.parse(row.headers) as Entry['headers'],
    ...(row.etag === null ? {} : { etag: row.etag }),
    ...(row.last_modified === null ? {} : { lastModified: row.last_modified }),
    ...(row.upstream_url === null ? {} : { upstreamUrl: row.upstream_url }),
    fetchedAt: Number(row.fetched_at),
    checkedAt: Number(row.checked_at),
    integrity: JSON.parse(row.integrity) as Entry['integrity'],
    ...(ecosystem === null || name === null ? {} : { coordinates: coordinatesOf({ ecosystem, name, version }) }),
    ...(row.attributes === null ? {} : { attributes: JSON.parse(row.attributes) as Record<string, unknown> }),
    ...(row.facts === null ? {} : { facts: JSON.parse(row.facts) as ArtifactFacts }),
    ...(row.facts_from === null ? {} : { factsFrom: row.facts_from }),
    ...(row.expires_at === null ? {} : { expiresAt: Number(row.expires_at) }),
    ...(row.stored_by === null ? {} : { storedBy: row.stored_by }),
  };
}
