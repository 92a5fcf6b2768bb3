import type { Clock } from '../api/clock.js';
import type { Digest } from '../api/digest.js';
import type { Entry, EntryAccess, EntryIndex, EntryRenewal } from '../api/entry-index.js';
import type { Logger } from '../api/logger.js';
import { ByteLru } from './byte-lru.js';

/** Accesses are written together, this often or this many; milliseconds and rows. */
const FLUSH_INTERVAL = 10_000;
const FLUSH_ROWS = 5_000;
/** An entry's access is written again only after this long: who was last served when needs no more precision. */
const ACCESS_RESOLUTION = 60_000;

/** The entry index behind a bounded memory: a hit does no SQL. All changes go through here, so memory is never behind. */
export class EntryCache {
  readonly #index: EntryIndex;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known: ByteLru<Entry>;
  readonly #accesses = new Map<string, EntryAccess>();
  readonly #timer: NodeJS.Timeout;
  /** Counts changes: an entry that was read before a change and arrives after it is not remembered. */
  #changes = 0;

  constructor(index: EntryIndex, maxEntries: number, clock: Clock, logger: Logger) {
    this.#index = index;
    this.#clock = clock;
    this.#logger = logger;
    this.#known = new ByteLru(maxEntries, () => 1);
    this.#timer = setInterval(() => void this.#flush(), FLUSH_INTERVAL).unref();
  }

  /** What memory knows of the entry; `undefined` says nothing. */
  peek(repository: string, key: string): Entry | undefined {
    return this.#known.get(cacheKey(repository, key));
  }

  async find(repository: string, key: string): Promise<Entry | undefined> {
    const known = this.peek(repository, key);
    if (known !== undefined) return known;
    const changes = this.#changes;
    const entry = await this.#index.find(repository, key);
    if (entry !== undefined && changes === this.#changes) this.#known.set(cacheKey(repository, key), entry);
    return entry;
  }

  async putIfAbsent(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const winners = await this.#index.putIfAbsent(entries);
    for (const entry of winners) this.#remember(entry);
    return winners;
  }

  async replace(entry: Entry): Promise<void> {
    await this.#index.replace(entry);
    this.#remember(entry);
  }

  /** Renews `entry`. @returns the renewed entry, or `undefined` when it is no longer the one in force. */
  async touch(entry: Entry, renewal: EntryRenewal): Promise<Entry | undefined> {
    const touched = await this.#index.touch(entry.repository, entry.key, entry.digest, renewal);
    if (!touched) {
      this.forget(entry.repository, entry.key);
      return undefined;
    }
    const renewed: Entry = {
      ...entry,
      checkedAt: renewal.checkedAt,
      etag: renewal.etag ?? entry.etag,
      lastModified: renewal.lastModified ?? entry.lastModified,
      headers: renewal.headers ?? entry.headers,
    };
    this.#remember(renewed);
    return renewed;
  }

  async remove(repository: string, key: string, digest?: Digest): Promise<boolean> {
    const removed = await this.#index.remove(repository, key, digest);
    this.forget(repository, key);
    return removed;
  }

  /** Asks the index next time. */
  forget(repository: string, key: string): void {
    this.#changes += 1;
    this.#known.delete(cacheKey(repository, key));
  }

  /** Notes that `entry` was served. */
  accessed(entry: Entry): void {
    const key = cacheKey(entry.repository, entry.key);
    const now = this.#clock.now();
    const noted = this.#accesses.get(key);
    if (noted !== undefined && now - noted.at < ACCESS_RESOLUTION) return;
    this.#accesses.set(key, { repository: entry.repository, key: entry.key, at: now });
    if (this.#accesses.size >= FLUSH_ROWS) void this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#accesses.size === 0) return;
    const batch = [...this.#accesses.values()];
    this.#accesses.clear();
    try {
      await this.#index.recordAccess(batch);
    } catch (error) {
      // Only the order of a later eviction depends on it.
      this.#logger.warn({ error, accesses: batch.length }, 'access times could not be written');
    }
  }

  #remember(entry: Entry): void {
    this.#changes += 1;
    this.#known.set(cacheKey(entry.repository, entry.key), entry);
  }

  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flush();
  }
}

function cacheKey(repository: string, key: string): string {
  return `${repository}\n${key}`;
}
