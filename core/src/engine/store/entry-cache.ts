import type { Clock } from '../../api/clock.js';
import type { Digest } from '../../api/digest.js';
import {
  renewedEntry,
  type Entry,
  type EntryAccess,
  type EntryChange,
  type EntryIndex,
  type EntryRenewal,
  type Fence,
} from '../../api/entry-index.js';
import type { Logger } from '../../api/logger.js';
import { Lru } from '../../formats/lru.js';
import type { BlobHolds } from './blob-holds.js';
import { inTime, LATE } from './in-time.js';
import { KeptKeysCache } from './kept-keys.js';

/** Accesses are written together, this often or this many; milliseconds and rows. */
const FLUSH_INTERVAL = 10_000;
const FLUSH_ROWS = 5_000;
/** The time that the end of the process waits for the last of them; milliseconds. */
const LAST_FLUSH = 5_000;
/** An entry's access is written again only after this long: when it was last served needs no more precision. */
const ACCESS_RESOLUTION = 3_600_000;
/** The time that a request waits for an optional write or a newer value; milliseconds. */
const PATIENCE = 500;
/** The interval at which a repository that others change, too, is asked for its revision when no change is told; milliseconds. */
const REVISION_INTERVAL = 1_000;

/** The changes of one repository that memory has followed. */
interface Followed {
  /** The newest revision that is known; -1 before the first one. */
  revision: number;
  /** When it was read, on the monotonic clock; `-Infinity` when a newer one has been told of. */
  readAt: number;
  /** The number of changes that were told of. */
  told: number;
  /** The reading that is under way. */
  reading: Promise<number> | undefined;
  /** Whether it takes longer than the time that requests wait when they have an older revision. */
  isLate: boolean;
  /** Goes up when everything that memory knows of the repository may be wrong. */
  generation: number;
}

/**
 * The entry index behind a bounded memory: a hit does no SQL. All changes of this process go through here, so memory is
 * never behind them; those of other replicas to a hosted repository are noticed by its revision.
 */
export class EntryCache {
  readonly #index: EntryIndex;
  readonly #holds: BlobHolds;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known: Lru<Entry>;
  readonly #followed = new Map<string, Followed>();
  /** The keys below prefixes, in proxies. */
  readonly keys: KeptKeysCache;
  readonly #accesses = new Map<string, EntryAccess>();
  /** When the accesses of entries were last noted. */
  readonly #noted: Lru<number>;
  /** Blobs that were served since the last flush. */
  readonly #visited = new Set<Digest>();
  readonly #timer: NodeJS.Timeout;
  readonly #unwatch: (() => void) | undefined;
  /** Resolves when the accesses that are being written are written. */
  #flushed: Promise<void> = Promise.resolve();
  /** Counts changes: an entry that was read before a change and arrives after it is not remembered. */
  #changes = 0;

  constructor(index: EntryIndex, holds: BlobHolds, maxEntries: number, clock: Clock, logger: Logger) {
    this.#index = index;
    this.#holds = holds;
    this.#clock = clock;
    this.#logger = logger;
    this.#known = new Lru(maxEntries);
    this.#noted = new Lru(maxEntries);
    this.keys = new KeptKeysCache(index, maxEntries, clock, logger);
    this.#timer = setInterval(() => void this.#flush(), FLUSH_INTERVAL).unref();
    this.#unwatch = index.watch?.((repository, revision) => this.#wasTold(repository, revision));
  }

  /** The entry in memory. `undefined` tells nothing. */
  peek(repository: string, key: string): Entry | undefined {
    return this.#known.get(this.#cacheKey(repository, key));
  }

  async find(repository: string, key: string): Promise<Entry | undefined> {
    const known = this.peek(repository, key);
    if (known !== undefined) return known;
    const changes = this.#changes;
    const entry = await this.#index.find(repository, key);
    if (entry !== undefined && changes === this.#changes) this.#known.set(this.#cacheKey(repository, key), entry);
    return entry;
  }

  /** Finds the entry that the index has by now, where other processes put some, too. While the index is slow or fails, that in memory. */
  async newest(repository: string, key: string): Promise<Entry | undefined> {
    const known = this.peek(repository, key);
    if (known === undefined) return await this.find(repository, key);
    const changes = this.#changes;
    const found = await inTime(
      this.#index.find(repository, key).catch((error: unknown) => {
        this.#logger.warn({ error, repository, key }, 'the index cannot be read');
        return known;
      }),
      PATIENCE,
    );
    // A renewal may be in memory alone.
    if (found === LATE || changes !== this.#changes) return this.peek(repository, key) ?? known;
    if (found?.digest === known.digest && found.checkedAt <= known.checkedAt) return known;
    if (found === undefined) this.forget(repository, key);
    else this.#remember(found);
    return found;
  }

  async putIfAbsent(entries: readonly Entry[], fence?: Fence): Promise<readonly Entry[]> {
    const winners = await this.#holds.naming(entries, () => this.#index.putIfAbsent(entries, fence));
    for (const entry of winners) this.#wasPut(entry);
    return winners;
  }

  async replace(entry: Entry, fence?: Fence): Promise<void> {
    await this.#holds.naming([entry], () => this.#index.replace(entry, fence));
    this.#wasPut(entry);
  }

  #wasPut(entry: Entry): void {
    this.#remember(entry);
    this.keys.changed(entry.repository, entry.key);
  }

  /**
   * Renews `entry`. What cannot be written in time is renewed in memory alone: the copy is right all the same.
   * @returns the renewed entry, or `undefined` when it is no longer the one in force
   */
  async touch(entry: Entry, renewal: EntryRenewal): Promise<Entry | undefined> {
    const { repository, key, digest } = entry;
    // Where the same bytes came again they were put again.
    this.#holds.drop(repository, digest);
    const touching = this.#index.touch(repository, key, digest, renewal).then(
      (touched) => {
        if (!touched) this.forget(repository, key);
        return touched;
      },
      (error: unknown) => {
        this.#logger.warn({ error, repository, key }, 'the renewal of an entry could not be written');
        return true;
      },
    );
    // A renewal that is late is made in memory.
    if ((await inTime(touching, PATIENCE)) === false) return undefined;
    const renewed = renewedEntry(entry, renewal);
    this.#remember(renewed);
    return renewed;
  }

  async remove(repository: string, key: string, digest?: Digest): Promise<boolean> {
    const removed = await this.#index.remove(repository, key, digest);
    this.forget(repository, key);
    this.keys.changed(repository, key);
    return removed;
  }

  /** Carries `change` out. @returns whether all that it expects was so. */
  async change(change: EntryChange): Promise<boolean> {
    const { repository, expect, put, remove } = change;
    const revision = await this.#holds.naming(put, () => this.#index.change(change));
    if (revision === undefined) {
      // Memory may be what was wrong.
      for (const { key } of expect) this.forget(repository, key);
      return false;
    }
    const newest = this.#advance(repository, revision);
    for (const key of remove) this.forget(repository, key);
    for (const entry of put) {
      if (newest) this.#remember(entry);
      else this.forget(repository, entry.key);
    }
    return true;
  }

  /**
   * The revision of a hosted repository that memory shows. What this process changed is in it at once; what others changed as soon as the
   * index tells of it, and after a second at the most, if it answers; between two looks at it this costs nothing.
   * @returns no promise where it is known
   */
  revision(repository: string): number | Promise<number> {
    const followed = this.#follow(repository);
    if (followed.revision >= 0 && this.#clock.monotonic() - followed.readAt < REVISION_INTERVAL)
      return followed.revision;
    if (followed.isLate) return followed.revision;
    followed.reading ??= this.#reread(repository, followed).finally(() => {
      followed.reading = undefined;
      followed.isLate = false;
    });
    return followed.revision < 0 ? followed.reading : this.#soon(followed, followed.reading);
  }

  /** Returns the revision in memory while the index is slow, without waiting again for that read. */
  async #soon(followed: Followed, reading: Promise<number>): Promise<number> {
    const found = await inTime(reading, PATIENCE);
    if (found !== LATE) return found;
    followed.isLate = followed.reading === reading;
    return followed.revision;
  }

  async #reread(repository: string, followed: Followed): Promise<number> {
    const readAt = this.#clock.monotonic();
    const { told } = followed;
    try {
      const found = await this.#index.revision(repository);
      if (found > followed.revision) this.#drop(followed, found);
    } catch (error) {
      // What is in memory is still served while the index is out of reach.
      if (followed.revision < 0) throw error;
      this.#logger.warn({ error, repository }, 'the revision of a repository could not be read');
    }
    // One that was told of meanwhile is read at the next request.
    followed.readAt = followed.told === told ? readAt : -Infinity;
    return followed.revision;
  }

  /** Reads the revision of `repository`, or of all, at the next request, unless `revision` is known. */
  #wasTold(repository: string | undefined, revision = Infinity): void {
    for (const [name, followed] of this.#followed) {
      if (repository !== undefined && name !== repository) continue;
      if (revision <= followed.revision) continue;
      followed.told += 1;
      followed.readAt = -Infinity;
    }
  }

  /** Notes a revision that this process made. @returns whether no newer one is known. */
  #advance(repository: string, revision: number): boolean {
    const followed = this.#follow(repository);
    if (revision === followed.revision + 1) followed.revision = revision;
    // Somebody else's came between.
    else if (revision > followed.revision) this.#drop(followed, revision);
    return revision === followed.revision;
  }

  #drop(followed: Followed, revision: number): void {
    this.#changes += 1;
    followed.generation += 1;
    followed.revision = revision;
  }

  #follow(repository: string): Followed {
    const followed = this.#followed.get(repository);
    if (followed !== undefined) return followed;
    const begun: Followed = {
      revision: -1,
      readAt: -Infinity,
      told: 0,
      reading: undefined,
      isLate: false,
      generation: 0,
    };
    this.#followed.set(repository, begun);
    return begun;
  }

  /** Asks the index next time. */
  forget(repository: string, key: string): void {
    this.#changes += 1;
    this.#known.delete(this.#cacheKey(repository, key));
  }

  /** Asks the index for everything next time. */
  forgetAll(): void {
    this.#changes += 1;
    this.#known.clear();
    this.keys.forgetAll();
  }

  /**
   * Notes that `entry` was served.
   * @param isVisit whether that counts for the evictor: somebody asked for what was kept
   */
  accessed(entry: Entry, isVisit = true): void {
    if (isVisit) this.#visited.add(entry.digest);
    const key = `${entry.repository}\n${entry.key}`;
    const now = this.#clock.now();
    const noted = this.#noted.get(key);
    if (noted !== undefined && Math.abs(now - noted) < ACCESS_RESOLUTION) return;
    this.#noted.set(key, now);
    this.#accesses.set(key, { repository: entry.repository, key: entry.key, at: now });
    if (this.#accesses.size >= FLUSH_ROWS) void this.#flush();
  }

  /**
   * Reads until when entries were served at the latest, by key; milliseconds since the epoch. Accesses are noted to the hour, so an entry
   * may not have been served for up to an hour longer. Those that were never served are left out.
   */
  async servedUntil(repository: string, keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
    await this.#flush();
    const noted = await this.#index.lastAccess(repository, keys);
    return new Map(Array.from(noted, ([key, at]) => [key, at + ACCESS_RESOLUTION]));
  }

  #flush(): Promise<void> {
    this.#flushed = this.#flushed.then(() => this.#write());
    return this.#flushed;
  }

  async #write(): Promise<void> {
    const batch = [...this.#accesses.values()];
    const visited = [...this.#visited];
    this.#accesses.clear();
    this.#visited.clear();
    try {
      if (batch.length > 0) await this.#index.recordAccess(batch);
      if (visited.length > 0) await this.#holds.catalogue.visited(visited);
    } catch (error) {
      this.#logger.warn({ error, accesses: batch.length }, 'access times could not be written');
      // Rules of cleanup ask for them: they are written with the next ones, as far as there is room.
      for (const access of batch) {
        const key = `${access.repository}\n${access.key}`;
        if (this.#accesses.size < FLUSH_ROWS && !this.#accesses.has(key)) this.#accesses.set(key, access);
      }
    }
  }

  #remember(entry: Entry): void {
    this.#changes += 1;
    this.#known.set(this.#cacheKey(entry.repository, entry.key), entry);
  }

  /**
   * The key in memory. Dropped entries have keys of an older generation, which are never used again and leave as the
   * least recently used.
   */
  #cacheKey(repository: string, key: string): string {
    return `${repository}\n${this.#followed.get(repository)?.generation ?? 0}\n${key}`;
  }

  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    this.#unwatch?.();
    await inTime(this.#flush(), LAST_FLUSH);
  }
}
