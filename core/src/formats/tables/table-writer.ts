import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import {
  firstSlot,
  hashWith,
  HEADER_BYTES,
  LONGEST,
  MOST_ROWS,
  MOST_UNITS,
  ROW_HEAD_BYTES,
  SLOT_BYTES,
  UNIT,
  wordsOf,
  writeHeader,
} from './table-layout.js';

/** Bytes that are written at once. */
const WRITE_BYTES = 1024 * 1024;

/**
 * Writes a table, row by row, into a new file. It waits for the disk: for threads beside the event loop. Memory holds the slots,
 * at most 64 MiB, and one megabyte of rows.
 */
export class TableWriter {
  readonly #name: string;
  readonly #seed = randomBytes(16);
  readonly #hash = hashWith(this.#seed);
  readonly #file: number;
  #isOpen = true;
  #pending = Buffer.allocUnsafeSlow(WRITE_BYTES);
  /** Bytes that the file has. */
  #written = HEADER_BYTES;
  /** Bytes of rows that it has not yet. */
  #waiting = 0;
  #rows = 0;
  /** Hash and place in turn. */
  #slots = new Uint32Array(2 * 1024);

  /**
   * @param path of a file that does not exist
   * @param name the identity of what the table is made from: whoever opens it gives the same
   */
  constructor(path: string, name: string) {
    this.#name = name;
    this.#file = openSync(path, 'wx+', 0o600);
  }

  /**
   * Adds a row. Keys are compared as UTF-8.
   * @returns `false` for a key that is there already: the first row with a key counts
   */
  add(key: string, value: Uint8Array | string): boolean {
    const [name, bytes] = [Buffer.from(key), typeof value === 'string' ? Buffer.from(value) : value];
    if (name.length > LONGEST || bytes.length > LONGEST)
      throw new RangeError(`a row of a table has a key and a value of ${LONGEST} bytes at most`);
    const hash = this.#hash(key);
    const slot = this.#freeSlot(hash, name);
    if (slot === undefined) return false;
    const place = (this.#written + this.#waiting) / UNIT;
    if (this.#rows >= MOST_ROWS || place > MOST_UNITS - (2 * LONGEST) / UNIT)
      throw new RangeError(`a table has ${MOST_ROWS} rows and 32 GiB at most`);
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = place;
    this.#append(name, bytes);
    this.#rows += 1;
    if (this.#rows * 3 > this.#slots.length) this.#grow();
    return true;
  }

  /** Writes what is left. Then the file is a table. */
  finish(): void {
    this.#flush();
    const slots = Buffer.from(this.#slots.buffer);
    this.#write(slots, this.#written);
    const [rows, end] = [this.#rows, this.#written / UNIT];
    const count = slots.length / SLOT_BYTES;
    this.#write(
      writeHeader({ seed: this.#seed, name: this.#name, rows, slots: count, end, slotsCrc: crc32(slots) }),
      0,
    );
    this.close();
  }

  /** Closes the file; without `finish` before, it is no table. */
  close(): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
  }

  /** @returns `undefined` where the key has a row */
  #freeSlot(hash: number, key: Buffer): number | undefined {
    const slots = this.#slots;
    let slot = 2 * firstSlot(hash, slots.length / 2);
    for (; slots[slot + 1] !== 0; slot = (slot + 2) % slots.length) {
      if (slots[slot] === hash && this.#keyAt((slots[slot + 1] as number) * UNIT).equals(key)) return undefined;
    }
    return slot;
  }

  #keyAt(place: number): Buffer {
    const head = this.#bytesAt(place, ROW_HEAD_BYTES);
    return this.#bytesAt(place + ROW_HEAD_BYTES, wordsOf(head)[1] as number);
  }

  #bytesAt(place: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    if (place >= this.#written) this.#pending.copy(bytes, 0, place - this.#written);
    else readSync(this.#file, bytes, 0, length, place);
    return bytes;
  }

  #append(key: Buffer, value: Uint8Array): void {
    const length = ROW_HEAD_BYTES + key.length + value.length;
    const padded = Math.ceil(length / UNIT) * UNIT;
    if (this.#waiting + padded > WRITE_BYTES) this.#flush();
    const row =
      padded > WRITE_BYTES ? Buffer.alloc(padded) : this.#pending.subarray(this.#waiting, this.#waiting + padded);
    row.fill(0, length);
    row.set(key, ROW_HEAD_BYTES);
    row.set(value, ROW_HEAD_BYTES + key.length);
    const head = wordsOf(row);
    head[1] = key.length;
    head[2] = value.length;
    head[0] = crc32(row.subarray(4, length));
    if (padded <= WRITE_BYTES) {
      this.#waiting += padded;
      return;
    }
    this.#write(row, this.#written);
    this.#written += padded;
  }

  #flush(): void {
    this.#write(this.#pending.subarray(0, this.#waiting), this.#written);
    this.#written += this.#waiting;
    this.#waiting = 0;
  }

  #write(bytes: Buffer, place: number): void {
    for (let done = 0; done < bytes.length;)
      done += writeSync(this.#file, bytes, done, bytes.length - done, place + done);
  }

  #grow(): void {
    const from = this.#slots;
    const to = (this.#slots = new Uint32Array(2 * from.length));
    for (let at = 0; at < from.length; at += 2) {
      if (from[at + 1] === 0) continue;
      const hash = from[at] as number;
      let slot = 2 * firstSlot(hash, to.length / 2);
      while (to[slot + 1] !== 0) slot = (slot + 2) % to.length;
      to[slot] = hash;
      to[slot + 1] = from[at + 1] as number;
    }
  }
}
