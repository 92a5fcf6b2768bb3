import type { createHash } from 'node:crypto';
import { slices } from '@entrepot/core/formats';

/** Reads bytes as they come, so many at a time: holds what was asked for and one piece. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #tooShort: () => Error;
  #piece: Buffer = Buffer.alloc(0);

  /** @param tooShort makes the error for a source that ends too early */
  constructor(bytes: AsyncIterable<Uint8Array>, tooShort: () => Error) {
    this.#source = bytes[Symbol.asyncIterator]();
    this.#tooShort = tooShort;
  }

  /** Takes the next `length` bytes. */
  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    await this.#read(length, (part) => parts.push(part));
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** Passes over the next `length` bytes. */
  async skip(length: number): Promise<void> {
    await this.#read(length, () => {});
  }

  /** Yields what is left, in pieces. */
  async *rest(): AsyncGenerator<Buffer> {
    while (!(await this.isAtEnd())) {
      const piece = this.#piece;
      this.#piece = piece.subarray(piece.length);
      yield piece;
    }
  }

  /** Whether there is nothing left. */
  async isAtEnd(): Promise<boolean> {
    // An empty piece says nothing about the end.
    while (this.#piece.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return true;
      this.#piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    return false;
  }

  /** Ends the source. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #read(length: number, use: (part: Buffer) => unknown): Promise<void> {
    for (let left = length; left > 0;) {
      if (await this.isAtEnd()) throw this.#tooShort();
      const part = this.#piece.subarray(0, left);
      this.#piece = this.#piece.subarray(part.length);
      left -= part.length;
      use(part);
    }
  }
}

/** The same bytes, in pieces that hold nobody up; `hash` has read them. */
export async function* hashed(
  bytes: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Buffer> {
  for await (const piece of slices(bytes)) {
    hash.update(piece);
    yield piece;
  }
}
