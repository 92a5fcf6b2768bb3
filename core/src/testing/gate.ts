/** A place where work waits until a test lets it on. */
export class Gate {
  /** Resolves when somebody waits here for the first time. */
  readonly reached: Promise<void>;
  readonly #opened: Promise<void>;
  #arrive = (): void => {};
  #open = (): void => {};
  #waiting = 0;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#arrive = resolve;
    });
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  /** How many have come so far. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Lets everybody on, those who wait and those who come later. */
  open(): void {
    this.#open();
  }

  /** Waits until the gate is open. */
  async pass(): Promise<void> {
    this.#waiting += 1;
    this.#arrive();
    await this.#opened;
  }
}
