/** Failures in a row after which something is left alone. */
const FAILURES = 3;
/** The time for which it is left alone, in milliseconds. */
const REST = 10_000;
/** Whoever tries whether it has recovered is waited for so long at the most, in milliseconds. */
const TRIAL = 60_000;

export interface BreakerOptions {
  /** The time for which it is left alone at first, in milliseconds. Default: 10 seconds. */
  readonly rest?: number | undefined;
  /** The time that this grows to, doubled by each trial that fails; milliseconds. Default: `rest`. */
  readonly longestRest?: number | undefined;
}

/**
 * Health of something that is asked over a network. What has failed three times in a row is left alone for a while: it would cost everybody the
 * whole of their patience. Times are milliseconds of the monotonic clock.
 */
export class Breaker {
  readonly #first: number;
  readonly #longest: number;
  #rest: number;
  #failures = 0;
  #openUntil = -Infinity;
  #isTried = false;

  constructor({ rest = REST, longestRest = rest }: BreakerOptions = {}) {
    this.#first = rest;
    this.#longest = longestRest;
    this.#rest = rest;
  }

  /** Whether it is to be left alone now. */
  isOpen(now: number): boolean {
    return now < this.#openUntil;
  }

  /** Whether so many failures came in a row that it is left alone, or tried by one at a time. */
  get isFailing(): boolean {
    return this.#failures >= FAILURES;
  }

  /** Whether it may be asked now. After a rest one may, and the others once that one has told how it went. */
  enter(now: number): boolean {
    if (this.isOpen(now)) return false;
    if (this.isFailing) {
      this.#openUntil = now + TRIAL;
      this.#isTried = true;
    }
    return true;
  }

  /** Notes that whoever entered left before there was an answer. */
  left(now: number): void {
    if (!this.#isTried) return;
    this.#isTried = false;
    this.#openUntil = now;
  }

  /**
   * Notes a failure.
   * @param wanted the time for which it wants to be left alone, in milliseconds. Default: none
   */
  failed(now: number, wanted = 0): void {
    const wasFailing = this.isFailing;
    if (wasFailing && !this.#isTried && this.isOpen(now)) {
      // One that had begun before.
      this.#openUntil = Math.max(this.#openUntil, now + wanted);
      return;
    }
    this.#failures += 1;
    this.#isTried = false;
    if (this.isFailing) this.#rest = wasFailing ? Math.min(2 * this.#rest, this.#longest) : this.#first;
    const wait = this.isFailing ? Math.max(wanted, this.#rest) : wanted;
    this.#openUntil = wait === 0 ? -Infinity : now + wait;
  }

  /** Notes an answer: it is healthy. */
  answered(): void {
    this.#failures = 0;
    this.#openUntil = -Infinity;
    this.#isTried = false;
  }
}
