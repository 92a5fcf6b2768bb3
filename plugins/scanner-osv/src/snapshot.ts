import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AppendFile, writeDurably } from './append-file.js';

/*
 * A snapshot is an immutable table from text keys to bytes. The values stand in log files, the places of all values in one index
 * file. A newer snapshot shares the logs of the one before it and adds a log with what changed, so that a small change
 * costs what the index costs, and readers of the older one are not disturbed.
 *
 * log:    for each value: length of the key (u16), key (UTF-8), value
 * index:  capacity (f64, a power of two), used slots (f64), then three columns: hash (u32), length (u32; 0 = free), place (f64) =
 *         number of the log * 2^44 + offset of the key's length. Little-endian. Open addressing with linear probing.
 */

const LOG_SIZE = 2 ** 44;
/** So many logs one snapshot can have. */
export const MOST_LOGS = 2 ** 9;
const LONGEST_KEY = 0xff_ff;
const SMALLEST_TABLE = 1024;
/** A length that means: deleted. No value is that long. */
const DELETED = 0xff_ff_ff_ff;
const HEAD = 16;

/** The files of a snapshot, below its directory. */
export interface SnapshotFiles {
  readonly index: string;
  readonly logs: readonly string[];
}

/** FNV-1a over code units, mixed so that the low bits are good. */
function hashOf(key: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01_00_01_93);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The columns of an index. */
class Table {
  readonly hashes: Uint32Array;
  readonly lengths: Uint32Array;
  readonly places: Float64Array;
  /** Slots that are not free, deleted ones included. */
  used = 0;

  constructor(capacity: number) {
    this.hashes = new Uint32Array(capacity);
    this.lengths = new Uint32Array(capacity);
    this.places = new Float64Array(capacity);
  }

  get capacity(): number {
    return this.hashes.length;
  }

  /** The first slot at or after `at` that holds a value under `hash`, or -1. */
  next(hash: number, at: number): number {
    const mask = this.capacity - 1;
    for (let slot = at & mask; ; slot = (slot + 1) & mask) {
      const length = this.lengths[slot];
      if (length === 0) return -1;
      if (this.hashes[slot] === hash && length !== DELETED) return slot;
    }
  }

  insert(hash: number, length: number, place: number): void {
    const mask = this.capacity - 1;
    let slot = hash & mask;
    while (this.lengths[slot] !== 0) slot = (slot + 1) & mask;
    this.hashes[slot] = hash;
    this.lengths[slot] = length;
    this.places[slot] = place;
    this.used += 1;
  }

  /** A copy of at least `capacity` slots, without what is deleted. */
  copy(capacity: number): Table {
    const copy = new Table(capacity);
    for (const [slot, length] of this.lengths.entries()) {
      if (length !== 0 && length !== DELETED) {
        copy.insert(this.hashes[slot] as number, length, this.places[slot] as number);
      }
    }
    return copy;
  }
}

/** Reads a snapshot. Synchronous: a look-up is one small read of a file that the system keeps in memory. */
export class Snapshot {
  readonly files: SnapshotFiles;
  readonly #table: Table;
  readonly #logs: number[] = [];
  #buffer = Buffer.allocUnsafe(64 * 1024);

  /** @throws Error when a file is missing or no index */
  constructor(directory: string, files: SnapshotFiles) {
    this.files = files;
    this.#table = readTable(join(directory, files.index));
    try {
      for (const log of files.logs) this.#logs.push(openSync(join(directory, log), 'r'));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The value of `key`, valid until the next call; `undefined` when there is none. */
  get(key: string): Buffer | undefined {
    return this.#find(key)?.value;
  }

  /** Every key and its value, which is valid until the next call. In the order of the files. */
  *entries(): Generator<[key: string, value: Buffer]> {
    const { places, lengths } = this.#table;
    const slots = new Uint32Array(this.#table.used);
    let count = 0;
    for (const [slot, length] of lengths.entries()) if (length !== 0 && length !== DELETED) slots[count++] = slot;
    const sorted = slots.subarray(0, count).sort((one, other) => (places[one] as number) - (places[other] as number));
    for (const slot of sorted) yield this.#valueAt(slot);
  }

  /** The table for a writer of the next snapshot. */
  copyTable(): Table {
    return this.#table.copy(this.#table.capacity);
  }

  /** The place of the value of `key`; `undefined` when there is none. */
  placeOf(key: string): number | undefined {
    const slot = this.#find(key)?.slot;
    return slot === undefined ? undefined : this.#table.places[slot];
  }

  close(): void {
    for (const log of this.#logs.splice(0)) closeSync(log);
  }

  #find(key: string): { readonly slot: number; readonly value: Buffer } | undefined {
    const hash = hashOf(key);
    for (let slot = this.#table.next(hash, hash); slot !== -1; slot = this.#table.next(hash, slot + 1)) {
      const [found, value] = this.#valueAt(slot);
      if (found === key) return { slot, value };
    }
    return undefined;
  }

  #valueAt(slot: number): [key: string, value: Buffer] {
    const bytes = this.#read(this.#table.places[slot] as number, this.#table.lengths[slot] as number);
    const end = 2 + bytes.readUInt16LE(0);
    return [bytes.toString('utf8', 2, end), bytes.subarray(end)];
  }

  #read(place: number, length: number): Buffer {
    const number = Math.floor(place / LOG_SIZE);
    const offset = place - number * LOG_SIZE;
    if (length > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(length * 2);
    const log = this.#logs[number];
    if (log === undefined) throw new Error('the database is closed');
    let done = 0;
    while (done < length) {
      const read = readSync(log, this.#buffer, done, length - done, offset + done);
      if (read === 0) throw new Error('a file of the database is cut short');
      done += read;
    }
    return this.#buffer.subarray(0, length);
  }
}

/** Writes a snapshot: everything anew, or what differs from another one. */
export class SnapshotWriter {
  readonly #directory: string;
  readonly #files: SnapshotFiles;
  readonly #base: Snapshot | undefined;
  readonly #log: AppendFile;
  readonly #place: number;
  #table: Table;

  /**
   * @param name makes the files unique
   * @param base what it differs from; must stay open until `finish`
   */
  constructor(directory: string, name: string, base?: Snapshot) {
    const log = `log-${name}`;
    this.#directory = directory;
    this.#base = base;
    this.#files = { index: `index-${name}`, logs: [...(base?.files.logs ?? []), log] };
    this.#place = (this.#files.logs.length - 1) * LOG_SIZE;
    if (this.#files.logs.length > MOST_LOGS) throw new Error(`expected at most ${MOST_LOGS} logs`);
    this.#table = base?.copyTable() ?? new Table(SMALLEST_TABLE);
    this.#log = new AppendFile(join(directory, log));
  }

  /** Sets `key`, which this writer has not set yet. */
  set(key: string, value: Uint8Array): void {
    const keyBytes = Buffer.from(key);
    if (keyBytes.length > LONGEST_KEY) return;
    this.delete(key);
    const head = Buffer.allocUnsafe(2 + keyBytes.length);
    head.writeUInt16LE(keyBytes.length, 0);
    keyBytes.copy(head, 2);
    // Long runs of used slots make every look-up slow.
    if (this.#table.used * 3 >= this.#table.capacity * 2) this.#table = this.#table.copy(this.#table.capacity * 2);
    this.#table.insert(hashOf(key), head.length + value.length, this.#place + this.#log.size);
    this.#log.append(head);
    this.#log.append(value);
  }

  /** Deletes what the base has under `key`. */
  delete(key: string): void {
    const place = this.#base?.placeOf(key);
    if (place === undefined) return;
    const hash = hashOf(key);
    let slot = this.#table.next(hash, hash);
    while (slot !== -1 && this.#table.places[slot] !== place) slot = this.#table.next(hash, slot + 1);
    if (slot !== -1) this.#table.lengths[slot] = DELETED;
  }

  /** Writes what is left, down to the disk. */
  finish(): SnapshotFiles {
    this.#log.finish();
    writeTable(join(this.#directory, this.#files.index), this.#table);
    return this.#files;
  }

  /** Ends the work and leaves nothing. */
  abandon(): void {
    this.#log.close();
    for (const name of [this.#files.index, this.#files.logs.at(-1) as string]) {
      rmSync(join(this.#directory, name), { force: true });
    }
  }
}

function readTable(path: string): Table {
  const bytes = readFileSync(path);
  const [capacity, used] = bytes.length < HEAD ? [0, 0] : [bytes.readDoubleLE(0), bytes.readDoubleLE(8)];
  if (capacity < SMALLEST_TABLE || bytes.length !== HEAD + capacity * 16)
    throw new Error('expected an index, found damage');
  const table = new Table(capacity);
  table.used = used;
  let at = HEAD;
  for (const column of [table.hashes, table.lengths, table.places]) {
    Buffer.from(column.buffer).set(bytes.subarray(at, at + column.byteLength));
    at += column.byteLength;
  }
  return table;
}

function writeTable(path: string, table: Table): void {
  const head = Buffer.alloc(HEAD);
  head.writeDoubleLE(table.capacity, 0);
  head.writeDoubleLE(table.used, 8);
  const columns = [head, table.hashes, table.lengths, table.places];
  writeDurably(
    path,
    columns.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  );
}
