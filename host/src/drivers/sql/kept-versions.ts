import type { ArtifactFacts, Digest, Integrity, PackageCoordinates } from '@entrepot/core';
import { isSameVersion } from '@entrepot/core/engine';
import type { Kysely } from 'kysely';
import type { Schema } from './schema.js';
import { stored } from './stored.js';

/** An artifact that is kept, as policy judges it. */
export interface KeptVersion {
  readonly repository: string;
  readonly key: string;
  readonly coordinates: PackageCoordinates;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** When it was stored; milliseconds since the epoch. */
  readonly fetchedAt: number;
  readonly integrity: readonly Integrity[];
  readonly facts: ArtifactFacts;
}

/** Lists the stored artifacts of a name, or of one of its versions in any spelling. */
export async function readKeptVersions(
  database: Kysely<Schema>,
  { ecosystem, name, version }: PackageCoordinates,
): Promise<readonly KeptVersion[]> {
  const all = database
    .selectFrom('entries')
    .where(({ and }) => and({ ecosystem, name }))
    .where('version', 'is not', null);
  let wanted = all;
  if (version !== undefined) {
    const kept = await stored('read kept versions', () => all.select('version').distinct().execute());
    const spellings = kept.map((row) => row.version as string).filter((one) => isSameVersion(ecosystem, one, version));
    if (spellings.length === 0) return [];
    wanted = all.where('version', 'in', spellings);
  }
  const rows = await stored('read kept versions', () =>
    wanted
      .select(['repository', 'key', 'version', 'digest', 'size', 'fetched_at', 'integrity', 'facts'])
      .orderBy('repository')
      .orderBy('key')
      .limit(10_000)
      .execute(),
  );
  return rows.map((row) => ({
    repository: row.repository,
    key: row.key,
    coordinates: { ecosystem, name, version: row.version as string },
    digest: row.digest as Digest,
    size: Number(row.size),
    fetchedAt: Number(row.fetched_at),
    integrity: JSON.parse(row.integrity) as Integrity[],
    facts: row.facts === null ? {} : (JSON.parse(row.facts) as ArtifactFacts),
  }));
}
