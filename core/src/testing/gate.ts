/** A place where work waits until a test lets it on. */
export class Gate {
  readonly #arrival = Promise.withResolvers<void>();
  readonly #opening = Promise.withResolvers<void>();
  #waiting = 0;

  /** Resolves when somebody waits here for the first time. */
  readonly reached: Promise<void> = this.#arrival.promise;

  /** The number of those who have come so far. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Lets everybody on, those who wait and those who come later. */
  open(): void {
    this.#opening.resolve();
  }

  /** Waits until the gate is open. */
  async pass(): Promise<void> {
    this.#waiting += 1;
    this.#arrival.resolve();
    await this.#opening.promise;
  }
}
