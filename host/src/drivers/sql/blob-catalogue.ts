import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { BlobCatalogue, BlobHold, BlobInfo, Clock, Digest } from '@entrepot/core';
import { EntrepotError } from '@entrepot/core';
import type { Kysely } from 'kysely';
import { slices } from '../slices.js';
import { compiledOnce } from './compiled-once.js';
import { GroupCommit } from './group-commit.js';
import type { Schema } from './schema.js';
import { SqlStore } from './sql-store.js';
import { stored, storedWithin } from './stored.js';
import { withoutSync } from './without-sync.js';

/** The number of holds that are committed together. */
const GROUP = 100;
/** The number of digests in one statement. */
const WIDTH = 200;
/** The time after which a hold ends by itself, in milliseconds. */
export const HOLD_TIME = 600_000;
/** The longest wait for a blob that is being deleted, and the pause between two looks at it; milliseconds. */
const DELETION_PATIENCE = 10_000;
const DELETION_PAUSE = 20;

/** The catalogue of blobs in a SQL database. */
export class SqlBlobCatalogue extends SqlStore implements BlobCatalogue {
  readonly holdTime = HOLD_TIME;
  readonly #clock: Clock;
  /** Names the holds of this process. */
  readonly #owner = randomUUID();
  #holds = 0;
  /** Holds that have ended. They are removed with the next ones that are made. */
  #released: string[] = [];
  readonly #holding = new GroupCommit(GROUP, (blobs: readonly BlobInfo[]) => this.#holdAll(blobs));

  constructor(database: Kysely<Schema>, clock: Clock) {
    super(database);
    this.#clock = clock;
  }

  async hold(_repository: string, blob: BlobInfo): Promise<BlobHold> {
    const deadline = this.#clock.monotonic() + DELETION_PATIENCE;
    for (;;) {
      const hold = await storedWithin('write', 'hold a blob', () => this.#holding.add(blob));
      if (hold !== undefined) return hold;
      if (this.#clock.monotonic() > deadline) throw beingDeleted(blob.digest);
      await pause(DELETION_PAUSE);
    }
  }

  release({ id }: BlobHold): void {
    this.#released.push(id);
  }

  async visited(digests: readonly Digest[]): Promise<void> {
    for (const part of slices(digests, WIDTH)) {
      await this.transaction('note which blobs were served', async (transaction) => {
        await withoutSync(transaction);
        await transaction
          .updateTable('blobs')
          .set({ visited: 1 })
          .where('digest', 'in', part)
          .where('visited', '=', 0)
          .execute();
      });
    }
  }

  async damaged(digest: Digest): Promise<void> {
    await stored('note a damaged blob', () =>
      this.database
        .updateTable('blobs')
        .set({ state: 'damaged', since: this.#clock.now() })
        .where('digest', '=', digest)
        .where('state', '!=', 'deleting')
        .execute(),
    );
  }

  /** Removes the holds that have ended, where nobody has made one meanwhile. */
  async flush(): Promise<void> {
    const released = this.#takeReleased();
    if (released.length === 0) return;
    const removing = this.transaction('release blobs', async (transaction) => {
      await withoutSync(transaction);
      await this.#remove(transaction, released);
    });
    await this.#orKeep(released, removing);
  }

  /** Tries again later to remove holds where that failed. */
  async #orKeep<Result>(released: readonly string[], removing: Promise<Result>): Promise<Result> {
    try {
      return await removing;
    } catch (error) {
      this.#released.push(...released);
      throw error;
    }
  }

  #takeReleased(): readonly string[] {
    const released = this.#released;
    this.#released = [];
    return released;
  }

  /** @returns for each of `blobs` a hold; `undefined` where it is being deleted */
  async #holdAll(blobs: readonly BlobInfo[]): Promise<readonly (BlobHold | undefined)[]> {
    const released = this.#takeReleased();
    const now = this.#clock.now();
    // One order for everybody: two transactions that wait for each other never end.
    const wanted = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()].sort(byDigest);
    const holding = this.database.transaction().execute(async (transaction) => {
      // The entry waits for the disk, and with it all that was written before. Without one, the bytes are found by a listing.
      await withoutSync(transaction);
      const added = await this.#add(transaction, wanted, now);
      const known = wanted.filter(({ digest }) => !added.has(digest));
      const kept = await this.#keep(transaction, known, now);
      const holds = blobs.map(({ digest }) => {
        if (!added.has(digest) && !kept.has(digest)) return undefined;
        this.#holds += 1;
        return { digest, id: `${this.#owner} ${this.#holds}`, isNew: added.has(digest) };
      });
      const rows = holds.flatMap((hold) => hold ?? []);
      if (rows.length > 0) await this.#insert(transaction, rows, now + HOLD_TIME);
      if (released.length > 0) await this.#remove(transaction, released);
      return holds;
    });
    return await this.#orKeep(released, holding);
  }

  /** @returns those that were not there */
  async #add(transaction: Kysely<Schema>, blobs: readonly BlobInfo[], now: number): Promise<ReadonlySet<string>> {
    const rows = blobs.map(({ digest, size }) => ({
      digest,
      size,
      state: 'live' as const,
      seq: now,
      visited: 0,
      since: now,
    }));
    const { rows: added } = await compiledOnce(
      transaction,
      `add blobs ${rows.length}`,
      () =>
        transaction
          .insertInto('blobs')
          .values(rows)
          .onConflict((conflict) => conflict.column('digest').doNothing())
          .returning('digest'),
      rows.flatMap((row) => Object.values(row)),
    );
    return new Set(added.map(({ digest }) => digest));
  }

  /** Lets blobs that were there live. @returns those that are not being deleted */
  async #keep(transaction: Kysely<Schema>, blobs: readonly BlobInfo[], now: number): Promise<ReadonlySet<string>> {
    if (blobs.length === 0) return new Set();
    const kept = await transaction
      .updateTable('blobs')
      .set({ state: 'live', since: now, visited: 1 })
      .where(
        'digest',
        'in',
        blobs.map(({ digest }) => digest),
      )
      .where('state', '!=', 'deleting')
      .returning('digest')
      .execute();
    return new Set(kept.map(({ digest }) => digest));
  }

  async #insert(
    transaction: Kysely<Schema>,
    holds: readonly { readonly id: string; readonly digest: string }[],
    until: number,
  ): Promise<void> {
    const rows = holds.map(({ id, digest }) => ({ id, digest, until }));
    await compiledOnce(
      transaction,
      `insert holds ${rows.length}`,
      () => transaction.insertInto('holds').values(rows),
      rows.flatMap((row) => Object.values(row)),
    );
  }

  async #remove(database: Kysely<Schema>, ids: readonly string[]): Promise<void> {
    for (const part of slices(ids, WIDTH)) await database.deleteFrom('holds').where('id', 'in', part).execute();
  }
}

function byDigest(one: BlobInfo, other: BlobInfo): number {
  return one.digest < other.digest ? -1 : 1;
}

function beingDeleted(digest: Digest): EntrepotError {
  return new EntrepotError(
    'storage',
    `${digest} is being deleted, and was not gone within ${DELETION_PATIENCE} ms; try again in a minute`,
    { code: 'BLOB_BEING_DELETED', status: 503, retryAfter: 60 },
  );
}
