import type { Clock } from '@entrepot/core';
import type { SqlPinStore } from '../drivers/sql/pin-store.js';
import { parseSelector, type Selectable, type Selector } from './selector.js';

/** How long the pins are remembered; those that other processes make come into force after that. Milliseconds. */
const REMEMBERED = 5_000;

/** The pins in force. */
export class Pins {
  readonly #store: SqlPinStore;
  readonly #clock: Clock;
  #selectors: readonly Selector[] = [];
  #readAt = -Infinity;

  constructor(store: SqlPinStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Forgets what is remembered: this process has changed a pin. */
  changed(): void {
    this.#readAt = -Infinity;
  }

  /** Whether entries are pinned. */
  async matcher(): Promise<(entry: Selectable) => boolean> {
    const now = this.#clock.monotonic();
    if (now - this.#readAt >= REMEMBERED) {
      this.#selectors = (await this.#store.list()).map(({ subject }) => parseSelector(subject));
      this.#readAt = now;
    }
    const selectors = this.#selectors;
    return (entry) => selectors.some((selector) => selector.takes(entry));
  }
}
