import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';

const PENDING = 1024 * 1024;

/** A new file that grows at its end. Synchronous: for threads that do nothing else. */
export class AppendFile {
  readonly #file: number;
  /** Reused: what is appended is mostly small, and much of it. */
  readonly #pending = Buffer.allocUnsafe(PENDING);
  #pendingSize = 0;
  #size = 0;
  #isOpen = true;

  constructor(path: string) {
    this.#file = openSync(path, 'w+');
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): void {
    if (this.#pendingSize + bytes.length > PENDING) this.flush();
    if (bytes.length > PENDING) writeAll(this.#file, bytes);
    else {
      this.#pending.set(bytes, this.#pendingSize);
      this.#pendingSize += bytes.length;
    }
    this.#size += bytes.length;
  }

  /** Hands over what is pending. */
  flush(): void {
    writeAll(this.#file, this.#pending.subarray(0, this.#pendingSize));
    this.#pendingSize = 0;
  }

  /** The text at `offset`, of what is flushed. */
  readText(offset: number, length: number): string {
    const bytes = Buffer.allocUnsafe(length);
    readSync(this.#file, bytes, 0, length, offset);
    return bytes.toString('utf8');
  }

  /** Writes what is pending, down to the disk, and closes. */
  finish(): void {
    this.flush();
    fsyncSync(this.#file);
    this.close();
  }

  /** Closes, and leaves what is pending. Idempotent. */
  close(): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
  }
}

/** Writes `parts` as the file `path`, down to the disk. */
export function writeDurably(path: string, parts: readonly Uint8Array[]): void {
  const file = new AppendFile(path);
  try {
    for (const part of parts) file.append(part);
    file.finish();
  } finally {
    file.close();
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(file, bytes, done, bytes.length - done);
}
