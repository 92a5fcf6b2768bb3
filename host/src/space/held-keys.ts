import type { Clock, Logger } from '@entrepot/core';
import type { Memory } from './memory.js';

/** Life of remembered keys, in milliseconds. */
const REMEMBERED = 30_000;

interface Known {
  readonly keys: ReadonlySet<string>;
  readonly readAt: number;
}

const NONE: ReadonlySet<string> = new Set();

/** Keys of entries that are not evicted, since what repositories publish names them. */
export class HeldKeys {
  readonly #memory: Memory;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known = new Map<string, Known>();

  constructor(memory: Memory, clock: Clock, logger: Logger) {
    this.#memory = memory;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** The keys of a repository. While they cannot be told, those of before. */
  async of(repository: string): Promise<ReadonlySet<string>> {
    const roots = this.#memory.engine(repository)?.roots;
    if (roots === undefined) return NONE;
    const now = this.#clock.monotonic();
    const known = this.#known.get(repository);
    if (known !== undefined && now - known.readAt < REMEMBERED) return known.keys;
    const keys = await roots.heldKeys().catch((err: unknown) => {
      this.#logger.warn({ err, repository }, 'it is not known what must not be evicted');
      return known?.keys ?? NONE;
    });
    this.#known.set(repository, { keys, readAt: now });
    return keys;
  }
}
