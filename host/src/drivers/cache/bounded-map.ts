/** What a `BoundedMap` holds at the most. */
export interface MapBounds {
  readonly keys: number;
  /** UTF-16 units of keys and values together; 1 to 2 bytes each. */
  readonly characters: number;
}

/** A `Map` of texts that forgets what was least recently used when it is full. A text that would not fit by itself is not kept. */
export class BoundedMap extends Map<string, string> {
  readonly #bounds: MapBounds;
  #characters = 0;

  constructor(bounds: MapBounds) {
    super();
    this.#bounds = bounds;
  }

  /** UTF-16 units held now. */
  get characters(): number {
    return this.#characters;
  }

  override get(key: string): string | undefined {
    const value = super.get(key);
    if (value === undefined) return undefined;
    // A map goes in the order of insertion: what is inserted anew is the youngest.
    super.delete(key);
    super.set(key, value);
    return value;
  }

  override set(key: string, value: string): this {
    this.delete(key);
    const length = key.length + value.length;
    if (length > this.#bounds.characters) return this;
    super.set(key, value);
    this.#characters += length;
    for (const oldest of this.keys()) {
      if (this.size <= this.#bounds.keys && this.#characters <= this.#bounds.characters) break;
      this.delete(oldest);
    }
    return this;
  }

  override delete(key: string): boolean {
    const value = super.get(key);
    if (value !== undefined) this.#characters -= key.length + value.length;
    return super.delete(key);
  }

  override clear(): void {
    super.clear();
    this.#characters = 0;
  }
}
