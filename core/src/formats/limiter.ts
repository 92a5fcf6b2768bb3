/**
 * Lets so many run at a time, and so many of each party. The others wait: parties by turns, those of one party first come, first
 * served. So whoever asks for much waits behind its own, and keeps nobody else from a turn.
 */
export class FairLimiter {
  readonly #mostEach: number;
  #free: number;
  readonly #running = new Map<string, number>();
  /** In the order of their next turns. No party is there without a waiter. */
  readonly #waiting = new Map<string, Set<() => void>>();

  /**
   * @param most the number that run at a time
   * @param mostEach those of one party. Left out: as many
   */
  constructor(most: number, mostEach = most) {
    this.#free = most;
    this.#mostEach = mostEach;
  }

  /** Whether one more of `party` would run at once. */
  hasRoomFor(party: string): boolean {
    return this.#free > 0 && (this.#running.get(party) ?? 0) < this.#mostEach;
  }

  /**
   * Waits for a turn.
   * @returns ends it; to be called once
   * @throws the reason of `signal` when that comes first
   */
  async acquire(party: string, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    // A party that waits while there is room has as many running as may be.
    if (this.hasRoomFor(party)) this.#begin(party);
    else await this.#turn(party, signal);
    return () => this.#end(party);
  }

  async #turn(party: string, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#remove(party, begin);
        reject(signal?.reason as Error);
      };
      const waiting = this.#waiting.get(party) ?? new Set();
      this.#waiting.set(party, waiting.add(begin));
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  #begin(party: string): void {
    this.#free -= 1;
    this.#running.set(party, (this.#running.get(party) ?? 0) + 1);
  }

  /** Passes the turn on at once, so that later callers cannot overtake who waits. */
  #end(party: string): void {
    this.#free += 1;
    const left = (this.#running.get(party) as number) - 1;
    if (left === 0) this.#running.delete(party);
    else this.#running.set(party, left);
    for (const [next, waiting] of this.#waiting) {
      if (!this.hasRoomFor(next)) continue;
      const { value: begin } = waiting.values().next() as { readonly value: () => void };
      this.#begin(next);
      this.#remove(next, begin);
      // Its next turn comes after those of all others.
      if (this.#waiting.delete(next)) this.#waiting.set(next, waiting);
      begin();
      return;
    }
  }

  #remove(party: string, begin: () => void): void {
    const waiting = this.#waiting.get(party);
    waiting?.delete(begin);
    if (waiting?.size === 0) this.#waiting.delete(party);
  }
}

/** Lets so many run at a time. The others wait, first come, first served. */
export class Limiter {
  readonly #turns: FairLimiter;

  /** @param most the number that run at a time */
  constructor(most: number) {
    this.#turns = new FairLimiter(most);
  }

  /** Whether one more would run at once. */
  get hasRoom(): boolean {
    return this.#turns.hasRoomFor('');
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
  acquire(signal?: AbortSignal): Promise<() => void> {
    return this.#turns.acquire('', signal);
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
