/** Collects bytes in one growing buffer that is used again and again. */
export class ByteWriter {
  #bytes: Buffer;
  #size = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** Bytes collected since the last `clear`. */
  get size(): number {
    return this.#size;
  }

  append(source: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#reserve(length);
    // A native copy costs more than a few dozen bytes are worth.
    if (length > 48) {
      source.copy(this.#bytes, this.#size, start, end);
    } else {
      const bytes = this.#bytes;
      for (let at = start, to = this.#size; at < end; at++, to++) bytes[to] = source[at] as number;
    }
    this.#size += length;
  }

  /** The collected bytes as text, read as UTF-8. */
  toString(): string {
    return this.#bytes.toString('utf8', 0, this.#size);
  }

  clear(): void {
    this.#size = 0;
  }

  #reserve(length: number): void {
    if (this.#size + length <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#size + length));
    this.#bytes.copy(larger, 0, 0, this.#size);
    this.#bytes = larger;
  }
}
