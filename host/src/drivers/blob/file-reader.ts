import type { FileHandle } from 'node:fs/promises';
import { addAbortSignal, Readable } from 'node:stream';
import type { ByteRange } from '@entrepot/core';
import { EntrepotError } from '@entrepot/core';
import { storageError } from './storage-error.js';

/** Which part of a file is read, and in what pieces. */
export interface FileReaderOptions {
  /** Absent: to the end of the file. */
  readonly range?: ByteRange | undefined;
  /** Bytes a read. Larger pieces cost fewer trips to the thread pool, and more memory for every reader. */
  readonly pieceSize: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The bytes of an open file, which it closes. Unlike the stream of `node:fs` its failures are ours, and a file that ends
 * inside the range is a failure.
 */
export class FileReader extends Readable {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #pieceSize: number;
  #position: number;
  /** Bytes that are still to be read; `Infinity` when the end of the file says so. */
  #left: number;

  constructor(handle: FileHandle, path: string, { range, pieceSize, signal }: FileReaderOptions) {
    super({ highWaterMark: pieceSize });
    this.#handle = handle;
    this.#path = path;
    this.#pieceSize = pieceSize;
    this.#position = range?.start ?? 0;
    // Whoever reads later is still told; whoever does not yet listen must not end the process.
    this.on('error', () => {});
    this.#left = range === undefined ? Infinity : range.end - range.start + 1;
    // Last: one that is aborted already destroys it at once, and the handle has to be known then.
    if (signal !== undefined) addAbortSignal(signal, this);
  }

  /**
   * The next bytes, into the caller's own buffer: for one that sends a file piece by piece and uses its buffers again. Not
   * together with reading the stream; `destroy` closes the file as ever.
   * @returns the number of bytes in `buffer` now; 0 at the end of the range
   * @throws EntrepotError `storage` when the file cannot be read, or ends inside the range
   */
  async readInto(buffer: Buffer): Promise<number> {
    const length = Math.min(buffer.length, this.#left);
    if (length === 0) return 0;
    const { bytesRead } = await this.#handle.read(buffer, 0, length, this.#position).catch((error: unknown) => {
      throw storageError(error, 'read', this.#path);
    });
    if (bytesRead === 0 && this.#left !== Infinity) {
      throw new EntrepotError('storage', `cannot read ${this.#path}: it ends ${this.#left} bytes early`);
    }
    this.#position += bytesRead;
    this.#left -= bytesRead;
    return bytesRead;
  }

  override _read(): void {
    // Not from the shared pool: a slow client would keep the whole pool alive by its piece.
    const piece = Buffer.allocUnsafeSlow(Math.min(this.#pieceSize, this.#left));
    this.readInto(piece).then(
      (length) => {
        if (!this.destroyed) this.push(length === 0 ? null : piece.subarray(0, length));
      },
      (error: Error) => this.destroy(error),
    );
  }

  /** A read that is under way is waited for: the handle keeps its descriptor until then. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#handle.close().then(
      () => callback(error),
      (failure: unknown) => callback(error ?? storageError(failure, 'close', this.#path)),
    );
  }
}
