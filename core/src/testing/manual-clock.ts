import type { Clock } from '../api/clock.js';

/** A clock that stands still until a test turns it. */
export class ManualClock implements Clock {
  #now: number;
  #monotonic = 0;

  /** @param start of the wall clock, in milliseconds since the epoch. */
  constructor(start: number = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Lets `milliseconds` pass, on both clocks. */
  advance(milliseconds: number): void {
    if (!(milliseconds >= 0)) throw new RangeError(`time passes forwards: expected 0 or more, found ${milliseconds}`);
    this.#now += milliseconds;
    this.#monotonic += milliseconds;
  }

  /** Sets the wall clock, also back, as an operator or NTP does. The monotonic clock does not notice. */
  set(epochMilliseconds: number): void {
    this.#now = epochMilliseconds;
  }
}
