import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
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
    super({ highWaterMark: pieceSize, ...(signal === undefined ? {} : { signal }) });
    this.#handle = handle;
    this.#path = path;
    this.#pieceSize = pieceSize;
    this.#position = range?.start ?? 0;
    // Whoever reads later is still told; whoever does not yet listen must not end the process.
    this.on('error', () => {});
    this.#left = range === undefined ? Infinity : range.end - range.start + 1;
  }

  override _read(): void {
    if (this.#left === 0) {
      this.push(null);
      return;
    }
    const length = Math.min(this.#pieceSize, this.#left);
    // Not from the shared pool: a slow client would keep the whole pool alive by its piece.
    const piece = Buffer.allocUnsafeSlow(length);
    this.#handle.read(piece, 0, length, this.#position).then(
      ({ bytesRead }) => this.#take(piece, bytesRead),
      (error: unknown) => this.destroy(storageError(error, 'read', this.#path)),
    );
  }

  #take(piece: Buffer, bytesRead: number): void {
    if (this.destroyed) return;
    if (bytesRead === 0) {
      if (this.#left === Infinity) this.push(null);
      else this.destroy(new EntrepotError('storage', `cannot read ${this.#path}: it ends ${this.#left} bytes early`));
      return;
    }
    this.#position += bytesRead;
    this.#left -= bytesRead;
    this.push(bytesRead === piece.length ? piece : piece.subarray(0, bytesRead));
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    void this.#close(error, callback);
  }

  /** A read that is under way is waited for: the handle keeps its descriptor until then. */
  async #close(error: Error | null, callback: (error?: Error | null) => void): Promise<void> {
    let outcome = error;
    try {
      await this.#handle.close();
    } catch (failure) {
      outcome ??= storageError(failure, 'close', this.#path);
    }
    callback(outcome);
  }
}
