import { close, closeSync, fstat, open, read, readSync, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { WorkTurns } from '../work-turns.js';
import type { Row, Table } from './table.js';
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

/** Bytes that are read for one row: most rows are smaller. */
const ROW_BYTES = 2048;
/** Bytes that are read, or summed, at once. */
const READ_BYTES = 256 * 1024;

/** Closes files of tables that nobody has any more. */
const forgotten = new FinalizationRegistry<number>((file) => close(file, () => {}));

/**
 * A table in a file: a row is looked up with one read of the disk, a few microseconds where the system has the page in memory. Memory holds
 * the slots: 12 to 24 bytes a row.
 */
export class FileTable implements Table {
  readonly #file: number;
  readonly #hash: (key: string) => number;
  readonly #slots: Uint32Array;
  readonly #end: number;
  readonly #buffer = Buffer.allocUnsafeSlow(ROW_BYTES);
  readonly size: number;
  isDamaged = false;

  /**
   * Opens the table that was written to `path` under `name`.
   * @throws DamagedTableError for another file, and for damaged slots; the error of the system where there is none
   */
  static async open(path: string, name: string): Promise<FileTable> {
    const file = await promisify(open)(path, 'r');
    try {
      const { size } = await promisify<number, Stats>(fstat)(file);
      const header = readHeader(await readAll(file, 0, HEADER_BYTES), name, size);
      const end = header.end * UNIT;
      const slots = await readAll(file, end, header.slots * SLOT_BYTES);
      if ((await sumOf(slots)) !== header.slotsCrc) throw new DamagedTableError('the slots of the table are damaged');
      return new FileTable(file, hashWith(header.seed), wordsOf(slots), end, header.rows);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  private constructor(file: number, hash: (key: string) => number, slots: Uint32Array, end: number, rows: number) {
    this.#file = file;
    this.#hash = hash;
    this.#slots = slots;
    this.#end = end;
    this.size = rows;
    forgotten.register(this, file, this);
  }

  get weight(): number {
    return this.#slots.byteLength + ROW_BYTES;
  }

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

  *rows(): Generator<Row, void, undefined> {
    let place = HEADER_BYTES;
    for (let left = this.size; left > 0;) {
      let bytes = this.#read(place, READ_BYTES);
      // One that is larger is read by itself.
      if (this.#lengthOf(bytes) > bytes.length) bytes = this.#read(place, this.#lengthOf(bytes));
      for (let at = 0; left > 0; left -= 1) {
        const row = bytes.subarray(at);
        const length = this.#lengthOf(row);
        if (length > row.length && at > 0) break;
        const { key, value } = this.#split(row);
        yield [key.toString(), value];
        at += length;
        place += length;
      }
    }
    if (place !== this.#end) throw this.#damaged();
  }

  /** Ends its use: after this, it is not read any more. A table that is forgotten is closed, too. */
  close(): void {
    if (forgotten.unregister(this)) closeSync(this.#file);
  }

  #rowAt(place: number): { readonly key: Buffer; readonly value: Buffer } {
    const start = this.#read(place, ROW_BYTES, this.#buffer);
    const whole = this.#lengthOf(start);
    return this.#split(whole <= start.length ? start : this.#read(place, whole));
  }

  /** Reads what there is of `length` bytes of rows. */
  #read(place: number, length: number, into?: Buffer): Buffer {
    const size = Math.min(length, this.#end - place);
    if (place < HEADER_BYTES || size < ROW_HEAD_BYTES) throw this.#damaged();
    const bytes = into?.subarray(0, size) ?? Buffer.allocUnsafeSlow(size);
    try {
      for (let done = 0; done < size;) {
        const found = readSync(this.#file, bytes, done, size - done, place + done);
        if (found === 0) throw this.#damaged();
        done += found;
      }
    } catch (error) {
      throw this.#damaged(error);
    }
    return bytes;
  }

  /** Tells how long the row is that begins here; `Infinity` where not even its head is there. */
  #lengthOf(bytes: Buffer): number {
    if (bytes.length < ROW_HEAD_BYTES) return Infinity;
    const [, key = 0, value = 0] = wordsOf(bytes.subarray(0, ROW_HEAD_BYTES));
    if (key > LONGEST || value > LONGEST) throw this.#damaged();
    return Math.ceil((ROW_HEAD_BYTES + key + value) / UNIT) * UNIT;
  }

  #split(row: Buffer): { readonly key: Buffer; readonly value: Buffer } {
    if (this.#lengthOf(row) > row.length) throw this.#damaged();
    const [sum, key = 0, value = 0] = wordsOf(row.subarray(0, ROW_HEAD_BYTES));
    const end = ROW_HEAD_BYTES + key + value;
    if (crc32(row.subarray(4, end)) !== sum) throw this.#damaged();
    return { key: row.subarray(ROW_HEAD_BYTES, ROW_HEAD_BYTES + key), value: row.subarray(ROW_HEAD_BYTES + key, end) };
  }

  #damaged(cause?: unknown): DamagedTableError {
    this.isDamaged = true;
    if (cause instanceof DamagedTableError) return cause;
    return new DamagedTableError('a row of the table is damaged', { cause });
  }
}

async function readAll(file: number, place: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await promisify(read)(file, bytes, done, length - done, place + done);
    if (bytesRead === 0) throw new DamagedTableError('the table is shorter than was written');
    done += bytesRead;
  }
  return bytes;
}

async function sumOf(bytes: Buffer): Promise<number> {
  const turns = new WorkTurns();
  let sum = 0;
  for (let at = 0; at < bytes.length; at += READ_BYTES) {
    sum = crc32(bytes.subarray(at, at + READ_BYTES), sum);
    await turns.pause();
  }
  return sum;
}
