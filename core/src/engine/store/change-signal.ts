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

  /** Waits for the next change. @returns whether `milliseconds` passed before it */
  async isLaterThan(milliseconds: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(true), milliseconds);
    void this.next.then(() => {
      clearTimeout(timer);
      resolve(false);
    });
    return await promise;
  }
}
