import type { HotCache, Logger } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import { Keyv } from 'keyv';

/** UTF-16 units in memory: keys, values, and what an object beside them takes. */
const MEMORY = 32 * 1024 * 1024;
const ENTRY = 600;
/** A backend that is down fails every call; it is said once in so many milliseconds. */
const COMPLAINT_INTERVAL = 60_000;

/** A Keyv in this process's memory, bounded: what was used longest ago is forgotten. */
export function memoryKeyv(): Keyv<string> {
  const store = new Lru<string>(MEMORY, (value, key) => key.length + value.length + ENTRY);
  // A prefix would make one key of `keyv:a` and `a`.
  return new Keyv<string>({ store, useKeyPrefix: false });
}

/** A `HotCache` on any Keyv. Trouble with its backend is logged and otherwise looks like an empty cache. */
export class KeyvHotCache implements HotCache {
  readonly #keyv: Keyv<string>;
  readonly #logger: Logger;
  #complainedAt = -Infinity;

  /** @param keyv the cache closes it. */
  constructor(keyv: Keyv<string>, logger: Logger) {
    this.#keyv = keyv;
    this.#logger = logger;
    keyv.on('error', (error: unknown) => this.#complain(error));
  }

  async get(key: string): Promise<string | undefined> {
    const value: unknown = await this.#try(() => this.#keyv.get(key));
    return typeof value === 'string' ? value : undefined;
  }

  async set(key: string, value: string, ttl: number): Promise<void> {
    // Keyv takes 0 for "for ever".
    if (ttl > 0) await this.#try(() => this.#keyv.set(key, value, ttl));
    else await this.delete(key);
  }

  async delete(key: string): Promise<void> {
    await this.#try(() => this.#keyv.delete(key));
  }

  async dispose(): Promise<void> {
    await this.#try(() => this.#keyv.disconnect());
  }

  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#complain(error);
      return undefined;
    }
  }

  #complain(error: unknown): void {
    const now = performance.now();
    if (now - this.#complainedAt < COMPLAINT_INTERVAL) return;
    this.#complainedAt = now;
    // The message of a client library may hold the URL of its backend, with the password.
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    this.#logger.warn(
      { code, error: error instanceof Error ? error.name : typeof error },
      'the hot cache does not answer',
    );
  }
}
