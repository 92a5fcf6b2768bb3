import { setTimeout as timer } from 'node:timers/promises';
import type { Clock } from '@entrepot/core';

/** The shortest pause, in milliseconds: a shorter one is owed to the next. */
const SHORTEST = 10;
/** The longest one, which a timer can hold. */
const LONGEST = 2 ** 31 - 1;

/** Time that is made up for at the most, in milliseconds. */
const CREDIT = 1_000;

/** Pauses for so many milliseconds, or until a signal is aborted: then it throws the reason. */
export type Pause = (milliseconds: number, signal: AbortSignal) => Promise<void>;

/** Keeps work to a rate: the work itself takes part of the time. What was not used of more than a second is not made up for. */
export class Pace {
  readonly #rate: number;
  readonly #clock: Clock;
  readonly #pause: Pause;
  /** When all that was spent is paid for, on the monotonic clock. */
  #due: number;

  /** @param rate bytes a second; `Infinity`: no bound */
  constructor(rate: number, clock: Clock, pause: Pause = realPause) {
    this.#rate = rate;
    this.#clock = clock;
    this.#pause = pause;
    this.#due = clock.monotonic();
  }

  /** Counts bytes, and waits until more may follow. @throws the reason of `signal` */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#rate === Infinity) return;
    const now = this.#clock.monotonic();
    this.#due = Math.max(this.#due, now - CREDIT) + (bytes / this.#rate) * 1000;
    if (this.#due - now >= SHORTEST) await this.#pause(Math.min(LONGEST, this.#due - now), signal);
  }
}

async function realPause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await timer(milliseconds, undefined, { signal, ref: false }).catch(() => signal.throwIfAborted());
}
