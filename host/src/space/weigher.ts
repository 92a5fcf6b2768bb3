import type { Digest } from '@entrepot/core';
import type { KeptEntry } from '../drivers/sql/eviction-store.js';
import type { SqlSelectedEntries } from '../drivers/sql/selected-entries.js';
import { type Deleted, digestsOf, NOTHING, sumOf } from './deletion.js';

/** Tells which blobs go with entries that would be removed: those at which no other entry points. */
export class Weigher {
  readonly #store: Pick<SqlSelectedEntries, 'references'>;
  /** The number of entries that point at a blob and have not come yet. */
  readonly #left = new Map<Digest, number>();

  constructor(store: Pick<SqlSelectedEntries, 'references'>) {
    this.#store = store;
  }

  /** Counts entries, each once. @returns the blobs that would go with those that came so far, and were not told yet */
  async add(going: readonly Pick<KeptEntry, 'digest' | 'size'>[]): Promise<Deleted> {
    const unknown = digestsOf(going).filter((digest) => !this.#left.has(digest));
    for (const [digest, amount] of await this.#store.references(unknown)) this.#left.set(digest, amount);
    let deleted = NOTHING;
    for (const { digest, size } of going) {
      const left = (this.#left.get(digest) ?? 1) - 1;
      if (left > 0) this.#left.set(digest, left);
      else {
        this.#left.delete(digest);
        deleted = sumOf(deleted, { blobs: 1, bytes: size });
      }
    }
    return deleted;
  }
}
