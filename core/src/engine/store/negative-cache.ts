import type { Clock } from '../../api/clock.js';
import { EntrepotError } from '../../api/errors.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { HotCache } from '../../api/hot-cache.js';

/** The time for which an upstream is not asked again for a body that it cannot mean: too large is too large the next second, too. */
const FAULT_MEMORY = 5000;

/** Memory of what the upstreams of a repository lack. */
export type NegativeCache = ReturnType<typeof createNegativeCache>;

/**
 * Remembers that an upstream said 404 or 410: for a short while so that it is not asked again, and longer for when it is down.
 * Remembers, too, that its body was more than is taken.
 */
export function createNegativeCache(cache: HotCache, clock: Clock, repository: string) {
  /** @throws EntrepotError `not-found`, or `upstream-unavailable` for a fault, when that was the answer a moment ago. */
  async function check(key: string): Promise<void> {
    const known = await find(key);
    if (known === undefined || clock.now() >= known.until) return;
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
  async function standIn(key: string): Promise<void> {
    const known = await find(key);
    if (known === undefined || known.fault !== undefined) return;
    throw new EntrepotError('not-found', `${key} did not exist upstream when it was last in reach`, {
      status: known.status,
      code: 'LAST_NOT_FOUND',
    });
  }

  async function remember(
    key: string,
    error: EntrepotError,
    { negativeFor, negativeIfError }: Pick<FreshnessRule, 'negativeFor' | 'negativeIfError'>,
  ): Promise<void> {
    if (negativeFor + negativeIfError <= 0 || error.code === 'REMEMBERED_NOT_FOUND') return;
    const value = `${error.status} ${clock.now() + negativeFor}`;
    await cache.set(cacheKey(key), value, negativeFor + negativeIfError);
  }

  /** Called for every failure; keeps those that a second fetch of the same bytes would only repeat. */
  async function rememberFault(key: string, { code, status }: EntrepotError): Promise<void> {
    if (code !== 'UPSTREAM_TOO_LARGE') return;
    await cache.set(cacheKey(key), `${status} ${clock.now() + FAULT_MEMORY} ${code}`, FAULT_MEMORY);
  }

  /** Lets the upstream be asked for `key` again. */
  async function forget(key: string): Promise<void> {
    await cache.delete(cacheKey(key));
  }

  async function find(key: string): Promise<Remembered | undefined> {
    const [status, until, fault] = ((await cache.get(cacheKey(key))) ?? '').split(' ');
    return until === undefined ? undefined : { status: Number(status), until: Number(until), fault };
  }

  function cacheKey(key: string): string {
    return `negative:${repository}:${key}`;
  }

  return { check, standIn, remember, rememberFault, forget };
}

interface Remembered {
  readonly status: number;
  readonly until: number;
  /** The code of a body that is not taken. */
  readonly fault: string | undefined;
}
