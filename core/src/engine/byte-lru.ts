/** A least-recently-used map that is bounded by the weight of its values. */
export class ByteLru<Value> {
  readonly #maxWeight: number;
  readonly #weigh: (value: Value) => number;
  readonly #onEvict: ((value: Value) => void) | undefined;
  readonly #values = new Map<string, Value>();
  #weight = 0;

  /**
   * @param maxWeight the bound, in whatever `weigh` counts
   * @param weigh the weight of a value; asked when it comes and when it goes, so it must not change
   * @param onEvict told of each value that leaves, for whatever reason
   */
  constructor(maxWeight: number, weigh: (value: Value) => number, onEvict?: (value: Value) => void) {
    this.#maxWeight = maxWeight;
    this.#weigh = weigh;
    this.#onEvict = onEvict;
  }

  get weight(): number {
    return this.#weight;
  }

  get(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    // A Map iterates in the order of insertion: the least recently used value stays first.
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: string, value: Value): void {
    this.delete(key);
    const weight = this.#weigh(value);
    if (weight > this.#maxWeight) {
      this.#onEvict?.(value);
      return;
    }
    this.#values.set(key, value);
    this.#weight += weight;
    for (const [oldest] of this.#values) {
      if (this.#weight <= this.#maxWeight) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.#weight -= this.#weigh(value);
    this.#onEvict?.(value);
  }

  clear(): void {
    for (const key of this.#values.keys()) this.delete(key);
  }
}
