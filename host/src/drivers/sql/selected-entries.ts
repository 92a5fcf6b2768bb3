import { setImmediate as turn } from 'node:timers/promises';
import type { BlobInfo, Digest, PackageCoordinates } from '@entrepot/core';
import { sql } from 'kysely';
import { slices } from '../slices.js';
import { KEPT, type KeptEntry, toKept } from './eviction-store.js';
import { prefixRange } from './prefix-range.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';
import { condemn, WIDTH } from './unneeded.js';

/** The number of entries that are removed in one turn of the event loop. */
const REMOVED_AT_ONCE = 50;

/** A place in the order of entries: by repository, then by key. */
export interface EntryPlace {
  readonly repository: string;
  readonly key: string;
}

/** The name of an entry, and its bytes. */
export type NamedBlob = Pick<KeptEntry, 'repository' | 'key' | 'digest'>;

/** Reads the entries that somebody named, and removes them. */
export class SqlSelectedEntries extends SqlStore {
  async withKeys(repository: string, keys: readonly string[]): Promise<readonly KeptEntry[]> {
    const found: KeptEntry[] = [];
    for (const part of slices(keys, WIDTH)) {
      const rows = await stored('read entries', () =>
        this.database
          .selectFrom('entries')
          .select(KEPT)
          .where('repository', '=', repository)
          .where('key', 'in', part)
          .execute(),
      );
      found.push(...rows.map(toKept));
    }
    return found;
  }

  /** The entries of a name, of whatever version, in no particular order. */
  async ofName({ ecosystem, name }: PackageCoordinates, limit: number): Promise<readonly KeptEntry[]> {
    const rows = await stored('read the entries of a package', () =>
      this.database
        .selectFrom('entries')
        .select(KEPT)
        .where(({ and }) => and({ ecosystem, name }))
        .limit(limit)
        .execute(),
    );
    return rows.map(toKept);
  }

  /** The next entries of a repository whose key begins with `prefix`, by key. @param after the last key of the page before */
  async ofRepository(
    repository: string,
    prefix: string,
    after: string | undefined,
    limit: number,
  ): Promise<readonly KeptEntry[]> {
    const { from, inclusive, below } = prefixRange(prefix, after);
    const rows = await stored('read entries', () =>
      this.database
        .selectFrom('entries')
        .select(KEPT)
        .where('repository', '=', repository)
        .where('key', inclusive ? '>=' : '>', from)
        .$if(below !== undefined, (query) => query.where('key', '<', below as string))
        .orderBy('key')
        .limit(limit)
        .execute(),
    );
    return rows.map(toKept);
  }

  /** The next entries of all repositories, by repository and key. */
  async ofAll({ repository, key }: EntryPlace, limit: number): Promise<readonly KeptEntry[]> {
    const rows = await stored('read entries', () =>
      this.database
        .selectFrom('entries')
        .select(KEPT)
        .where(sql<boolean>`(repository, key) > (${repository}, ${key})`)
        .orderBy('repository')
        .orderBy('key')
        .limit(limit)
        .execute(),
    );
    return rows.map(toKept);
  }

  /** The number of entries that point at each of `digests`. */
  async references(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, number>> {
    const found = new Map<Digest, number>();
    for (const part of slices(digests, WIDTH)) {
      const rows = await stored('count references', () =>
        this.database
          .selectFrom('entries')
          .select(['digest', ({ fn }) => fn.countAll<number>().as('amount')])
          .where('digest', 'in', part)
          .groupBy('digest')
          .execute(),
      );
      for (const { digest, amount } of rows) found.set(digest as Digest, Number(amount));
    }
    return found;
  }

  /**
   * Removes the entries of these names, whatever bytes they have now, and condemns the blobs that nobody needs any more.
   * @returns what is gone; names that were gone before are left out
   */
  async remove(
    entries: readonly EntryPlace[],
    now: number,
  ): Promise<{ readonly removed: readonly NamedBlob[]; readonly condemned: readonly BlobInfo[] }> {
    return await this.transaction('purge entries', async (transaction) => {
      const removed: NamedBlob[] = [];
      for (const [repository, own] of Map.groupBy(entries, ({ repository }) => repository)) {
        for (const part of slices(own, REMOVED_AT_ONCE)) {
          const keys = part.map(({ key }) => key);
          const rows = await transaction
            .deleteFrom('entries')
            .where('repository', '=', repository)
            .where('key', 'in', keys)
            .returning(['key', 'digest'])
            .execute();
          removed.push(...rows.map(({ key, digest }) => ({ repository, key, digest: digest as Digest })));
          // An embedded database works on the event loop.
          await turn();
        }
      }
      const digests = new Set(removed.map(({ digest }) => digest));
      // One order for everybody: two transactions that wait for each other never end.
      return { removed, condemned: await condemn(transaction, [...digests].sort(), now) };
    });
  }
}
