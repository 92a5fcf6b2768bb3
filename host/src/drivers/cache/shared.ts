import type { HotCache } from '@entrepot/core';
import type { KeptValue } from './stored-value.js';

/** A cache outside this process. It never fails, and never takes long. */
export interface FarCache {
  get(key: string): Promise<KeptValue | undefined>;
  set(key: string, value: string, ttl: number): void;
  delete(key: string): void;
  dispose(): void;
}

export interface SharedHotCacheParts {
  readonly near: HotCache;
  readonly far: FarCache;
  /**
   * Names what is shared: the same for all processes over one store, and another one after each purge. `undefined`: it is not known
   * yet, and nothing is shared.
   */
  place(): string | undefined;
  now(): number;
}

/** A `HotCache` of several processes: each has a memory of its own before it, which is there when the shared one is not. */
export class SharedHotCache implements HotCache {
  readonly #parts: SharedHotCacheParts;
  readonly shared: HotCache;

  /** @param parts the cache closes both */
  constructor(parts: SharedHotCacheParts) {
    this.#parts = parts;
    this.shared = {
      get: async (key) => (await this.#far(key))?.value,
      set: async (key, value, ttl) => this.#setFar(key, value, ttl),
      delete: async (key) => this.#setFar(key, '', 0),
      // The whole cache is its owner's to close.
      dispose: async () => {},
    };
  }

  async get(key: string): Promise<string | undefined> {
    const { near, now } = this.#parts;
    const place = this.#placeOf(key);
    const known = await near.get(place);
    if (known !== undefined) return known;
    const found = await this.#far(key);
    if (found === undefined) return undefined;
    const left = found.expires - now();
    if (left > 0) await near.set(place, found.value, left);
    return found.value;
  }

  async set(key: string, value: string, ttl: number): Promise<void> {
    await this.#parts.near.set(this.#placeOf(key), value, ttl);
    this.#setFar(key, value, ttl);
  }

  async delete(key: string): Promise<void> {
    await this.#parts.near.delete(this.#placeOf(key));
    this.#setFar(key, '', 0);
  }

  async dispose(): Promise<void> {
    this.#parts.far.dispose();
    await this.#parts.near.dispose();
  }

  async #far(key: string): Promise<KeptValue | undefined> {
    return this.#parts.place() === undefined ? undefined : await this.#parts.far.get(this.#placeOf(key));
  }

  #setFar(key: string, value: string, ttl: number): void {
    if (this.#parts.place() === undefined) return;
    if (ttl > 0) this.#parts.far.set(this.#placeOf(key), value, ttl);
    else this.#parts.far.delete(this.#placeOf(key));
  }

  /** What is shared before a purge is under other names than what is shared after it. */
  #placeOf(key: string): string {
    return `${this.#parts.place() ?? ''}:${key}`;
  }
}
