interface Chunk {
  readonly start: number;
  readonly bytes: Buffer;
}

/** The newest bytes of a growing body, in memory, without a gap. */
export class RecentBytes {
  readonly #chunks: Chunk[] = [];
  #size = 0;
  #joined: Buffer | undefined;

  /** Bytes in memory. */
  get size(): number {
    return this.#size;
  }

  /** The offset of the oldest ones in the body. `undefined`: there are none. */
  get start(): number | undefined {
    return this.#chunks[0]?.start;
  }

  /** The end of the oldest chunk in the body. */
  get oldestEnd(): number {
    const [oldest] = this.#chunks;
    return oldest === undefined ? Infinity : oldest.start + oldest.bytes.length;
  }

  /** Adds the bytes that stand at `start`: where the newest ones end. */
  push(start: number, bytes: Buffer): void {
    this.#chunks.push({ start, bytes });
    this.#size += bytes.length;
  }

  dropOldest(): void {
    this.#size -= this.#chunks.shift()?.bytes.length ?? 0;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#size = 0;
    this.#joined = undefined;
  }

  /** All of them in one buffer of their own size, which takes the place of the chunks: they are joined once. */
  joined(): Buffer {
    const [only] = this.#chunks;
    if (only !== undefined && this.#chunks.length === 1 && only.bytes === this.#joined) return only.bytes;
    const bytes = Buffer.concat(this.#chunks.map((chunk) => chunk.bytes));
    this.#chunks.splice(0, this.#chunks.length, { start: only?.start ?? 0, bytes });
    this.#joined = bytes;
    return bytes;
  }

  /** The chunks that begin at `position` or behind it. */
  from(position: number): readonly Buffer[] {
    return this.#chunks.filter(({ start }) => start >= position).map(({ bytes }) => bytes);
  }

  /** Bytes from `position` on, before `end`; `undefined` where memory does not have them. Followers are mostly at the newest. */
  read(position: number, end: number): Buffer | undefined {
    for (let index = this.#chunks.length - 1; index >= 0; index -= 1) {
      const { start, bytes } = this.#chunks[index] as Chunk;
      if (position < start) continue;
      if (position >= start + bytes.length) return undefined;
      return bytes.subarray(position - start, Math.min(bytes.length, end - start));
    }
    return undefined;
  }
}
