interface Node<Value> {
  readonly key: string;
  readonly value: Value;
  readonly weight: number;
  older: Node<Value>;
  newer: Node<Value>;
}

/**
 * A least-recently-used map that is bounded by the weight of its values.
 *
 * A list through the values, beside a map of them. The order of a Map alone would do, but to move a value to its end leaves a hole,
 * and whoever looks for the oldest value steps over all holes that there are.
 */
export class Lru<Value> {
  readonly #maxWeight: number;
  readonly #weigh: (value: Value, key: string) => number;
  readonly #onEvict: ((value: Value) => void) | undefined;
  readonly #nodes = new Map<string, Node<Value>>();
  /** Between the newest and the oldest, which closes the ring. */
  readonly #ends: Node<Value>;
  #weight = 0;

  /**
   * @param maxWeight the bound, in whatever `weigh` counts
   * @param weigh the weight of a value; asked when it comes. Left out: each weighs 1
   * @param onEvict told of each value that leaves, for whatever reason
   */
  constructor(
    maxWeight: number,
    weigh: (value: Value, key: string) => number = () => 1,
    onEvict?: (value: Value) => void,
  ) {
    this.#maxWeight = maxWeight;
    this.#weigh = weigh;
    this.#onEvict = onEvict;
    const ends = { key: '', value: undefined as Value, weight: 0 } as Node<Value>;
    ends.older = ends;
    ends.newer = ends;
    this.#ends = ends;
  }

  /** The number of values. */
  get size(): number {
    return this.#nodes.size;
  }

  /** The weight of all values. */
  get weight(): number {
    return this.#weight;
  }

  /** The value of `key`, which becomes the most recently used. */
  get(key: string): Value | undefined {
    const node = this.#nodes.get(key);
    if (node === undefined) return undefined;
    if (node !== this.#ends.older) {
      unlink(node);
      this.#linkNewest(node);
    }
    return node.value;
  }

  /** Yields all entries, the least recently used first. */
  *entries(): Generator<readonly [key: string, value: Value], void, undefined> {
    for (let node = this.#ends.newer; node !== this.#ends; node = node.newer) yield [node.key, node.value];
  }

  /** Puts `value`, and takes out the oldest ones for which there is no room. One that is too heavy by itself leaves at once. */
  set(key: string, value: Value): void {
    this.delete(key);
    const weight = this.#weigh(value, key);
    if (weight > this.#maxWeight) {
      this.#onEvict?.(value);
      return;
    }
    const node = { key, value, weight } as Node<Value>;
    this.#linkNewest(node);
    this.#nodes.set(key, node);
    this.#weight += weight;
    while (this.#weight > this.#maxWeight) this.#remove(this.#ends.newer);
  }

  /** Whether there was one. */
  delete(key: string): boolean {
    const node = this.#nodes.get(key);
    if (node !== undefined) this.#remove(node);
    return node !== undefined;
  }

  clear(): void {
    while (this.#nodes.size > 0) this.#remove(this.#ends.newer);
  }

  #remove(node: Node<Value>): void {
    this.#nodes.delete(node.key);
    unlink(node);
    this.#weight -= node.weight;
    this.#onEvict?.(node.value);
  }

  #linkNewest(node: Node<Value>): void {
    const newest = this.#ends.older;
    node.older = newest;
    node.newer = this.#ends;
    newest.newer = node;
    this.#ends.older = node;
  }
}

function unlink({ older, newer }: Node<unknown>): void {
  older.newer = newer;
  newer.older = older;
}
