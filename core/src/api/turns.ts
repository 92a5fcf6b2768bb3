import { setImmediate } from 'node:timers/promises';

/** How long one piece of work keeps the event loop, in milliseconds. */
const TURN = 2;

/** Lets other work run once a turn is over: what is long is done in turns, so that no request waits for another one. */
export class WorkTurns {
  #since = performance.now();

  /** Goes on at once while the turn lasts. */
  async pause(): Promise<void> {
    if (this.over) await this.next();
  }

  /** Whether this turn has been long enough. */
  get over(): boolean {
    return performance.now() - this.#since > TURN;
  }

  /** Lets others run, and begins the next turn. */
  async next(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
