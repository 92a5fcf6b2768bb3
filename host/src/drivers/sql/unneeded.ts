import type { BlobInfo, Digest } from '@entrepot/core';
import type { ExpressionBuilder, Kysely } from 'kysely';
import { slices } from '../slices.js';
import type { BlobTable, Schema } from './schema.js';

/** The number of digests or keys in one statement. */
export const WIDTH = 200;

/** Builds conditions on rows of the catalogue. */
export type Blobs = ExpressionBuilder<Schema, 'blobs'>;

/** That somebody holds a blob. */
export function isHeld(row: Blobs, now: number) {
  return row.exists(
    row.selectFrom('holds').select('id').whereRef('holds.digest', '=', 'blobs.digest').where('holds.until', '>', now),
  );
}

/** That no entry points at a blob, and nobody holds it. */
export function unneeded(now: number) {
  return (row: Blobs) =>
    row.and([
      row.not(row.exists(row.selectFrom('entries').select('key').whereRef('entries.digest', '=', 'blobs.digest'))),
      row.not(isHeld(row, now)),
    ]);
}

/** Condemns those of `digests` that nobody needs. @returns them */
export async function condemn(
  database: Kysely<Schema>,
  digests: readonly string[],
  now: number,
): Promise<readonly BlobInfo[]> {
  const condemned: BlobInfo[] = [];
  for (const part of slices(digests, WIDTH)) {
    const rows = await database
      .updateTable('blobs')
      .set({ state: 'condemned', since: now })
      .where('digest', 'in', part)
      .where('state', 'in', ['live', 'found', 'damaged'])
      .where(unneeded(now))
      .returning(['digest', 'size'])
      .execute();
    condemned.push(...rows.map(toInfo));
  }
  return condemned;
}

export function toInfo({ digest, size }: Pick<BlobTable, 'digest' | 'size'>): BlobInfo {
  return { digest: digest as Digest, size: Number(size) };
}
