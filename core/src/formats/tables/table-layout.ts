import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

// A table is a file:
//
//   header  0 magic (16) · 16 seed (16) · 32 SHA-256 of its name (32) · 64 rows, 68 slots, 72 the end of the rows in units of 8 (u32 each)
//           76 CRC of the slots · 80 CRC of the header up to here
//   rows    each at a multiple of 8: 0 CRC of what follows · 4 length of the key · 8 length of the value (u32 each) · key · value
//   slots   a power of two of them, at least a third of them free: hash of the key (u32), place of its row in units of 8 (u32); 0 is free
//
// Numbers have the byte order of the machine: on another one, the magic is wrong and the table is foreign.

const MAGIC = Buffer.from(Uint32Array.from([0x72746e65, 0x746f7065, 0x6c626174, 0x31762065]).buffer);
const SEED_BYTES = 16;
const HEADER_CRC_AT = 80;
export const HEADER_BYTES = 88;
export const ROW_HEAD_BYTES = 12;
export const UNIT = 8;
/** Bytes of a slot. */
export const SLOT_BYTES = 8;
/** The most rows of a table: its slots take 64 MiB. */
export const MOST_ROWS = 5_000_000;
/** Bytes of the longest key, and of the longest value. */
export const LONGEST = 16 * 1024 * 1024;
/** The largest table, in units: a place is a u32. */
export const MOST_UNITS = 2 ** 32 - 1;

/** A file that is no table, not the one that was asked for, or whose bytes are not those that were written. */
export class DamagedTableError extends Error {
  override readonly name = 'DamagedTableError';
}

/** Numbers of a table. */
export interface TableHeader {
  readonly seed: Buffer;
  /** The identity of what it was made from. */
  readonly name: string;
  readonly rows: number;
  readonly slots: number;
  /** The end of the rows, in units. */
  readonly end: number;
  readonly slotsCrc: number;
}

export function writeHeader({ seed, name, rows, slots, end, slotsCrc }: TableHeader): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  seed.copy(header, MAGIC.length);
  Buffer.from(hash('sha256', name), 'hex').copy(header, 32);
  const numbers = wordsOf(header);
  numbers.set([rows, slots, end, slotsCrc], 16);
  numbers[HEADER_CRC_AT / 4] = crc32(header.subarray(0, HEADER_CRC_AT));
  return header;
}

/** @throws DamagedTableError */
export function readHeader(header: Buffer, name: string, size: number): TableHeader {
  const numbers = wordsOf(header);
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC))
    throw new DamagedTableError('the file is no table');
  if (numbers[HEADER_CRC_AT / 4] !== crc32(header.subarray(0, HEADER_CRC_AT)))
    throw new DamagedTableError('the header of the table is damaged');
  if (header.toString('hex', 32, 64) !== hash('sha256', name))
    throw new DamagedTableError('the table was made from something else');
  const [rows = 0, slots = 0, end = 0, slotsCrc = 0] = numbers.subarray(16, 20);
  if (size !== end * UNIT + slots * SLOT_BYTES)
    throw new DamagedTableError('the table has another size than was written');
  return { seed: Buffer.from(header.subarray(16, 16 + SEED_BYTES)), name, rows, slots, end, slotsCrc };
}

/** Gives the hash of keys in one table. The seed is chance: nobody can choose keys that collide. */
export function hashWith(seed: Buffer): (key: string) => number {
  const prefix = seed.toString('hex');
  return (key) => Number.parseInt(hash('sha256', prefix + key).slice(0, 8), 16);
}

/** The slot where the search for a hash begins. */
export function firstSlot(wanted: number, slots: number): number {
  return Math.floor((wanted / 2 ** 32) * slots);
}

/** The numbers in bytes that begin at a multiple of four. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}
