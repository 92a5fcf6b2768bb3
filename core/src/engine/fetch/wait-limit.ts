import { EntrepotError } from '../../api/errors.js';
import type { SharedFlight } from './shared-flight.js';

/** The longest time that a timer of Node can be set to, in milliseconds. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** The time that a request waits for a flight. */
export interface Waiting {
  /** Name of the flight, in messages. */
  readonly key: string;
  /** Milliseconds, from the first request that waits for the flight. `Infinity`: to its end. */
  readonly staleAfter: number;
}

/**
 * Bounds how long requests that could be given a kept copy wait for the flight that renews it. The flight goes on. It has one
 * timer, so a request that joins a flight that is late already does not wait again.
 */
export class WaitLimit {
  readonly #late = new WeakMap<SharedFlight, Promise<never>>();

  /**
   * Waits for `step` of `flight`.
   * @throws EntrepotError `upstream-unavailable` with the code `UPSTREAM_SLOW` when it takes too long
   */
  async within<Result>(flight: SharedFlight, step: Promise<Result>, waiting: Waiting): Promise<Result> {
    if (waiting.staleAfter > LONGEST_TIMER) return await step;
    return await Promise.race([step, this.#lateness(flight, waiting)]);
  }

  #lateness(flight: SharedFlight, { key, staleAfter }: Waiting): Promise<never> {
    const known = this.#late.get(flight);
    if (known !== undefined) return known;
    const late = new Promise<never>((_resolve, reject) => {
      const timer = setTimeout(() => reject(tooSlow(key, staleAfter)), staleAfter).unref();
      const ended = (): void => clearTimeout(timer);
      flight.done.then(ended, ended);
    });
    late.catch(() => {});
    this.#late.set(flight, late);
    return late;
  }
}

function tooSlow(key: string, milliseconds: number): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `The upstream has not answered for ${key} within ${milliseconds} ms; the fetch goes on`,
    { status: 504, code: 'UPSTREAM_SLOW' },
  );
}
