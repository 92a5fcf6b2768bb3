/** A key and its value. */
export type Row = readonly [key: string, value: Buffer];

/** Rows by key, and in an order. */
export interface Table {
  /** Number of rows. */
  readonly size: number;
  /** Bytes that it takes in memory, about. */
  readonly weight: number;
  /** Whether reading it has failed: then it is to be made anew. */
  readonly isDamaged: boolean;
  /** Finds the value of `key`. @throws DamagedTableError */
  get(key: string): Buffer | undefined;
  /** Yields all rows in the order in which they were added. Reading in turns is up to the caller. @throws DamagedTableError */
  rows(): Iterable<Row>;
}

/** A small table, in memory alone. */
export class MemoryTable implements Table {
  readonly isDamaged = false;
  readonly #rows = new Map<string, Buffer>();
  #weight = 0;

  get size(): number {
    return this.#rows.size;
  }

  get weight(): number {
    return this.#weight;
  }

  /** @returns `false` for a key that is there already: the first row with a key counts */
  add(key: string, value: Uint8Array | string): boolean {
    if (this.#rows.has(key)) return false;
    this.#rows.set(key, Buffer.from(value as Uint8Array));
    this.#weight += ROW_BYTES + 2 * key.length + value.length;
    return true;
  }

  get(key: string): Buffer | undefined {
    return this.#rows.get(key);
  }

  rows(): Iterable<Row> {
    return this.#rows;
  }
}

/** Memory of a row besides its texts, about. */
const ROW_BYTES = 150;
