import { type Clock, systemClock } from '../api/clock.js';
import type { HotCache } from '../api/hot-cache.js';

/** A `HotCache` in memory, for tests: unbounded, and forgetful by the clock that it is given. */
export class MemoryHotCache implements HotCache {
  readonly #clock: Clock;
  readonly #kept = new Map<string, { readonly value: string; readonly until: number }>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async get(key: string): Promise<string | undefined> {
    const found = this.#kept.get(key);
    if (found === undefined) return undefined;
    if (this.#clock.now() < found.until) return found.value;
    this.#kept.delete(key);
    return undefined;
  }

  async set(key: string, value: string, ttl: number): Promise<void> {
    this.#kept.set(key, { value, until: this.#clock.now() + ttl });
  }

  async delete(key: string): Promise<void> {
    this.#kept.delete(key);
  }

  async dispose(): Promise<void> {
    this.#kept.clear();
  }
}
