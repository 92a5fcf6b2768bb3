import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

/** The number of bodies that clients may have got while they are still being stored: each may be in memory. */
const MOST_AHEAD = 64;
/** A body may grow to so many times what it leaves free: however many large ones are under way, the next one finds room. */
const MOST_OF_FREE = 2;

/** The disk that spools share: one directory, a bound on all of them together and on each beside the others. */
export class SpoolSpace {
  readonly directory: string;
  readonly #maxBytes: number;
  readonly #freeBytes: () => number;
  #used = 0;
  /** A promise for each body that clients may have before it is kept. */
  readonly #ahead = new Set<Promise<void>>();

  /**
   * @param directory exists, and belongs to this process
   * @param freeBytes gives the bytes that its volume can still take, at once
   */
  constructor(directory: string, maxBytes: number, freeBytes = () => Infinity) {
    this.directory = directory;
    this.#maxBytes = maxBytes;
    this.#freeBytes = freeBytes;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /**
   * @param held what the same body has reserved before
   * @returns whether there was room.
   */
  reserve(bytes: number, held: number): boolean {
    const free = this.#maxBytes - this.#used - bytes;
    if (free < 0 || held + bytes > MOST_OF_FREE * free || bytes > this.#freeBytes()) return false;
    this.#used += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#used -= bytes;
  }

  /**
   * Counts a body that clients get before it is kept.
   * @returns to be called when it is kept, or given up. Absent: the store is too far behind, and the client waits for it
   */
  beginAhead(): (() => void) | undefined {
    if (this.#ahead.size >= MOST_AHEAD) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ahead.add(promise);
    return () => {
      this.#ahead.delete(promise);
      resolve();
    };
  }

  /** Waits until the bodies that clients have had already are kept, or given up. */
  async settled(): Promise<void> {
    await Promise.all(this.#ahead);
  }

  /** A path for one file. */
  newPath(): string {
    return join(this.directory, randomUUID());
  }
}
