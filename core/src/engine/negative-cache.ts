import type { Clock } from '../api/clock.js';
import { EntrepotError } from '../api/errors.js';
import type { FreshnessRule } from '../api/freshness.js';
import type { HotCache } from '../api/hot-cache.js';

/** Remembers that an upstream said 404 or 410: for a short while so that it is not asked again, and longer for when it is down. */
export class NegativeCache {
  readonly #cache: HotCache;
  readonly #clock: Clock;
  readonly #repository: string;

  constructor(cache: HotCache, clock: Clock, repository: string) {
    this.#cache = cache;
    this.#clock = clock;
    this.#repository = repository;
  }

  /** @throws EntrepotError `not-found` when that was the answer a moment ago. */
  async check(key: string): Promise<void> {
    const known = await this.#find(key);
    if (known === undefined || this.#clock.now() >= known.until) return;
    throw new EntrepotError('not-found', `${key} does not exist upstream (asked a moment ago)`, {
      status: known.status,
      code: 'REMEMBERED_NOT_FOUND',
    });
  }

  /**
   * Called when the upstream is out of reach.
   * @throws EntrepotError `not-found` when that was its last answer, and may stand in.
   */
  async standIn(key: string): Promise<void> {
    const known = await this.#find(key);
    if (known === undefined) return;
    throw new EntrepotError('not-found', `${key} did not exist upstream when it was last in reach`, {
      status: known.status,
      code: 'LAST_NOT_FOUND',
    });
  }

  async remember(
    key: string,
    error: EntrepotError,
    { negativeFor, negativeIfError }: Pick<FreshnessRule, 'negativeFor' | 'negativeIfError'>,
  ): Promise<void> {
    if (negativeFor + negativeIfError <= 0 || error.code === 'REMEMBERED_NOT_FOUND') return;
    const value = `${error.status} ${this.#clock.now() + negativeFor}`;
    await this.#cache.set(this.#cacheKey(key), value, negativeFor + negativeIfError);
  }

  async #find(key: string): Promise<{ readonly status: number; readonly until: number } | undefined> {
    const [status, until] = ((await this.#cache.get(this.#cacheKey(key))) ?? '').split(' ').map(Number);
    return status === undefined || until === undefined ? undefined : { status, until };
  }

  #cacheKey(key: string): string {
    return `negative:${this.#repository}:${key}`;
  }
}
