import type { Clock } from '@entrepot/core';

/** Failures in a row after which nothing is asked for a while. */
const MOST_FAILURES = 3;
/** The time for which nothing is asked: at first, and at the most; milliseconds. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** Keeps callers from what has failed again and again. After a pause one may try; each failure of such a try doubles the pause. */
export class Breaker {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #failures = 0;
  #pause = FIRST_PAUSE;
  /** Until when nothing is asked, on the monotonic clock. */
  #closedUntil = -Infinity;
  #trying = false;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Whether it keeps callers off, or lets one of them try. */
  get isOpen(): boolean {
    return this.#failures >= MOST_FAILURES;
  }

  /** Whether the caller may ask. One that may has to say `succeeded` or `failed`. */
  admits(): boolean {
    if (!this.isOpen) return true;
    if (this.#trying || this.#clock.monotonic() < this.#closedUntil) return false;
    this.#trying = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#pause = FIRST_PAUSE;
    this.#trying = false;
  }

  failed(): void {
    const wasOpen = this.isOpen;
    // Those that began before it opened.
    if (wasOpen && !this.#trying) return;
    this.#failures += 1;
    this.#trying = false;
    if (!this.isOpen) return;
    this.#pause = wasOpen ? Math.min(this.#pause * 2, LONGEST_PAUSE) : FIRST_PAUSE;
    this.#closedUntil = this.#clock.monotonic() + this.#pause;
  }
}
