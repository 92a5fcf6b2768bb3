/** Work that serves all who asked for it before it began, such as the sync of a file: many wait for one run. */
export class SharedRun {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Settles with a run that began after this call. A run that is under way may have come too early for the caller. */
  request(): Promise<void> {
    this.#next ??= this.#begin(this.#running);
    return this.#next;
  }

  async #begin(before: Promise<void> | undefined): Promise<void> {
    // Callers of the earlier run learn of its failure; this run waits only for its end.
    await before?.catch(() => {});
    const run = this.#work();
    this.#running = run;
    this.#next = undefined;
    try {
      await run;
    } finally {
      if (this.#running === run) this.#running = undefined;
    }
  }
}
