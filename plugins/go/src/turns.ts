/** Lets a few run at a time; the others wait for their turn. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(free: number) {
    this.#free = free;
  }

  /** Runs `work` when it is its turn. @throws the reason of `signal` when that comes first */
  async take<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    await this.#wait(signal);
    try {
      return await work();
    } finally {
      this.#free += 1;
      const [next] = this.#waiting;
      next?.();
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#free === 0) {
      await new Promise<void>((resolve, reject) => {
        const settle = (): void => {
          this.#waiting.delete(settle);
          signal.removeEventListener('abort', settle);
          if (signal.aborted) reject(signal.reason);
          else resolve();
        };
        this.#waiting.add(settle);
        signal.addEventListener('abort', settle, { once: true });
      });
    }
    this.#free -= 1;
  }
}
