import { open, rm, type FileHandle } from 'node:fs/promises';
import { EntrepotError } from '../../api/errors.js';
import type { SpoolSpace } from './spool-space.js';

/** The temp file of one body, within the bounds of the space. Made with its first bytes. */
export class SpoolFile {
  readonly path: string;
  readonly #space: SpoolSpace;
  #file: FileHandle | undefined;
  #size = 0;
  #hasRoom = true;

  constructor(space: SpoolSpace) {
    this.#space = space;
    this.path = space.newPath();
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#size;
  }

  /** Whether there has been room for all that was appended. From then on nothing more is. */
  get hasRoom(): boolean {
    return this.#hasRoom;
  }

  /** Appends `parts` in one go. One call at a time. Afterwards `hasRoom` says whether they are there. */
  async append(parts: readonly Buffer[]): Promise<void> {
    const length = parts.reduce((sum, { length }) => sum + length, 0);
    if (length === 0 || !this.#hasRoom) return;
    if (!this.#space.reserve(length, this.#size)) {
      this.#hasRoom = false;
      return;
    }
    try {
      this.#file ??= await open(this.path, 'wx+', 0o600);
      let rest = parts;
      for (let done = 0; done < length;) {
        const { bytesWritten } = await this.#file.writev(rest, this.#size + done);
        done += bytesWritten;
        rest = without(rest, bytesWritten);
      }
      this.#size += length;
    } catch {
      // Disk full, quota, read-only: the clients still get their bytes, only nothing is kept.
      this.#space.release(length);
      this.#hasRoom = false;
    }
  }

  /** Reads up to `most` bytes from `position`. */
  async read(position: number, most: number): Promise<Buffer> {
    const length = Math.min(most, this.#size - position);
    if (this.#file === undefined || length <= 0) {
      throw new EntrepotError('storage', 'The disk is full and the beginning of this body is no longer in memory');
    }
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.read(buffer, 0, length, position);
    if (bytesRead === 0)
      throw new EntrepotError('storage', `The spool file ends at ${position}; expected ${this.#size} bytes`);
    return buffer.subarray(0, bytesRead);
  }

  /** Empties the file. */
  async clear(): Promise<void> {
    await this.#file?.truncate(0);
    this.#releaseSpace();
  }

  /** Closes and removes the file. */
  async remove(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#releaseSpace();
    if (file === undefined) return;
    await file.close();
    await rm(this.path, { force: true });
  }

  #releaseSpace(): void {
    const size = this.#size;
    this.#size = 0;
    this.#space.release(size);
  }
}

/** Leaves out the first `done` bytes of `parts`. */
function without(parts: readonly Buffer[], done: number): readonly Buffer[] {
  let skipped = 0;
  return parts.flatMap((part) => {
    const from = Math.max(0, Math.min(part.length, done - skipped));
    skipped += part.length;
    return from === part.length ? [] : [part.subarray(from)];
  });
}
