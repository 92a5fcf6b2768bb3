import type { BlobCatalogue, BlobHold } from '../../api/blob-catalogue.js';
import type { BlobInfo, BlobStore } from '../../api/blob-store.js';
import type { Clock } from '../../api/clock.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { blobMissing } from './blob-missing.js';

/** A catalogue of a store from which nothing is ever deleted. */
export const NO_CATALOGUE: BlobCatalogue = {
  holdTime: Infinity,
  hold: async () => ({ id: '', isNew: false }),
  release: () => {},
  visited: async () => {},
  damaged: async () => {},
};

interface Held {
  readonly hold: BlobHold;
  /** On the monotonic clock. */
  readonly at: number;
}

/**
 * The holds of this process. Whoever puts a blob leaves its hold here; whoever puts the entry takes it, and releases it afterwards.
 * One that nobody takes ends by itself.
 */
export class BlobHolds {
  readonly catalogue: BlobCatalogue;
  readonly #store: BlobStore;
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #left = new Map<string, Held[]>();

  constructor(catalogue: BlobCatalogue, store: BlobStore, clock: Clock) {
    this.catalogue = catalogue;
    this.#store = store;
    this.#clock = clock;
  }

  /** Holds a blob while `put` stores it, and until its entry has been put. */
  async putting(repository: string, blob: BlobInfo, put: () => Promise<void>): Promise<void> {
    let held = await this.#hold(repository, blob);
    try {
      for (;;) {
        await put();
        if (this.#isGood(held)) break;
        // It took so long that the hold may have ended, and the bytes be deleted: they are looked for under a new one.
        const renewed = await this.#hold(repository, blob);
        this.catalogue.release(held.hold);
        held = renewed;
        if ((await this.#store.stat(blob.digest)) !== undefined) break;
      }
    } catch (error) {
      this.catalogue.release(held.hold);
      throw error;
    }
    this.#leave(repository, blob.digest, held);
  }

  /** Holds a blob while `put` stores it again. Afterwards the entries that point at it keep it. */
  async restoring(repository: string, blob: BlobInfo, put: () => Promise<void>): Promise<void> {
    const { hold } = await this.#hold(repository, blob);
    try {
      await put();
    } finally {
      this.catalogue.release(hold);
    }
  }

  /**
   * Holds the blobs of `entries` while they are put.
   * @throws EntrepotError `storage` with the code `BLOB_MISSING` when one of them was deleted before
   */
  async naming<Result>(entries: readonly Entry[], put: () => Promise<Result>): Promise<Result> {
    const holds: BlobHold[] = [];
    try {
      const taking = entries.map(async (entry) => {
        const hold = await this.#take(entry);
        holds.push(hold);
        if (hold.isNew && (await this.#store.stat(entry.digest)) === undefined) throw blobMissing(`of ${entry.key}`);
      });
      await allSettledOrThrow(taking);
      return await put();
    } finally {
      for (const hold of holds) this.catalogue.release(hold);
    }
  }

  /** Ends the hold that was left for a blob: no entry is put, since the one that is kept points at it. */
  drop(repository: string, digest: Digest): void {
    const held = this.#takeLeft(repository, digest);
    if (held !== undefined) this.catalogue.release(held.hold);
  }

  /** Takes the hold that was left for the blob of an entry, or a new one. */
  async #take(entry: Entry): Promise<BlobHold> {
    const held = this.#takeLeft(entry.repository, entry.digest);
    if (held !== undefined && this.#isGood(held)) return { ...held.hold, isNew: false };
    if (held !== undefined) this.catalogue.release(held.hold);
    return (await this.#hold(entry.repository, entry)).hold;
  }

  #takeLeft(repository: string, digest: Digest): Held | undefined {
    const name = nameOf(repository, digest);
    const left = this.#left.get(name);
    const held = left?.pop();
    if (left?.length === 0) this.#left.delete(name);
    return held;
  }

  async #hold(repository: string, blob: BlobInfo): Promise<Held> {
    const at = this.#clock.monotonic();
    const { digest, size } = blob;
    return { hold: await this.catalogue.hold(repository, { digest, size }), at };
  }

  #isGood({ at }: Held): boolean {
    return this.#clock.monotonic() - at < this.catalogue.holdTime / 2;
  }

  #leave(repository: string, digest: Digest, held: Held): void {
    this.#endOld();
    const name = nameOf(repository, digest);
    const left = this.#left.get(name) ?? [];
    left.push(held);
    this.#left.set(name, left);
  }

  /** Ends holds whose entry never came. */
  #endOld(): void {
    for (const [name, left] of this.#left) {
      const [oldest] = left;
      if (oldest !== undefined && this.#isGood(oldest)) return;
      this.#left.delete(name);
      const good = left.filter((held) => this.#isGood(held));
      if (good.length > 0) this.#left.set(name, good);
      for (const held of left) if (!good.includes(held)) this.catalogue.release(held.hold);
    }
  }
}

function nameOf(repository: string, digest: Digest): string {
  return `${repository}\n${digest}`;
}

/** Waits for all of `work`, and then throws what failed first: none of it goes on unseen. */
async function allSettledOrThrow(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
