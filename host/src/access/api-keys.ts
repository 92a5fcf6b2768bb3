import { randomUUID } from 'node:crypto';
import { EntrepotError, type Clock, type Logger } from '@entrepot/core';
import type { ChangeCounts } from '../drivers/sql/changes.js';
import type { KeyScope, SqlKeyStore, StoredKey } from '../drivers/sql/key-store.js';
import { hashOfKey, makeKeySecret } from './key-secret.js';

/** Keys that are read together. */
const PAGE = 1_000;
/** The accuracy of the time of the last use, in milliseconds: a key that is used all the time is written as often. */
const USE_ACCURACY = 600_000;
/** Uses that are written together. */
const MOST_USES = 500;
/** The interval at which uses are written, in milliseconds. */
const FLUSH = 60_000;
/** Time for which revoked and expired keys stay in the database, in milliseconds. */
const KEEP_ENDED = 30 * 86_400_000;
const DAY = 86_400_000;

/** A key in force, in memory. */
export interface KnownKey {
  readonly id: string;
  /** The name of its bearer in logs: `key:` and its own. No user has such a name. */
  readonly caller: string;
  readonly scopes: readonly KeyScope[];
  /** Milliseconds since the epoch; `Infinity`: never. */
  readonly expiresAt: number;
  readonly hash: string;
  readonly change: number;
  /** Milliseconds since the epoch. */
  usedAt: number;
  /** The last use that the database knows of. */
  writtenAt: number;
}

export interface ApiKeysOptions {
  readonly store: SqlKeyStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The form of a new key. */
export type NewKey = Pick<StoredKey, 'name' | 'scopes' | 'note' | 'createdBy' | 'expiresAt'>;

/**
 * The keys of callers, all of them in memory: finding one takes a hash and a look into a map. Changes by other processes come by
 * `noteChanges`. While the database is down, keys that are known go on working.
 */
export class ApiKeys {
  readonly #options: ApiKeysOptions;
  readonly #byHash = new Map<string, KnownKey>();
  readonly #byId = new Map<string, KnownKey>();
  readonly #used = new Set<KnownKey>();
  /** The changes that ended keys, until they have been read: what was read before them must not bring a key back. */
  readonly #ended = new Map<string, number>();
  #seen = -1;
  #reading: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #prunedAt = -Infinity;

  constructor(options: ApiKeysOptions) {
    this.#options = options;
  }

  /** Begins to write down uses now and then. */
  start(): void {
    const { logger } = this.#options;
    this.#timer = setInterval(() => {
      this.flush().catch((error: unknown) => logger.warn({ err: error }, 'the last use of keys is not written'));
    }, FLUSH).unref();
  }

  /** The number of keys in memory. */
  get size(): number {
    return this.#byHash.size;
  }

  /**
   * The key with this secret, whose use is noted.
   * @throws EntrepotError `unauthorized` when there is none in force
   */
  require(secret: string): KnownKey {
    const key = this.#byHash.get(hashOfKey(secret));
    const now = this.#options.clock.now();
    if (key === undefined || key.expiresAt <= now) throw refused();
    if (now - key.usedAt >= 1_000) {
      key.usedAt = now;
      if (now - key.writtenAt >= USE_ACCURACY) this.#used.add(key);
    }
    return key;
  }

  /** The key with this id, if it is in force. */
  get(id: string): KnownKey | undefined {
    const key = this.#byId.get(id);
    return key !== undefined && key.expiresAt > this.#options.clock.now() ? key : undefined;
  }

  /** The time of the last use of a key, as far as this process knows. */
  usedAt({ id, usedAt = 0 }: Pick<StoredKey, 'id' | 'usedAt'>): number | undefined {
    return Math.max(usedAt, this.#byId.get(id)?.usedAt ?? 0) || undefined;
  }

  /** Makes a key. @returns it, and its secret, which is nowhere else. @throws EntrepotError `conflict` */
  async create(wanted: NewKey): Promise<{ readonly key: StoredKey; readonly secret: string }> {
    const { store, clock } = this.#options;
    const secret = makeKeySecret();
    const key = await store.add({ ...wanted, id: randomUUID(), hash: hashOfKey(secret), createdAt: clock.now() });
    this.#take(key);
    return { key, secret };
  }

  /** Changes a key, here at once. @returns the key after it; `undefined` when there is none in force */
  async alter(id: string, alter: (found: StoredKey) => StoredKey): Promise<StoredKey | undefined> {
    const key = await this.#options.store.alter(id, alter);
    if (key !== undefined) this.#take(key);
    return key;
  }

  /** Takes in what other processes have changed. */
  noteChanges({ keys }: Pick<ChangeCounts, 'keys'>): Promise<void> {
    // One after another: what was read first must not come last.
    this.#reading = this.#reading.catch(() => {}).then(() => this.#read(keys));
    return this.#reading;
  }

  /** Writes down uses, and forgets what has ended long ago. */
  async flush(): Promise<void> {
    const { store, clock } = this.#options;
    const used = [...this.#used].slice(0, MOST_USES);
    if (used.length > 0) {
      await store.recordUse(new Map(used.map(({ id, usedAt }) => [id, usedAt])));
      for (const key of used) {
        key.writtenAt = key.usedAt;
        this.#used.delete(key);
      }
    }
    const now = clock.now();
    if (now - this.#prunedAt < DAY) return;
    this.#prunedAt = now;
    await store.prune(now - KEEP_ENDED);
    for (const key of this.#byId.values()) if (key.expiresAt < now - KEEP_ENDED) this.#forget(key.id);
  }

  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading.catch(() => {});
    await this.flush().catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'the last use of keys is not written'),
    );
  }

  async #read(count: number): Promise<void> {
    if (count === this.#seen) return;
    let last = Math.max(this.#seen, 0);
    if (count < this.#seen) {
      // An older state of the database was brought back.
      this.#forgetAll();
      last = 0;
    }
    for (;;) {
      const page = await this.#options.store.changedSince(last, PAGE);
      for (const key of page) {
        this.#take(key);
      }
      if (page.length < PAGE) break;
      last = (page.at(-1) as StoredKey).change;
    }
    this.#seen = count;
    for (const [id, change] of this.#ended) if (change <= count) this.#ended.delete(id);
  }

  #take(key: StoredKey): void {
    const { id, name, scopes, hash, change, expiresAt = Infinity, usedAt = 0 } = key;
    const before = this.#byId.get(id);
    if ((before?.change ?? this.#ended.get(id) ?? -1) > change) return;
    this.#forget(id);
    if (key.revokedAt !== undefined) {
      this.#ended.set(id, change);
      return;
    }
    const used = Math.max(usedAt, before?.usedAt ?? 0);
    const known = { id, caller: `key:${name}`, scopes, hash, change, expiresAt, usedAt: used, writtenAt: usedAt };
    this.#byHash.set(hash, known);
    this.#byId.set(id, known);
  }

  #forgetAll(): void {
    for (const id of this.#byId.keys()) this.#forget(id);
    this.#ended.clear();
  }

  #forget(id: string): void {
    const known = this.#byId.get(id);
    if (known === undefined) return;
    this.#byId.delete(id);
    this.#byHash.delete(known.hash);
    this.#used.delete(known);
  }
}

function refused(): EntrepotError {
  return new EntrepotError('unauthorized', 'The key is refused: it is unknown, was revoked, or has expired', {
    code: 'KEY_REFUSED',
  });
}
