/** Tells those who wait that something has changed. */
export class ChangeSignal {
  #change = Promise.withResolvers<void>();

  /** Resolves with the next change. */
  get next(): Promise<void> {
    return this.#change.promise;
  }

  notify(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
  }
}
