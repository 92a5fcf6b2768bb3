import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Digest } from '../api/digest.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';

/**
 * Opens bytes when the first one is asked for, passes them on, and withholds the last ones until all are known to be those of `digest`: a store that takes whatever it is sent
 * never has the whole of something else. The stream is destroyed; where nobody asks for a byte, it is not opened.
 * @throws EntrepotError `integrity`
 */
export async function* verifiedBytes(open: () => Readable, digest: Digest, size: number): AsyncGenerator<Buffer> {
  const stream = open();
  const hash = createHash('sha256');
  let length = 0;
  let held: Buffer | undefined;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (chunk.length === 0) continue;
      length += chunk.length;
      if (length > size) throw new EntrepotError('integrity', `expected ${size} bytes of ${digest}, found more`);
      hash.update(chunk);
      if (held !== undefined) yield held;
      held = chunk;
    }
  } catch (error) {
    throw asEntrepotError(error, 'storage', 'the bytes to put could not be read');
  } finally {
    stream.destroy();
  }
  const found = `sha256:${hash.digest('hex')}`;
  if (length !== size || found !== digest)
    throw new EntrepotError('integrity', `expected ${size} bytes of ${digest}, found ${length} bytes of ${found}`);
  if (held !== undefined) yield held;
}

/** Cuts bytes into pieces of exact sizes, one after the other. */
export class Pieces {
  readonly #bytes: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(bytes: AsyncIterator<Buffer>) {
    this.#bytes = bytes;
  }

  /** The next `length` bytes, or fewer where they end. */
  async *next(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0;) {
      if (this.#rest.length === 0) {
        const { done = false, value } = await this.#bytes.next();
        if (done) return;
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }
}
