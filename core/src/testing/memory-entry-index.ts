import { deepFreeze } from '../api/deep-freeze.js';
import type { Digest } from '../api/digest.js';
import {
  renewedEntry,
  type Entry,
  type EntryAccess,
  type EntryChange,
  type EntryIndex,
  type EntryListing,
  type EntryRenewal,
  type StoredListing,
} from '../api/entry-index.js';

interface Held {
  entry: Entry;
  lastAccess?: number;
}

/** An `EntryIndex` in memory, for tests. */
export class MemoryEntryIndex implements EntryIndex {
  /** By repository, then by key. */
  readonly #entries = new Map<string, Map<string, Held>>();
  readonly #revisions = new Map<string, number>();

  async find(repository: string, key: string): Promise<Entry | undefined> {
    return this.#find(repository, key);
  }

  async putIfAbsent(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const free = entries.every(({ repository, key }) => this.#find(repository, key) === undefined);
    if (free) for (const entry of entries) this.#put(entry);
    return entries.map(({ repository, key }) => this.#find(repository, key)).filter((entry) => entry !== undefined);
  }

  async change({ repository, expect, at, put, remove }: EntryChange): Promise<number | undefined> {
    if (expect.some(({ key, digest }) => this.#find(repository, key)?.digest !== digest)) return undefined;
    if (at !== undefined && at !== this.#revision(repository)) return undefined;
    for (const entry of put) this.#put(entry);
    for (const key of remove) this.#delete(repository, key);
    const revision = this.#revision(repository) + 1;
    this.#revisions.set(repository, revision);
    return revision;
  }

  async revision(repository: string): Promise<number> {
    return this.#revision(repository);
  }

  async replace(entry: Entry): Promise<void> {
    this.#put(entry);
  }

  async touch(repository: string, key: string, digest: Digest, renewal: EntryRenewal): Promise<boolean> {
    const entry = this.#find(repository, key);
    if (entry?.digest !== digest) return false;
    this.#put(renewedEntry(entry, renewal));
    return true;
  }

  async remove(repository: string, key: string, digest?: Digest): Promise<boolean> {
    const entry = this.#find(repository, key);
    if (entry === undefined || (digest !== undefined && entry.digest !== digest)) return false;
    return this.#delete(repository, key);
  }

  async list(repository: string, { prefix, after, limit }: EntryListing): Promise<readonly Entry[]> {
    const entries = [...(this.#entries.get(repository)?.values() ?? [])].map(({ entry }) => entry);
    return entries
      .filter(({ key }) => key.startsWith(prefix) && (after === undefined || compareCodePoints(key, after) > 0))
      .sort((left, right) => compareCodePoints(left.key, right.key))
      .slice(0, limit);
  }

  async listStored(repository: string, { since, after, before, limit }: StoredListing): Promise<readonly Entry[]> {
    const entries = [...(this.#entries.get(repository)?.values() ?? [])].map(({ entry }) => entry);
    return entries
      .filter(({ fetchedAt }) => fetchedAt >= since && fetchedAt < before)
      .filter(({ fetchedAt, key }) => fetchedAt > since || after === undefined || compareCodePoints(key, after) > 0)
      .sort((left, right) => left.fetchedAt - right.fetchedAt || compareCodePoints(left.key, right.key))
      .slice(0, limit);
  }

  async referenced(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const held = [...this.#entries.values()].flatMap((entries) => [...entries.values()]);
    const found = new Set(held.map(({ entry }) => entry.digest));
    return new Set(digests.filter((digest) => found.has(digest)));
  }

  async recordAccess(accesses: readonly EntryAccess[]): Promise<void> {
    for (const { repository, key, at } of accesses) {
      const held = this.#entries.get(repository)?.get(key);
      if (held !== undefined) held.lastAccess = Math.max(at, held.lastAccess ?? -Infinity);
    }
  }

  async lastAccess(repository: string, keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    for (const key of keys) {
      const at = this.#entries.get(repository)?.get(key)?.lastAccess;
      if (at !== undefined) found.set(key, at);
    }
    return found;
  }

  async check(): Promise<void> {}

  async dispose(): Promise<void> {
    this.#entries.clear();
    this.#revisions.clear();
  }

  #find(repository: string, key: string): Entry | undefined {
    return this.#entries.get(repository)?.get(key)?.entry;
  }

  #revision(repository: string): number {
    return this.#revisions.get(repository) ?? 0;
  }

  #delete(repository: string, key: string): boolean {
    return this.#entries.get(repository)?.delete(key) ?? false;
  }

  /** Keeps a copy, as a database does: what the caller changes later must not reach the index. */
  #put(entry: Entry): void {
    const entries = this.#entries.get(entry.repository) ?? new Map<string, Held>();
    entries.set(entry.key, { ...entries.get(entry.key), entry: deepFreeze(structuredClone(entry)) });
    this.#entries.set(entry.repository, entries);
  }
}

/** UTF-8 sorts like code points; JavaScript's `<` sorts by UTF-16 units and puts U+1F600 before U+FFFD. */
function compareCodePoints(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
