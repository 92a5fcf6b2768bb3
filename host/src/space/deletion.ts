import type { BlobInfo, BlobStore, Clock, Digest, Logger } from '@entrepot/core';
import { Limiter } from '@entrepot/core/formats';
import { DELETION_LEASE, type SqlCollectionStore } from '../drivers/sql/collection-store.js';

/** The number of blobs that are deleted at once. */
const WIDTH = 8;

/** Blobs that were deleted. */
export interface Deleted {
  readonly blobs: number;
  readonly bytes: number;
}

/** Deletes condemned blobs: takes their rows, deletes the bytes, forgets the rows. */
export class Deletion {
  readonly #store: SqlCollectionStore;
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onDeleted: (deleted: Deleted) => void;
  readonly #limiter = new Limiter(WIDTH);

  constructor(
    store: SqlCollectionStore,
    blobs: BlobStore,
    clock: Clock,
    logger: Logger,
    onDeleted: (deleted: Deleted) => void = () => {},
  ) {
    this.#store = store;
    this.#blobs = blobs;
    this.#clock = clock;
    this.#logger = logger;
    this.#onDeleted = onDeleted;
  }

  /**
   * Deletes blobs that were condemned.
   * @param choice those that were condemned before a time, `limit` at the most, or these
   */
  async run(choice: Parameters<SqlCollectionStore['take']>[0]): Promise<Deleted> {
    const takenAt = this.#clock.monotonic();
    const taken = await this.#store.take(choice, this.#clock.now());
    const deleted = (await Promise.all(taken.map((blob) => this.#delete(blob, takenAt)))).filter(
      (blob) => blob !== undefined,
    );
    await this.#store.deleted(deleted.map(({ digest }) => digest));
    const sum = { blobs: deleted.length, bytes: deleted.reduce((sum, { size }) => sum + size, 0) };
    this.#onDeleted(sum);
    return sum;
  }

  async #delete(blob: BlobInfo, takenAt: number): Promise<BlobInfo | undefined> {
    const release = await this.#limiter.acquire();
    try {
      // A process that slept may not be the one any more that deletes it: somebody else goes on with what is left.
      if (this.#clock.monotonic() - takenAt > DELETION_LEASE / 2) return undefined;
      await this.#blobs.delete(blob.digest);
      return blob;
    } catch (error) {
      this.#logger.warn({ error, digest: blob.digest }, 'a blob could not be deleted; it is tried again');
      return undefined;
    } finally {
      release();
    }
  }
}

/** Why blobs are deleted: for want of room, since nobody needs them, or on demand. */
export type DeletedBecause = 'evicted' | 'collected' | 'purged';

/** Told of blobs that were deleted. Must be quick and must not throw. */
export interface DeletionObserver {
  blobsDeleted(why: DeletedBecause, deleted: Deleted): void;
  /** Told of the number of unfinished uploads that were removed. */
  unfinishedRemoved(count: number): void;
}

/** Adds up. */
export function sumOf(one: Deleted, other: Deleted): Deleted {
  return { blobs: one.blobs + other.blobs, bytes: one.bytes + other.bytes };
}

export const NOTHING: Deleted = { blobs: 0, bytes: 0 };

/** The digests of entries, each once. */
export function digestsOf(entries: readonly { readonly digest: Digest }[]): readonly Digest[] {
  return [...new Set(entries.map(({ digest }) => digest))];
}
