import type { BlobInfo, Digest, Entry } from '@entrepot/core';
import { toEntry } from './entry-row.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';
import { isHeld, toInfo } from './unneeded.js';

/** The row of `meta` with the last pass. */
const PASS = 'verification';

/** Numbers of blobs, and the bytes of those that were read. */
export interface VerificationCounts {
  /** Blobs that were looked at. */
  readonly looked: number;
  /** Bytes that were read. */
  readonly bytes: number;
  /** Blobs whose bytes are other ones. */
  readonly damaged: number;
  /** Blobs that entries point at, and of which the store has none of this size. */
  readonly missing: number;
  /** Blobs that the store could not read. */
  readonly unreadable: number;
  /** Blobs that were damaged or missing, since whenever, and are right again. */
  readonly healed: number;
}

/** A pass over all blobs, as far as it has come. */
export interface VerificationPass extends VerificationCounts {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Milliseconds since the epoch. Absent: it is to be gone on with. */
  readonly endedAt?: number | undefined;
  /** The last digest that was looked at. */
  readonly after: string;
  /** The machine and the process that are at it. */
  readonly by: string;
}

/** The blobs of the catalogue for whoever verifies them, and how far that is. */
export class SqlVerificationStore extends SqlStore {
  /** The next blobs by digest that the store ought to have. */
  async page(after: string, limit: number): Promise<readonly BlobInfo[]> {
    const rows = await stored('look through the blobs', () =>
      this.database
        .selectFrom('blobs')
        .select(['digest', 'size'])
        .where('digest', '>', after)
        .where('state', 'in', ['live', 'found'])
        .orderBy('digest')
        .limit(limit)
        .execute(),
    );
    return rows.map(toInfo);
  }

  /** The next blobs by digest that are known to be damaged or missing. */
  async lost(after: string, limit: number): Promise<readonly BlobInfo[]> {
    const rows = await stored('look for damaged blobs', () =>
      this.database
        .selectFrom('blobs')
        .select(['digest', 'size'])
        .where('digest', '>', after)
        .where('state', '!=', 'live')
        .where('state', '=', 'damaged')
        .orderBy('digest')
        .limit(limit)
        .execute(),
    );
    return rows.map(toInfo);
  }

  /** Whether the store ought to have a blob by now: an entry points at it, and nobody is putting it. */
  async isExpected(digest: Digest, now: number): Promise<boolean> {
    const row = await stored('look at a blob', () =>
      this.database
        .selectFrom('blobs')
        .select('digest')
        .where('digest', '=', digest)
        .where((blob) =>
          blob.exists(blob.selectFrom('entries').select('key').whereRef('entries.digest', '=', 'blobs.digest')),
        )
        .where((blob) => blob.not(isHeld(blob, now)))
        .executeTakeFirst(),
    );
    return row !== undefined;
  }

  /** Notes that a blob which was damaged or missing is right. */
  async found(digest: Digest, now: number): Promise<void> {
    await stored('note a healed blob', () =>
      this.database
        .updateTable('blobs')
        .set({ state: 'live', since: now })
        .where('digest', '=', digest)
        .where('state', '=', 'damaged')
        .execute(),
    );
  }

  /** Entries that point at a blob. */
  async entriesOf(digest: Digest, limit: number): Promise<readonly Entry[]> {
    const rows = await stored('look for references', () =>
      this.database
        .selectFrom('entries')
        .selectAll()
        .where('digest', '=', digest)
        .orderBy('repository')
        .orderBy('key')
        .limit(limit)
        .execute(),
    );
    return rows.map(toEntry);
  }

  /** The number of entries of each repository whose blobs are damaged or missing. */
  async lostEntries(): Promise<readonly { readonly repository: string; readonly entries: number }[]> {
    const rows = await stored('count damaged blobs', () =>
      this.database
        .selectFrom('blobs')
        .innerJoin('entries', 'entries.digest', 'blobs.digest')
        .select(['entries.repository', ({ fn }) => fn.countAll<number>().as('entries')])
        .where('blobs.state', '!=', 'live')
        .where('blobs.state', '=', 'damaged')
        .groupBy('entries.repository')
        .execute(),
    );
    return rows.map(({ repository, entries }) => ({ repository, entries: Number(entries) }));
  }

  /** The last pass; `undefined` before the first one. */
  async pass(): Promise<VerificationPass | undefined> {
    const row = await stored('read the state of the verification', () =>
      this.database.selectFrom('meta').select('value').where('name', '=', PASS).executeTakeFirst(),
    );
    return row && (JSON.parse(row.value) as VerificationPass);
  }

  async savePass(pass: VerificationPass): Promise<void> {
    const value = JSON.stringify(pass);
    await stored('note the state of the verification', () =>
      this.database
        .insertInto('meta')
        .values({ name: PASS, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
        .execute(),
    );
  }
}
