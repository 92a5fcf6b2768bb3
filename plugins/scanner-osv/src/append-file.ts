import { closeSync, fsyncSync, openSync, readSync, writeFileSync } from 'node:fs';

const PENDING = 1024 * 1024;

/** A new file that grows at its end. Synchronous: for threads that do nothing else. */
export class AppendFile {
  readonly #file: number;
  /** Pieces that are not written yet: most are small, and there are many. */
  #pending: Uint8Array[] = [];
  #written = 0;
  #size = 0;
  #isOpen = true;

  constructor(path: string) {
    this.#file = openSync(path, 'w+');
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /** @param bytes must not change any more */
  append(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#size += bytes.length;
    if (this.#size - this.#written >= PENDING) this.flush();
  }

  /** Hands over what is pending. */
  flush(): void {
    writeFileSync(this.#file, Buffer.concat(this.#pending));
    this.#pending = [];
    this.#written = this.#size;
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
  const file = openSync(path, 'w');
  try {
    for (const part of parts) writeFileSync(file, part);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
