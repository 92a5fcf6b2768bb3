import { setImmediate as turn } from 'node:timers/promises';
import type { BlobInfo, Digest, PackageCoordinates } from '@entrepot/core';
import { type Kysely, sql } from 'kysely';
import { slices } from '../slices.js';
import type { Schema } from './schema.js';
import { coordinatesOf, SqlStore } from './sql-store.js';
import { stored } from './stored.js';
import { condemn, isHeld, toInfo, WIDTH } from './unneeded.js';

/** How much there is. */
export interface Usage {
  readonly bytes: number;
  /** Blobs, or entries. */
  readonly amount: number;
}

/** An entry as the evictor sees it. */
export interface KeptEntry {
  readonly repository: string;
  readonly key: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Whether it has an upstream. */
  readonly isFetched: boolean;
  readonly coordinates: PackageCoordinates | undefined;
}

/** A blob, or an entry of one repository, on the way of the evictor. */
export interface Candidate extends BlobInfo {
  readonly visited: boolean;
  /** Its place in the order: when it was put, and its digest or key. */
  readonly place: Place;
}

/** A place in the order in which the evictor goes. */
export interface Place {
  readonly seq: number;
  readonly key: string;
}

export const FIRST_PLACE: Place = { seq: -1, key: '' };

/** The columns of a `KeptEntry`. */
export const KEPT = ['repository', 'key', 'digest', 'size', 'upstream_url', 'ecosystem', 'name', 'version'] as const;

/** The usage of all blobs, and of those that are small. */
export const ALL_BLOBS = '';
export const SMALL_BLOBS = '-';

/** How much room everything takes, and the order in which it goes. */
export class SqlEvictionStore extends SqlStore {
  /** The usage of each repository by its name, besides that of `ALL_BLOBS` and `SMALL_BLOBS`. */
  async usage(): Promise<ReadonlyMap<string, Usage>> {
    const rows = await stored('read the usage', () => this.database.selectFrom('usage').selectAll().execute());
    return new Map(rows.map((row) => [row.repository, { bytes: Number(row.bytes), amount: Number(row.amount) }]));
  }

  /** The bytes of a repository, of `ALL_BLOBS` or of `SMALL_BLOBS`. */
  async bytesOf(repository: string): Promise<number> {
    const row = await stored('read the usage', () =>
      this.database.selectFrom('usage').select('bytes').where('repository', '=', repository).executeTakeFirst(),
    );
    return Number(row?.bytes ?? 0);
  }

  /** Whether a repository has an entry of a blob; of `ALL_BLOBS`: whether the catalogue has it, and it is not being deleted. */
  async has(repository: string, digest: Digest): Promise<boolean> {
    const row = await stored('look for a blob', () =>
      repository === ALL_BLOBS
        ? this.database
            .selectFrom('blobs')
            .select('digest')
            .where('digest', '=', digest)
            .where('state', '!=', 'deleting')
            .executeTakeFirst()
        : this.database
            .selectFrom('entries')
            .select('digest')
            .where(({ and }) => and({ repository, digest }))
            .limit(1)
            .executeTakeFirst(),
    );
    return row !== undefined;
  }

  /**
   * Entries that are past their age, the oldest first.
   * @param repository absent: of all
   */
  async expired(repository: string | undefined, now: number, limit: number): Promise<readonly KeptEntry[]> {
    const rows = await stored('look for expired entries', () =>
      this.database
        .selectFrom('entries')
        .select(KEPT)
        .where('expires_at', '<=', now)
        .$if(repository !== undefined, (all) => all.where('repository', '=', repository as string))
        .orderBy('expires_at')
        .limit(limit)
        .execute(),
    );
    return rows.map(toKept);
  }

  /** The blobs after `hand` in the order of the evictor, whoever needs them. */
  async blobsFrom({ seq, key }: Place, limit: number): Promise<readonly Candidate[]> {
    const rows = await stored('look through the blobs', () =>
      this.database
        .selectFrom('blobs')
        .select(['digest', 'size', 'visited', 'seq', 'digest as key'])
        .where(sql<boolean>`(seq, digest) > (${seq}, ${key})`)
        .where('state', '=', 'live')
        .orderBy('seq')
        .orderBy('digest')
        .limit(limit)
        .execute(),
    );
    return rows.map(toCandidate);
  }

  /** The entries of a repository after `hand` in the order of the evictor. */
  async entriesFrom(repository: string, { seq, key }: Place, limit: number): Promise<readonly Candidate[]> {
    const rows = await stored('look through the entries', () =>
      this.database
        .selectFrom('entries')
        .innerJoin('blobs', 'blobs.digest', 'entries.digest')
        .select(['entries.digest', 'entries.size', 'blobs.visited', 'entries.fetched_at as seq', 'entries.key'])
        .where('entries.repository', '=', repository)
        .where(sql<boolean>`(entries.fetched_at, entries.key) > (${seq}, ${key})`)
        .orderBy('entries.fetched_at')
        .orderBy('entries.key')
        .limit(limit)
        .execute(),
    );
    return rows.map(toCandidate);
  }

  /** All entries that point at these blobs. */
  async entriesOf(digests: readonly Digest[]): Promise<readonly KeptEntry[]> {
    const found: KeptEntry[] = [];
    for (const part of slices(digests, WIDTH)) {
      const rows = await stored('look for references', () =>
        this.database.selectFrom('entries').select(KEPT).where('digest', 'in', part).execute(),
      );
      found.push(...rows.map(toKept));
    }
    return found;
  }

  /** Notes that the hand has passed these blobs. */
  async passed(digests: readonly Digest[]): Promise<void> {
    for (const part of slices(digests, WIDTH)) {
      await stored('move the hand', () =>
        this.database.updateTable('blobs').set({ visited: 0 }).where('digest', 'in', part).execute(),
      );
    }
  }

  /**
   * Removes entries whose blobs nobody holds, and condemns blobs that no other entry points at.
   * @param blobs that are condemned although no entry points at them
   */
  async evict(
    entries: readonly KeptEntry[],
    blobs: readonly Digest[],
    now: number,
  ): Promise<{ readonly removed: readonly KeptEntry[]; readonly condemned: readonly BlobInfo[] }> {
    return await this.transaction('evict entries', async (transaction) => {
      const free = await freeOf(transaction, [...new Set(entries.map(({ digest }) => digest))], now);
      const removed: KeptEntry[] = [];
      const going = entries.filter(({ digest }) => free.has(digest));
      for (const part of slicesByRepository(going)) {
        // An embedded database works on the event loop.
        await turn();
        removed.push(...(await removeAll(transaction, part)));
      }
      await turn();
      const digests = new Set([...blobs, ...removed.map(({ digest }) => digest)]);
      return { removed, condemned: await condemn(transaction, [...digests].sort(), now) };
    });
  }

  /** Where the evictor of `scope` goes on. */
  async hand(scope: string): Promise<Place> {
    const row = await stored('read the hand', () =>
      this.database.selectFrom('hands').select(['seq', 'key']).where('scope', '=', scope).executeTakeFirst(),
    );
    return row === undefined ? FIRST_PLACE : { seq: Number(row.seq), key: row.key };
  }

  async moveHand(scope: string, { seq, key }: Place): Promise<void> {
    await stored('move the hand', () =>
      this.database
        .insertInto('hands')
        .values({ scope, seq, key })
        .onConflict((conflict) => conflict.column('scope').doUpdateSet({ seq, key }))
        .execute(),
    );
  }
}

/** Those of `digests` that nobody holds. */
async function freeOf(database: Kysely<Schema>, digests: readonly Digest[], now: number): Promise<ReadonlySet<string>> {
  const free = new Set<string>();
  for (const part of slices(digests, WIDTH)) {
    const rows = await database
      .selectFrom('blobs')
      .select('digest')
      .where('digest', 'in', part)
      .where((row) => row.not(isHeld(row, now)))
      .execute();
    for (const { digest } of rows) free.add(digest);
  }
  return free;
}

/** Entries in slices, each of one repository. In one order for everybody: two transactions that wait for each other never end. */
function* slicesByRepository(entries: readonly KeptEntry[]): Generator<readonly KeptEntry[]> {
  const byRepository = Map.groupBy(entries, ({ repository }) => repository);
  for (const repository of [...byRepository.keys()].sort()) yield* slices(byRepository.get(repository) ?? [], WIDTH);
}

/**
 * Removes entries of one repository, unless they point elsewhere meanwhile.
 * @returns those that were there
 */
async function removeAll(database: Kysely<Schema>, entries: readonly KeptEntry[]): Promise<readonly KeptEntry[]> {
  const [first] = entries;
  if (first === undefined) return [];
  const removed = await database
    .deleteFrom('entries')
    .where('repository', '=', first.repository)
    .where(
      'key',
      'in',
      entries.map(({ key }) => key),
    )
    .where('digest', 'in', [...new Set(entries.map(({ digest }) => digest))])
    .returning('key')
    .execute();
  const keys = new Set(removed.map(({ key }) => key));
  return entries.filter(({ key }) => keys.has(key));
}

function toCandidate(row: { digest: string; size: number; visited: number; seq: number; key: string }): Candidate {
  return {
    ...toInfo(row),
    visited: Number(row.visited) === 1,
    place: { seq: Number(row.seq), key: row.key },
  };
}

/** The entry of a row with the columns `KEPT`. */
export function toKept(row: {
  repository: string;
  key: string;
  digest: string;
  size: number;
  upstream_url: string | null;
  ecosystem: string | null;
  name: string | null;
  version: string | null;
}): KeptEntry {
  const { repository, key, ecosystem, name, version } = row;
  return {
    ...toInfo(row),
    repository,
    key,
    isFetched: row.upstream_url !== null,
    coordinates: ecosystem === null || name === null ? undefined : coordinatesOf({ ecosystem, name, version }),
  };
}
