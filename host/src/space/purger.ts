import type { Clock, Digest, Entry } from '@entrepot/core';
import type { HostedCleanup } from '@entrepot/core/engine';
import type { SqlCollectionStore } from '../drivers/sql/collection-store.js';
import type { KeptEntry } from '../drivers/sql/eviction-store.js';
import type { SqlSelectedEntries } from '../drivers/sql/selected-entries.js';
import { type Deleted, type Deletion, digestsOf, NOTHING, sumOf } from './deletion.js';
import type { Protected } from './evictor.js';
import type { Memory } from './memory.js';
import { retireNamed } from './retire-named.js';
import { selectedPages } from './selected-pages.js';
import type { Selector } from './selector.js';
import { Weigher } from './weigher.js';

/** Why an entry is kept although it was named: it was uploaded, it is pinned, or something that stays needs it. */
export type KeptBecause = 'hosted' | 'pinned' | 'needed';

/** Limits of a purge: what it takes besides what upstreams have, and how. */
export interface PurgeOptions {
  /** Takes what was uploaded, too. */
  readonly hosted: boolean;
  /** Takes what is pinned, too. */
  readonly pinned: boolean;
  /** Tells what would go, and changes nothing. */
  readonly dryRun: boolean;
  /** The number of entries, or of versions in a hosted repository, that are removed together. */
  readonly batchSize: number;
  /** Ends it after the batch that it is at; what is gone is gone. */
  readonly signal?: AbortSignal | undefined;
  /** Told after each batch. */
  readonly progress?: ((soFar: Purged) => void) | undefined;
}

/** The report of a purge: what it removed, or would remove. */
export interface Purged {
  readonly entries: number;
  /** Blobs that nothing else points at, and that are deleted. */
  readonly blobs: number;
  /** Of those blobs. */
  readonly bytes: number;
  readonly kept: readonly { readonly why: KeptBecause; readonly count: number }[];
}

export const NOTHING_PURGED: Purged = { entries: 0, ...NOTHING, kept: [] };

export interface PurgerParts {
  readonly entries: SqlSelectedEntries;
  readonly collection: SqlCollectionStore;
  readonly deletion: Deletion;
  readonly kept: Omit<Protected, 'heldKeys'>;
  readonly memory: Memory;
  readonly clock: Clock;
}

/** Removes the entries that somebody named, in batches, and deletes their blobs at once. */
export class Purger {
  readonly #parts: PurgerParts;

  constructor(parts: PurgerParts) {
    this.#parts = parts;
  }

  run(selector: Selector, options: PurgeOptions): Promise<Purged> {
    return new Purge(this.#parts, selector, options).run();
  }
}

/** Entries that are gone, or would be, and the blobs that went with them. */
interface Gone {
  readonly entries: number;
  readonly deleted: Deleted;
}

type IsPinned = (entry: KeptEntry | Entry) => boolean;

class Purge {
  readonly #parts: PurgerParts;
  readonly #selector: Selector;
  readonly #options: PurgeOptions;
  readonly #weigher: Weigher;
  readonly #kept = new Map<KeptBecause, number>();
  /** Hosted repositories with named entries, which go version by version. */
  readonly #hosted = new Map<string, HostedCleanup>();
  #entries = 0;
  #deleted = NOTHING;

  constructor(parts: PurgerParts, selector: Selector, options: PurgeOptions) {
    this.#parts = parts;
    this.#selector = selector;
    this.#options = options;
    this.#weigher = new Weigher(parts.entries);
  }

  async run(): Promise<Purged> {
    for await (const page of this.#pages(this.#selector)) await this.#takePage(page);
    for (const [repository, cleanup] of this.#hosted) await this.#retire(repository, cleanup);
    return this.#report;
  }

  get #report(): Purged {
    const kept = Array.from(this.#kept, ([why, count]) => ({ why, count }));
    return { entries: this.#entries, ...this.#deleted, kept };
  }

  async *#pages(selector: Selector): AsyncGenerator<readonly KeptEntry[]> {
    const { batchSize, signal } = this.#options;
    for await (const page of selectedPages(this.#parts.entries, selector, batchSize)) {
      if (signal?.aborted === true) return;
      yield page;
    }
  }

  async #takePage(page: readonly KeptEntry[]): Promise<void> {
    const { hosted } = this.#options;
    const isPinned = await this.#isPinned();
    const proxied: KeptEntry[] = [];
    const uploaded: KeptEntry[] = [];
    for (const entry of page) {
      const isProxied = this.#parts.kept.isProxy(entry.repository) ?? entry.isFetched;
      const cleanup = isProxied ? undefined : this.#parts.memory.cleanupOf(entry.repository);
      if (!isProxied && !hosted) this.#keep('hosted');
      else if (cleanup !== undefined) this.#hosted.set(entry.repository, cleanup);
      else if (isPinned(entry)) this.#keep('pinned');
      else (isProxied ? proxied : uploaded).push(entry);
    }
    if (this.#options.dryRun) await this.#weigh([...proxied, ...uploaded]);
    else {
      this.#count(await this.#remove(proxied));
      this.#count(await this.#removeUploaded(uploaded));
    }
    this.#options.progress?.(this.#report);
  }

  async #remove(going: readonly KeptEntry[]): Promise<Gone> {
    if (going.length === 0) return { entries: 0, deleted: NOTHING };
    const { clock, deletion, entries, memory } = this.#parts;
    const { removed, condemned } = await entries.remove(going, clock.now());
    memory.forget(removed);
    return { entries: removed.length, deleted: await deletion.run({ digests: digestsOf(condemned) }) };
  }

  /** Removes uploads of a format that has no removal of versions, or of a repository that is not served any more. */
  async #removeUploaded(going: readonly KeptEntry[]): Promise<Gone> {
    for (const [repository, own] of Map.groupBy(going, ({ repository }) => repository)) {
      const remove = own.map(({ key }) => key);
      await this.#parts.memory.entries.change({ repository, expect: [], put: [], remove });
    }
    return { entries: going.length, deleted: await this.#deleteBlobs(digestsOf(going)) };
  }

  /** Removes versions with all that is there for their sake, as clients do, so that nothing names what is gone. */
  async #retire(repository: string, cleanup: HostedCleanup): Promise<void> {
    const { dryRun, batchSize, pinned, progress, signal } = this.#options;
    const gone = new Set<string>();
    const isPinned = pinned ? undefined : await this.#isPinned();
    const retiring = retireNamed(cleanup, { repository, selector: this.#selector, dryRun, batchSize, isPinned });
    for await (const removed of retiring) {
      for (const { key } of removed) gone.add(key);
      if (dryRun) await this.#weigh(removed);
      else this.#count({ entries: removed.length, deleted: await this.#deleteBlobs(digestsOf(removed)) });
      progress?.(this.#report);
      if (signal?.aborted === true) return;
    }
    for await (const page of this.#pages({ ...this.#selector, repository })) {
      for (const entry of page)
        if (entry.repository === repository && !gone.has(entry.key))
          this.#keep(isPinned?.(entry) === true ? 'pinned' : 'needed');
    }
  }

  /** Deletes those of these blobs that nobody needs any more. */
  async #deleteBlobs(digests: readonly Digest[]): Promise<Deleted> {
    const { clock, collection, deletion } = this.#parts;
    if (digests.length === 0) return NOTHING;
    const condemned = await collection.condemn(digests.toSorted(), clock.now());
    return await deletion.run({ digests: digestsOf(condemned) });
  }

  async #weigh(going: readonly Pick<KeptEntry, 'digest' | 'size'>[]): Promise<void> {
    this.#count({ entries: going.length, deleted: await this.#weigher.add(going) });
  }

  async #isPinned(): Promise<IsPinned> {
    return this.#options.pinned ? () => false : await this.#parts.kept.pins.matcher();
  }

  #count({ entries, deleted }: Gone): void {
    this.#entries += entries;
    this.#deleted = sumOf(this.#deleted, deleted);
  }

  #keep(why: KeptBecause): void {
    this.#kept.set(why, (this.#kept.get(why) ?? 0) + 1);
  }
}
