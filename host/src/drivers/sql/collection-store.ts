import type { BlobInfo, Digest } from '@entrepot/core';
import { slices } from '../slices.js';
import { HOLD_TIME } from './blob-catalogue.js';
import { LONGEST_TERM } from './leases.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';
import { type Blobs, condemn, toInfo, unneeded, WIDTH } from './unneeded.js';

/** The time after which somebody else goes on with a deletion, in milliseconds. */
export const DELETION_LEASE = 60_000;

/** The lease of whoever copies the store: nothing is deleted meanwhile. */
export const COPYING = 'copying';

/** A page of blobs that were looked at. */
export interface Looked {
  readonly count: number;
  /** Kept although nobody needs them. */
  readonly unneeded: readonly BlobInfo[];
  /** Of those, blobs that were found in the store without a row. */
  readonly found: number;
  /** Condemned although somebody needs them again. */
  readonly needed: readonly Digest[];
  /** The last digest of the page; `undefined` after the last page. */
  readonly last: string | undefined;
}

/** Blobs that nobody needs: condemned, then taken, then forgotten when they are deleted. */
export class SqlCollectionStore extends SqlStore {
  /**
   * Looks at the next `limit` blobs after `after`.
   * @param foundBefore blobs that were found without a row count as unneeded if that was before
   */
  async look(after: string, limit: number, now: number, foundBefore: number): Promise<Looked> {
    const page = await stored('look through the blobs', () =>
      this.database
        .selectFrom('blobs')
        .select(['digest', 'size', 'state', 'since'])
        .select((row) => unneeded(now)(row).as('unneeded'))
        .where('digest', '>', after)
        .orderBy('digest')
        .limit(limit)
        .execute(),
    );
    const isOld = (row: (typeof page)[number]) => row.state !== 'found' || Number(row.since) < foundBefore;
    const isKept = (row: (typeof page)[number]) => row.state !== 'condemned' && row.state !== 'deleting';
    const unneededRows = page.filter((row) => Boolean(row.unneeded) && isKept(row) && isOld(row));
    const needed = page.filter((row) => !row.unneeded && (row.state === 'condemned' || row.state === 'found'));
    return {
      count: page.length,
      unneeded: unneededRows.map(toInfo),
      found: unneededRows.filter(({ state }) => state === 'found').length,
      needed: needed.map(({ digest }) => digest as Digest),
      last: page.length < limit ? undefined : page.at(-1)?.digest,
    };
  }

  /** Condemns those of `digests` that nobody needs. @returns them */
  condemn(digests: readonly Digest[], now: number): Promise<readonly BlobInfo[]> {
    return stored('condemn blobs', () => condemn(this.database, digests, now));
  }

  /** Lets live those of `digests` that somebody needs again. */
  async rescue(digests: readonly Digest[], now: number): Promise<void> {
    for (const part of slices(digests, WIDTH)) {
      await stored('keep blobs', () =>
        this.database
          .updateTable('blobs')
          .set({ state: 'live', since: now })
          .where('digest', 'in', part)
          .where('state', 'in', ['condemned', 'found'])
          .where((row) => row.not(unneeded(now)(row)))
          .execute(),
      );
    }
  }

  /**
   * Takes condemned blobs, which nobody can put or name from then on until `deleted`.
   * @param choice those that were condemned before a time, or these. A deletion that nobody goes on with is taken, too
   */
  async take(
    choice: { readonly before: number; readonly limit: number } | { readonly digests: readonly Digest[] },
    now: number,
  ): Promise<readonly BlobInfo[]> {
    const chosen = 'digests' in choice ? choice.digests : await this.#condemnedBefore(choice, now);
    const taken: BlobInfo[] = [];
    for (const part of slices(chosen, WIDTH)) {
      const rows = await stored('take blobs that are to be deleted', () =>
        this.database
          .updateTable('blobs')
          .set({ state: 'deleting', since: now })
          .where('digest', 'in', part)
          .where(({ eb, or, and }) =>
            or([
              eb('state', '=', 'condemned'),
              and([eb('state', '=', 'deleting'), eb('since', '<', now - DELETION_LEASE)]),
            ]),
          )
          .where(unneeded(now))
          .where(isNobodyCopying(now))
          .returning(['digest', 'size'])
          .execute(),
      );
      taken.push(...rows.map(toInfo));
    }
    return taken;
  }

  async #condemnedBefore(
    { before, limit }: { readonly before: number; readonly limit: number },
    now: number,
  ): Promise<readonly string[]> {
    const rows = await stored('look for condemned blobs', () =>
      this.database
        .selectFrom('blobs')
        .select('digest')
        .where('state', '!=', 'live')
        .where(({ eb, or, and }) =>
          or([
            and([eb('state', '=', 'condemned'), eb('since', '<=', before)]),
            and([eb('state', '=', 'deleting'), eb('since', '<', now - DELETION_LEASE)]),
          ]),
        )
        .limit(limit)
        .execute(),
    );
    return rows.map(({ digest }) => digest);
  }

  /** Whether some process is about to put a blob, or to name it. */
  async isHeld(digest: Digest, now: number): Promise<boolean> {
    const hold = await stored('look for holds', () =>
      this.database
        .selectFrom('holds')
        .select('id')
        .where('digest', '=', digest)
        .where('until', '>', now)
        .executeTakeFirst(),
    );
    return hold !== undefined;
  }

  /** Forgets blobs that were taken and are deleted. */
  async deleted(digests: readonly Digest[]): Promise<void> {
    for (const part of slices(digests, WIDTH)) {
      await stored('forget deleted blobs', () =>
        this.database.deleteFrom('blobs').where('digest', 'in', part).where('state', '=', 'deleting').execute(),
      );
    }
  }

  /** Removes holds that nobody released, and dates what a clock that was ahead has noted as of now. */
  async tidy(now: number): Promise<void> {
    await stored('remove old holds', () =>
      this.database
        .deleteFrom('holds')
        .where(({ eb, or }) => or([eb('until', '<', now), eb('until', '>', now + 2 * HOLD_TIME)]))
        .execute(),
    );
    await stored('date condemned blobs', () =>
      this.database
        .updateTable('blobs')
        .set({ since: now })
        .where('state', '!=', 'live')
        .where('since', '>', now + DELETION_LEASE)
        .execute(),
    );
  }
}

function isNobodyCopying(now: number) {
  return (row: Blobs) =>
    row.not(
      row.exists(
        row
          .selectFrom('leases')
          .select('name')
          .where('name', '=', COPYING)
          .where('until', '>', now)
          .where('until', '<', now + LONGEST_TERM),
      ),
    );
}
