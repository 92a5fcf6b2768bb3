import { setTimeout as pause } from 'node:timers/promises';
import { type BlobStore, type Clock, type Logger, messageOf } from '@entrepot/core';
import type { SqlBlobInventory } from '../drivers/sql/blob-inventory.js';
import type { SqlCollectionStore } from '../drivers/sql/collection-store.js';
import { type Deleted, type Deletion, NOTHING, sumOf } from './deletion.js';
import { type RemovalOptions, removeUnfinished, type UnfinishedServices } from './unfinished.js';

/** After a batch the collector waits so many times as long as it took: everybody else comes first. */
const PAUSE_FACTOR = 4;
/** The longest pause, in milliseconds. */
const MAX_PAUSE = 1_000;
/** Blobs without a row are older than this before they go, in milliseconds. */
const FOUND_GRACE = 24 * 3_600_000;
/** The largest part of all blobs that may go because it was found without a row. */
const MOST_FOUND = 0.2;

export interface CollectOptions {
  /** Tells what would go, and changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** The number of blobs that are looked at together. */
  readonly batchSize: number;
  /** The time between condemning and deleting, in milliseconds. */
  readonly grace: number;
  /** Lists the store as well, to find blobs without a row. */
  readonly reconcile?: boolean | undefined;
  /** Lets more than a fifth of all blobs go for having had no row. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((report: Collected) => void) | undefined;
}

/** The report of the collector. Every number is of this run. */
export interface Collected {
  /** Blobs that were looked at. */
  readonly looked: number;
  /** Blobs that nobody needs; they are deleted after the grace. */
  readonly condemned: Deleted;
  /** Condemned blobs that somebody needs again. */
  readonly rescued: number;
  /** Blobs that were deleted, which earlier runs had condemned. */
  readonly deleted: Deleted;
  /** Blobs that the store has and the catalogue had not, as this run found them. */
  readonly found: number;
  /** Uploads that processes which are no more have left unfinished in the store, and that were removed. */
  readonly unfinished: number;
  /** Why the store could not be asked for those. */
  readonly unfinishedLeft?: string | undefined;
  /** Why blobs without a row were left alone. */
  readonly left?: string | undefined;
}

export interface CollectorServices {
  readonly store: SqlCollectionStore;
  readonly inventory: SqlBlobInventory;
  readonly deletion: Deletion;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Deletes what nobody needs. Safe beside servers and other collectors; a run that ends early is gone on with by the next one. */
export class Collector {
  readonly #store: SqlCollectionStore;
  readonly #inventory: SqlBlobInventory;
  readonly #deletion: Deletion;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #unfinished: UnfinishedServices;

  constructor({ store, inventory, deletion, blobs, clock, logger }: CollectorServices) {
    this.#unfinished = { blobs, clock, isHeld: (digest, now) => store.isHeld(digest, now) };
    this.#store = store;
    this.#inventory = inventory;
    this.#deletion = deletion;
    this.#clock = clock;
    this.#logger = logger;
  }

  async run(options: CollectOptions): Promise<Collected> {
    const { dryRun = false, reconcile = false } = options;
    let report: Collected = { looked: 0, condemned: NOTHING, rescued: 0, deleted: NOTHING, found: 0, unfinished: 0 };
    const note = (change: Partial<Collected>): void => {
      report = { ...report, ...change };
      options.progress?.(report);
    };
    await this.#store.tidy(this.#clock.now());
    if (reconcile || !(await this.#inventory.isReconciled())) {
      note({ found: await this.#inventory.reconcile(this.#clock.now(), dryRun, options.signal) });
    }
    const { foundBefore, left } = await this.#foundBefore(options.force === true);
    if (left !== undefined) note({ left });
    for (let after: string | undefined = ''; after !== undefined;) {
      const startedAt = this.#clock.monotonic();
      const now = this.#clock.now();
      const { count, unneeded, needed, last } = await this.#store.look(after, options.batchSize, now, foundBefore);
      const digests = unneeded.map(({ digest }) => digest);
      const condemned = dryRun ? unneeded : await this.#store.condemn(digests, now);
      if (!dryRun) await this.#store.rescue(needed, now);
      const bytes = condemned.reduce((sum, { size }) => sum + size, 0);
      note({
        looked: report.looked + count,
        condemned: sumOf(report.condemned, { blobs: condemned.length, bytes }),
        rescued: report.rescued + needed.length,
      });
      after = last;
      await this.#breathe(startedAt, options.signal);
    }
    if (!dryRun) {
      await this.#deleteAll(options, (deleted) => note({ deleted: sumOf(report.deleted, deleted) }));
    }
    const onRemoved = (): void => note({ unfinished: report.unfinished + 1 });
    note(await this.#removeUnfinished({ dryRun, signal: options.signal, onRemoved }));
    return report;
  }

  /** What is left of uploads only costs room: that it cannot be removed is no reason to fail. */
  async #removeUnfinished(options: RemovalOptions): Promise<Pick<Collected, 'unfinishedLeft'>> {
    try {
      await removeUnfinished(this.#unfinished, options);
      return {};
    } catch (error) {
      options.signal?.throwIfAborted();
      return { unfinishedLeft: `uploads that were left unfinished could not be removed: ${messageOf(error)}` };
    }
  }

  async #deleteAll({ grace, signal }: CollectOptions, note: (deleted: Deleted) => void): Promise<void> {
    for (;;) {
      const startedAt = this.#clock.monotonic();
      const deleted = await this.#deletion.run({ before: this.#clock.now() - grace, limit: DELETED_AT_ONCE });
      if (deleted.blobs === 0) return;
      note(deleted);
      await this.#breathe(startedAt, signal);
    }
  }

  /** The time before which blobs must have been found to go. */
  async #foundBefore(force: boolean): Promise<{ readonly foundBefore: number; readonly left?: string }> {
    const { found, all } = await this.#inventory.counts();
    if (force || found <= all * MOST_FOUND) return { foundBefore: this.#clock.now() - FOUND_GRACE };
    const left = `${found} of ${all} blobs had no row in the database, which is more than a fifth: the database may be an old one, or that of another store. They are left alone; --force deletes them`;
    this.#logger.warn({ found, all }, left);
    return { foundBefore: -Infinity, left };
  }

  /** Waits for a while that depends on how long the batch took. */
  async #breathe(startedAt: number, signal: AbortSignal | undefined): Promise<void> {
    const took = this.#clock.monotonic() - startedAt;
    await pause(Math.min(MAX_PAUSE, took * PAUSE_FACTOR), undefined, { signal, ref: true });
  }
}

/** The number of blobs that are deleted between two pauses. */
const DELETED_AT_ONCE = 50;
