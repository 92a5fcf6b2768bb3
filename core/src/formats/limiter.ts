/** Lets so many run at a time. The others wait, first come, first served. */
export class Limiter {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param most the number that run at a time */
  constructor(most: number) {
    this.#free = most;
  }

  /** Whether one more would run at once. */
  get hasRoom(): boolean {
    return this.#free > 0;
  }

  /** Runs `work` when it is its turn. @throws the reason of `signal` when that comes first */
  async run<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const release = await this.acquire(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /**
   * Waits for a turn.
   * @returns ends it; to be called once
   * @throws the reason of `signal` when that comes first
   */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    return () => this.#release();
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(begin);
        reject(signal?.reason as Error);
      };
      this.#waiting.add(begin);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  /** Passes the turn to the first waiter, so that later callers cannot overtake it. */
  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

/** Does `work` for each of `items`, at most so many at a time. After a failure no other one is begun. */
export async function forEachLimited<Item>(
  items: readonly Item[],
  most: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let at = 0;
  const run = async (): Promise<void> => {
    while (at < items.length) await work(items[at++] as Item);
  };
  await Promise.all(Array.from({ length: most }, run)).finally(() => (at = items.length));
}
