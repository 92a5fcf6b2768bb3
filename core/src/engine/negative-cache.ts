import { EntrepotError } from '../api/errors.js';
import type { HotCache } from '../api/hot-cache.js';

/** Remembers for a short while that an upstream said 404 or 410, so that it is not asked again for each client. */
export class NegativeCache {
  readonly #cache: HotCache;
  readonly #repository: string;

  constructor(cache: HotCache, repository: string) {
    this.#cache = cache;
    this.#repository = repository;
  }

  /** @throws EntrepotError `not-found` when that was the answer a moment ago. */
  async check(key: string): Promise<void> {
    const status = await this.#cache.get(this.#cacheKey(key));
    if (status === undefined) return;
    throw new EntrepotError('not-found', `${key} does not exist upstream (asked a moment ago)`, {
      status: Number(status),
      code: 'REMEMBERED_NOT_FOUND',
    });
  }

  async remember(key: string, error: EntrepotError, ttl: number): Promise<void> {
    if (ttl <= 0 || error.code === 'REMEMBERED_NOT_FOUND') return;
    await this.#cache.set(this.#cacheKey(key), String(error.status), ttl);
  }

  #cacheKey(key: string): string {
    return `negative:${this.#repository}:${key}`;
  }
}
