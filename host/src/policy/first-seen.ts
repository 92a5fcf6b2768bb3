import type { Clock, PackageCoordinates } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import type { Sight, SqlFirstSeenStore } from '../drivers/sql/first-seen-store.js';

/** Bounds, in versions. */
export interface FirstSeenLimits {
  readonly memory: number;
  readonly pending: number;
  readonly stored: number;
}

const LIMITS: FirstSeenLimits = { memory: 100_000, pending: 20_000, stored: 1_000_000 };
const HOUR = 3_600_000;

/**
 * When versions were first met here, for those that no document dates: from memory, which holds the newest; written to the
 * store by and by. What memory does not know is new, until the store says otherwise: then `revision` changes.
 */
export class FirstSeen {
  readonly #store: SqlFirstSeenStore;
  readonly #clock: Clock;
  readonly #limits: FirstSeenLimits;
  /** The least recently used first. */
  readonly #known: Lru<number>;
  #pending = new Map<string, Sight>();
  /** Changes when some version turns out to be older than `meet` has said. */
  revision = 0;
  #prunedAt = -Infinity;

  constructor(store: SqlFirstSeenStore, clock: Clock, limits = LIMITS) {
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
    this.#known = new Lru(limits.memory);
  }

  /**
   * When a version was first met: now, if never before. `undefined` for a name as a whole.
   * @param since it is a part of something that was met then
   */
  meet(coordinates: PackageCoordinates, since = Infinity): number | undefined {
    const { ecosystem, name, version } = coordinates;
    if (version === undefined) return undefined;
    const key = keyOf(coordinates);
    const known = this.#known.get(key);
    const at = Math.min(known ?? this.#clock.now(), since);
    if (known !== at) {
      // Met again later.
      if (this.#pending.size >= this.#limits.pending) return at;
      this.#pending.set(key, { coordinates: { ecosystem, name, version }, at });
      // It was judged by what was known before.
      if (known !== undefined) this.revision += 1;
    }
    this.#known.set(key, at);
    return at;
  }

  /** The same without meeting it. */
  peek(coordinates: PackageCoordinates): number | undefined {
    return this.#known.get(keyOf(coordinates));
  }

  /** Takes what the store knows into memory. */
  async load(): Promise<void> {
    for (const { coordinates, at } of await this.#store.newest(this.#limits.memory))
      this.#known.set(keyOf(coordinates), at);
  }

  /** Writes down what was met since the last time, and learns what others have met before. */
  async flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    const met = this.#pending;
    this.#pending = new Map();
    let corrected = false;
    for (const { coordinates, at } of await this.#store.record([...met.values()])) {
      const key = keyOf(coordinates);
      if (at >= (met.get(key)?.at ?? at)) continue;
      corrected = true;
      this.#known.set(key, at);
    }
    if (corrected) this.revision += 1;
    const now = this.#clock.now();
    if (now - this.#prunedAt < HOUR) return;
    this.#prunedAt = now;
    await this.#store.prune(this.#limits.stored);
  }
}

function keyOf({ ecosystem, name, version = '' }: PackageCoordinates): string {
  return `${ecosystem}\n${name}\n${version}`;
}
