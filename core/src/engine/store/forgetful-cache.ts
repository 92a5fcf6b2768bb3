import type { HotCache } from '../../api/hot-cache.js';

/** Caches that were made so far. */
let made = 0;

/**
 * The part of a hot cache that is one repository's, which can forget all of it. The same repository under another configuration has
 * another part: what another upstream lacked says nothing of this one.
 */
export class ForgetfulCache implements HotCache {
  readonly #cache: HotCache;
  readonly #kind: string;
  readonly #own = (made += 1);
  /** Goes up when everything is forgotten: what stands under older keys is never asked for again, and ends by itself. */
  #generation = 0;

  /** @param kind as `RepositoryDefinition` has it */
  constructor(cache: HotCache, kind = '') {
    this.#cache = cache;
    this.#kind = kind;
  }

  get shared(): HotCache | undefined {
    return this.#cache.shared;
  }

  get(key: string): Promise<string | undefined> {
    return this.#cache.get(this.#place(key));
  }

  set(key: string, value: string, ttl: number): Promise<void> {
    return this.#cache.set(this.#place(key), value, ttl);
  }

  delete(key: string): Promise<void> {
    return this.#cache.delete(this.#place(key));
  }

  /** The whole cache is its owner's to close. */
  async dispose(): Promise<void> {}

  forgetAll(): void {
    this.#generation += 1;
  }

  #place(key: string): string {
    // A purge changes the names of all that is shared, for all processes.
    if (this.#cache.shared !== undefined) return `${this.#kind}:${key}`;
    return `${this.#own}.${this.#generation}:${key}`;
  }
}
