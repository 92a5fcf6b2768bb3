import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import type { Digest } from '@entrepot/core';
import { FILE_MODE } from './new-file.js';

/** Where a copy of a blob is made, and what becomes of it. */
export interface CacheFileOptions {
  readonly digest: Digest;
  /** The file of the copy, once it is whole. */
  readonly path: string;
  /** The folder for files that are being written. */
  readonly temporary: string;
  /** The largest copy, in bytes. */
  readonly maxSize: number;
  /** A copy is there. */
  readonly filled: (size: number) => Promise<void>;
  /** Nothing was kept. @param error absent: the reader left, or it is too large */
  readonly failed: (error?: unknown) => void;
}

/**
 * Passes a whole blob on and copies it into a file meanwhile, which gets its name when it has the bytes of its digest. A disk that
 * fails ends the copy, not the reader.
 */
export class CacheFile extends Transform {
  readonly #options: CacheFileOptions;
  readonly #draft: string;
  readonly #hash: Hash = createHash('sha256');
  #handle: FileHandle | undefined;
  #length = 0;
  #isKept = true;
  #isOver = false;

  constructor(options: CacheFileOptions) {
    super({ readableHighWaterMark: 256 * 1024, writableHighWaterMark: 256 * 1024 });
    this.#options = options;
    this.#draft = `${options.temporary}/${randomUUID()}.part`;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    void this.#keep(chunk).then(() => done(null, chunk));
  }

  override _flush(done: TransformCallback): void {
    void this.#publish().then(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    void this.#giveUp().then(() => done(error));
  }

  async #keep(chunk: Buffer): Promise<void> {
    if (!this.#isKept) return;
    this.#length += chunk.length;
    if (this.#length > this.#options.maxSize) return await this.#giveUp();
    try {
      this.#handle ??= await open(this.#draft, 'wx', FILE_MODE);
      this.#hash.update(chunk);
      for (let written = 0; written < chunk.length;) {
        written += (await this.#handle.write(chunk, written)).bytesWritten;
      }
    } catch (error) {
      await this.#giveUp(error);
    }
  }

  async #publish(): Promise<void> {
    const { digest, path, filled } = this.#options;
    // An empty blob is as quick from anywhere.
    if (!this.#isKept || this.#handle === undefined) return await this.#giveUp();
    try {
      // The engine tells its reader of a damaged blob.
      if (`sha256:${this.#hash.digest('hex')}` !== digest) return await this.#giveUp();
      await this.#handle.close();
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(this.#draft, path);
      this.#isOver = true;
      await filled(this.#length);
    } catch (error) {
      await this.#giveUp(error);
    }
  }

  async #giveUp(error?: unknown): Promise<void> {
    this.#isKept = false;
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#handle?.close().catch(() => {});
    await rm(this.#draft, { force: true }).catch(() => {});
    this.#options.failed(error);
  }
}
