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
  #reading: Promise<void> | undefined;

  /**
   * @param read gives the free bytes of the volume
   * @param reserve bytes that stay free
   */
  constructor(read: () => Promise<number>, reserve: number, clock: Clock) {
    this.#read = read;
    this.#reserve = reserve;
    this.#clock = clock;
  }

  /** The bytes that can be written beside the reserve, as far as is known. */
  get left(): number {
    return this.#free - this.#reserve;
  }

  /**
   * Takes `size` bytes of the free ones, until the volume is asked again.
   * @param when the volume is asked: at times, or anew
   * @returns the bytes that are lacking; 0 or less: there were enough, and they are taken
   */
  async take(size: number, when?: 'anew'): Promise<number> {
    if (when === 'anew' || this.#clock.monotonic() - this.#readAt >= ASK_AFTER) await this.#ask();
    const lacking = size + this.#reserve - this.#free;
    if (lacking <= 0) this.#free -= size;
    return lacking;
  }

  /** Asks the volume, once for all who ask meanwhile: what one of them takes must not be forgotten by the next. */
  async #ask(): Promise<void> {
    this.#reading ??= this.#read()
      .then((free) => {
        this.#free = free;
        this.#readAt = this.#clock.monotonic();
      })
      .finally(() => {
        this.#reading = undefined;
      });
    await this.#reading;
  }
}
