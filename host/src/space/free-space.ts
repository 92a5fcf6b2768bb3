import type { Clock } from '@entrepot/core';

/** The volume is asked again after this long, in milliseconds. */
const ASK_AFTER = 1_000;

/** The free space of the volume of the blobs, beside its reserve. */
export class FreeSpace {
  readonly #read: () => Promise<number>;
  readonly #reserve: number;
  readonly #clock: Clock;
  /** As far as is known. */
  #free = Infinity;
  #readAt = -Infinity;

  /**
   * @param read gives the free bytes of the volume
   * @param reserve bytes that stay free
   */
  constructor(read: () => Promise<number>, reserve: number, clock: Clock) {
    this.#read = read;
    this.#reserve = reserve;
    this.#clock = clock;
  }

  /** The bytes that are lacking for `size` more; 0 or less: there is room. */
  async lacking(size: number, when?: 'anew'): Promise<number> {
    const now = this.#clock.monotonic();
    if (when === 'anew' || now - this.#readAt >= ASK_AFTER) {
      this.#free = await this.#read();
      this.#readAt = now;
    }
    return size + this.#reserve - this.#free;
  }

  /** The bytes that can be written beside the reserve, as far as is known. */
  get left(): number {
    return this.#free - this.#reserve;
  }

  /** Counts bytes that are about to be written, until the volume is asked again. */
  written(size: number): void {
    this.#free -= size;
  }
}
