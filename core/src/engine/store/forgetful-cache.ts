import type { HotCache } from '../../api/hot-cache.js';

/** The part of a hot cache that is one repository's, which can forget all of it. */
export class ForgetfulCache implements HotCache {
  readonly #cache: HotCache;
  /** Goes up when everything is forgotten: what stands under older keys is never asked for again, and ends by itself. */
  #generation = 0;

  constructor(cache: HotCache) {
    this.#cache = cache;
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
    return this.#generation === 0 ? key : `${this.#generation}:${key}`;
  }
}
