import type { Clock } from '../../api/clock.js';
import { EntrepotError } from '../../api/errors.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { HotCache } from '../../api/hot-cache.js';

/** How long an upstream is not asked again for a body that it cannot mean: too large is too large the next second, too. */
const FAULT_MEMORY = 5000;

/**
 * Remembers that an upstream said 404 or 410: for a short while so that it is not asked again, and longer for when it is down.
 * Remembers, too, that its body was more than is taken.
 */
export class NegativeCache {
  readonly #cache: HotCache;
  readonly #clock: Clock;
  readonly #repository: string;

  constructor(cache: HotCache, clock: Clock, repository: string) {
    this.#cache = cache;
    this.#clock = clock;
    this.#repository = repository;
  }

  /** @throws EntrepotError `not-found`, or `upstream-unavailable` for a fault, when that was the answer a moment ago. */
  async check(key: string): Promise<void> {
    const known = await this.#find(key);
    if (known === undefined || this.#clock.now() >= known.until) return;
    if (known.fault !== undefined) {
      throw new EntrepotError('upstream-unavailable', `${key} is larger upstream than is taken (found a moment ago)`, {
        code: 'REMEMBERED_TOO_LARGE',
      });
    }
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
    if (known === undefined || known.fault !== undefined) return;
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

  /** Called for every failure; keeps those that a second fetch of the same bytes would only repeat. */
  async rememberFault(key: string, { code, status }: EntrepotError): Promise<void> {
    if (code !== 'UPSTREAM_TOO_LARGE') return;
    await this.#cache.set(this.#cacheKey(key), `${status} ${this.#clock.now() + FAULT_MEMORY} ${code}`, FAULT_MEMORY);
  }

  async #find(key: string): Promise<Remembered | undefined> {
    const [status, until, fault] = ((await this.#cache.get(this.#cacheKey(key))) ?? '').split(' ');
    return until === undefined ? undefined : { status: Number(status), until: Number(until), fault };
  }

  #cacheKey(key: string): string {
    return `negative:${this.#repository}:${key}`;
  }
}

interface Remembered {
  readonly status: number;
  readonly until: number;
  /** The code of a body that is not taken. */
  readonly fault: string | undefined;
}
