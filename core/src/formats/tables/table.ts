import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import {
  DamagedTableError,
  firstSlot,
  hashWith,
  HEADER_BYTES,
  LONGEST,
  readHeader,
  ROW_HEAD_BYTES,
  SLOT_BYTES,
  UNIT,
  wordsOf,
} from './table-layout.js';

/** A key and its value. */
export type Row = readonly [key: string, value: Buffer];

/** Bytes that are read for one row: most rows are smaller. */
const ROW_BYTES = 2048;
/** Bytes that are read at once of all rows. */
const READ_BYTES = 256 * 1024;

/** Closes files of tables that nobody has any more. */
const forgotten = new FinalizationRegistry<number>(closeSync);

/**
 * A table of rows in a file: looked up by key with one read of the disk, a few microseconds where the system has the page in memory, and
 * listed in the order in which the rows were added. Memory holds its slots: 8 to 24 bytes a row.
 */
export class Table {
  readonly #file: number;
  readonly #hash: (key: string) => number;
  readonly #slots: Uint32Array;
  readonly #end: number;
  readonly #buffer = Buffer.allocUnsafeSlow(ROW_BYTES);
  /** Number of rows. */
  readonly size: number;

  /**
   * Opens the table that was written to `path` under `name`.
   * @throws DamagedTableError for another file, and for damaged slots; the error of the system where there is none
   */
  static open(path: string, name: string): Table {
    const file = openSync(path, 'r');
    try {
      return new Table(file, name);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  private constructor(file: number, name: string) {
    this.#file = file;
    const { seed, rows, slots, end, slotsCrc } = readHeader(read(file, 0, HEADER_BYTES), name, fstatSync(file).size);
    this.size = rows;
    this.#hash = hashWith(seed);
    this.#end = end * UNIT;
    const bytes = read(file, this.#end, slots * SLOT_BYTES);
    if (crc32(bytes) !== slotsCrc) throw new DamagedTableError('the slots of the table are damaged');
    this.#slots = wordsOf(bytes);
    forgotten.register(this, file, this);
  }

  /** Bytes that it takes in memory, about. */
  get weight(): number {
    return this.#slots.byteLength + ROW_BYTES;
  }

  /** The value of `key`. @throws DamagedTableError */
  get(key: string): Buffer | undefined {
    const slots = this.#slots;
    const hash = this.#hash(key);
    let name: Buffer | undefined;
    // Once around at the most, whatever the slots say.
    let slot = 2 * firstSlot(hash, slots.length / 2);
    for (let left = slots.length; left > 0 && slots[slot + 1] !== 0; left -= 2, slot = (slot + 2) % slots.length) {
      if (slots[slot] !== hash) continue;
      name ??= Buffer.from(key);
      const row = this.#rowAt((slots[slot + 1] as number) * UNIT);
      if (row.key.equals(name)) return Buffer.from(row.value);
    }
    return undefined;
  }

  /** Yields all rows in their order, with a read of the disk every few hundred of them. @throws DamagedTableError */
  *rows(): Generator<Row, void, undefined> {
    let place = HEADER_BYTES;
    for (let left = this.size; left > 0;) {
      let bytes = this.#read(place, READ_BYTES);
      // One that is larger is read by itself.
      if (rowLength(bytes) > bytes.length) bytes = this.#read(place, rowLength(bytes));
      for (let at = 0; left > 0; left -= 1) {
        const row = bytes.subarray(at);
        const length = rowLength(row);
        if (length > row.length) {
          if (at === 0) throw damagedRow();
          break;
        }
        const { key, value } = split(row);
        yield [key.toString(), value];
        at += length;
        place += length;
      }
    }
    if (place !== this.#end) throw damagedRow();
  }

  /** Ends its use: after this, it is not read any more. A table that is forgotten is closed, too. */
  close(): void {
    if (forgotten.unregister(this)) closeSync(this.#file);
  }

  #rowAt(place: number): { readonly key: Buffer; readonly value: Buffer } {
    const length = Math.min(ROW_BYTES, this.#end - place);
    if (place < HEADER_BYTES || length < ROW_HEAD_BYTES) throw damagedRow();
    if (readSync(this.#file, this.#buffer, 0, length, place) < length) throw damagedRow();
    const start = this.#buffer.subarray(0, length);
    const whole = rowLength(start);
    return split(whole <= length ? start : this.#read(place, whole));
  }

  #read(place: number, length: number): Buffer {
    return read(this.#file, place, Math.max(0, Math.min(length, this.#end - place)));
  }
}

/** The bytes of the row that begins here; `Infinity` where not even its head is there. */
function rowLength(bytes: Buffer): number {
  if (bytes.length < ROW_HEAD_BYTES) return Infinity;
  const [, key = 0, value = 0] = wordsOf(bytes.subarray(0, ROW_HEAD_BYTES));
  if (key > LONGEST || value > LONGEST) throw damagedRow();
  return Math.ceil((ROW_HEAD_BYTES + key + value) / UNIT) * UNIT;
}

function split(row: Buffer): { readonly key: Buffer; readonly value: Buffer } {
  if (rowLength(row) > row.length) throw damagedRow();
  const [sum, key = 0, value = 0] = wordsOf(row.subarray(0, ROW_HEAD_BYTES));
  const end = ROW_HEAD_BYTES + key + value;
  if (crc32(row.subarray(4, end)) !== sum) throw damagedRow();
  return { key: row.subarray(ROW_HEAD_BYTES, ROW_HEAD_BYTES + key), value: row.subarray(ROW_HEAD_BYTES + key, end) };
}

function read(file: number, place: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const found = readSync(file, bytes, done, length - done, place + done);
    if (found === 0) throw new DamagedTableError('the table is shorter than was written');
    done += found;
  }
  return bytes;
}

function damagedRow(): DamagedTableError {
  return new DamagedTableError('a row of the table is damaged');
}
