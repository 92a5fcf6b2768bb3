import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32, inflateRawSync } from 'node:zlib';

/** One file in an archive. */
export interface ZipEntry {
  readonly name: string;
  /** @throws Error when the bytes are damaged, or more than allowed */
  read(): ZipContent;
}

/** The bytes of one file in an archive. */
export interface ZipContent {
  readonly content: Buffer;
  /** The same as raw deflate data, where the archive has it so. */
  readonly deflated: Buffer | undefined;
}

/** A record is a few KiB; the largest lists of versions are a few MiB. */
const LARGEST_ENTRY = 64 * 1024 * 1024;
const END_SIZE = 22;
const LONGEST_COMMENT = 0xff_ff;
const CENTRAL_SIGNATURE = 0x02_01_4b_50;
const END_SIGNATURE = 0x06_05_4b_50;
const END64_SIGNATURE = 0x06_06_4b_50;
const LOCATOR64_SIGNATURE = 0x07_06_4b_50;
const LOCAL_HEADER_SIZE = 30;
const WINDOW = 1024 * 1024;
/** Of zlib. */
const SMALLEST_CHUNK = 64;

/**
 * The files of a ZIP archive, by its central directory (APPNOTE 6.3.10 §4.3.12, ZIP64 §4.3.14), read synchronously: an
 * archive with 250,000 small files is read in seconds, where streams take minutes. For worker threads.
 * @throws Error for what is no archive
 */
export function* readZip(path: string): Generator<ZipEntry> {
  const file = new FileWindow(path);
  try {
    const { count, offset, size } = findDirectory(file);
    const directory = file.read(offset, size);
    let position = 0;
    for (let index = 0; index < count; index += 1) {
      if (position + 46 > directory.length || directory.readUInt32LE(position) !== CENTRAL_SIGNATURE) {
        throw new Error(`expected ${count} files in the archive, found a damaged directory after ${index}`);
      }
      const nameLength = directory.readUInt16LE(position + 28);
      const extraLength = directory.readUInt16LE(position + 30);
      const header = directory.subarray(position, position + 46 + nameLength + extraLength);
      yield entryOf(file, header, nameLength);
      position += 46 + nameLength + extraLength + directory.readUInt16LE(position + 32);
    }
  } finally {
    file.close();
  }
}

function entryOf(file: FileWindow, header: Buffer, nameLength: number): ZipEntry {
  const name = header.toString('utf8', 46, 46 + nameLength);
  const method = header.readUInt16LE(10);
  const sum = header.readUInt32LE(16);
  const sizes = [header.readUInt32LE(24), header.readUInt32LE(20), header.readUInt32LE(42)];
  const [size, packed, offset] = withZip64(header.subarray(46 + nameLength), sizes) as [number, number, number];
  return {
    name,
    read() {
      if (size > LARGEST_ENTRY || packed > LARGEST_ENTRY) {
        throw new Error(`${name}: expected at most ${LARGEST_ENTRY} bytes, found ${size}`);
      }
      const local = file.read(offset, LOCAL_HEADER_SIZE);
      const start = offset + LOCAL_HEADER_SIZE + local.readUInt16LE(26) + local.readUInt16LE(28);
      const bytes = file.read(start, packed);
      if (method !== 0 && method !== 8) throw new Error(`${name}: expected it stored or deflated`);
      const content = method === 0 ? bytes : inflate(bytes, size);
      if (content.length !== size || crc32(content) !== sum) throw new Error(`${name}: the bytes are damaged`);
      return { content, deflated: method === 0 ? undefined : bytes };
    },
  };
}

/** In one piece of the right size: the default of 16 KiB for each small file keeps the garbage collector busy. */
function inflate(bytes: Buffer, size: number): Buffer {
  return inflateRawSync(bytes, { chunkSize: Math.max(SMALLEST_CHUNK, size + 1), maxOutputLength: size + 1 });
}

/** Values that are too large for 32 bits stand in the extra field 0x0001, in order. */
function withZip64(extra: Buffer, values: readonly number[]): number[] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let next = at + 4;
    return values.map((value) => {
      if (value !== 0xff_ff_ff_ff) return value;
      next += 8;
      return Number(extra.readBigUInt64LE(next - 8));
    });
  }
  return [...values];
}

function findDirectory(file: FileWindow): { count: number; offset: number; size: number } {
  const tailSize = Math.min(file.size, END_SIZE + LONGEST_COMMENT);
  const tail = file.read(file.size - tailSize, tailSize);
  for (let at = tail.length - END_SIZE; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) !== END_SIGNATURE) continue;
    const count = tail.readUInt16LE(at + 10);
    const size = tail.readUInt32LE(at + 12);
    const offset = tail.readUInt32LE(at + 16);
    const locator = at - 20;
    if (locator < 0 || tail.readUInt32LE(locator) !== LOCATOR64_SIGNATURE) return { count, offset, size };
    const end = file.read(Number(tail.readBigUInt64LE(locator + 8)), 56);
    if (end.readUInt32LE(0) !== END64_SIGNATURE) throw new Error('expected the end of a ZIP64 archive');
    return {
      count: Number(end.readBigUInt64LE(32)),
      size: Number(end.readBigUInt64LE(40)),
      offset: Number(end.readBigUInt64LE(48)),
    };
  }
  throw new Error('expected a ZIP archive, found no central directory');
}

/** A file read through one window: entries mostly stand in the order of the directory. */
class FileWindow {
  readonly size: number;
  readonly #file: number;
  #window = Buffer.alloc(0);
  #start = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
    this.size = fstatSync(this.#file).size;
  }

  read(offset: number, length: number): Buffer {
    if (offset < 0 || offset + length > this.size) throw new Error('the archive is cut short');
    if (offset < this.#start || offset + length > this.#start + this.#window.length) this.#move(offset, length);
    return this.#window.subarray(offset - this.#start, offset - this.#start + length);
  }

  close(): void {
    closeSync(this.#file);
  }

  #move(offset: number, length: number): void {
    const window = Buffer.allocUnsafe(Math.min(Math.max(WINDOW, length), this.size - offset));
    let done = 0;
    while (done < window.length) {
      const read = readSync(this.#file, window, done, window.length - done, offset + done);
      if (read === 0) throw new Error('the archive is cut short');
      done += read;
    }
    this.#window = window;
    this.#start = offset;
  }
}
