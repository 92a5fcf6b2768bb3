import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import { printed } from './malformed.js';

/** One file of a zip. */
export interface ZipFile {
  readonly name: string;
  /** Bytes, unpacked. */
  readonly size: number;
  readonly crc: number;
  readonly compressed: number;
  readonly method: 0 | 8;
  /** The offset of its local header. */
  readonly offset: number;
}

/** A zip that is not one, or that two readers could read differently. */
export class ZipError extends Error {
  override readonly name = 'ZipError';
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
/** The largest directory that is read, in bytes: some 500,000 files. */
const LARGEST_DIRECTORY = 64 * 1024 * 1024;
/** Files up to this size are unpacked in one go. */
const AT_ONCE = 8 * 1024 * 1024;
const PIECE = 256 * 1024;
/** Headers, names and small files lie side by side: so much is read at once, in bytes. */
const WINDOW = 64 * 1024;
/** The smallest output buffer that zlib takes. */
const SMALLEST_CHUNK = 64;
/** Flags: encrypted, strong encryption, masked headers, patch data. */
const REFUSED_FLAGS = 0x2061;

/**
 * Reads a zip by its central directory (PKWARE APPNOTE 6.3.10), and nothing that is open to interpretation: every byte
 * belongs to one file or to the directory, local headers say what the directory says, names are unique UTF-8, with or
 * without the flag that says so (archive/zip does not ask for it either).
 */
export class ZipReader {
  readonly files: readonly ZipFile[];
  /** Absent where all bytes are in memory. */
  readonly #descriptor: number | undefined;
  readonly #dataEnds: ReadonlyMap<ZipFile, number>;
  #window: Buffer;
  #windowStart = 0;

  /**
   * @param source the path of the zip, or its bytes
   * @throws ZipError
   */
  constructor(source: string | Uint8Array) {
    const isPath = typeof source === 'string';
    this.#window = isPath ? Buffer.alloc(0) : Buffer.from(source.buffer, source.byteOffset, source.length);
    this.#descriptor = isPath ? openSync(source, 'r') : undefined;
    try {
      const size = this.#descriptor === undefined ? this.#window.length : fstatSync(this.#descriptor).size;
      const { entries, start } = this.#readDirectory(size);
      this.files = entries;
      this.#dataEnds = dataEnds(entries, start);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
  }

  /**
   * All bytes of a file that is unpacked in one go; `undefined` for a larger one.
   * @param most bytes
   * @throws ZipError when they are not as many as the directory says, or have another CRC
   */
  whole(file: ZipFile, most = AT_ONCE): Uint8Array | undefined {
    return file.size > most || file.compressed > most ? undefined : this.unpack(file, this.packed(file));
  }

  /** The bytes of a file from those that `packed` gave. @throws ZipError as `whole` does */
  unpack(file: ZipFile, packed: Uint8Array): Uint8Array {
    const bytes = file.method === 0 ? packed : inflated(file, packed);
    requireSum(file, bytes.length, crc32(bytes));
    return bytes;
  }

  /** The bytes of a file as they lie in the zip: stored, or raw deflate data. @throws ZipError */
  packed(file: ZipFile): Uint8Array {
    const start = this.#dataStart(file);
    requireOneSize(file);
    return this.#read(start, file.compressed);
  }

  /**
   * The bytes of a file, a piece at a time. Ends with an error when they are not as many as the directory says, or have another CRC.
   * @throws ZipError
   */
  async *content(file: ZipFile): AsyncGenerator<Uint8Array> {
    const start = this.#dataStart(file);
    requireOneSize(file);
    let size = 0;
    let crc = 0;
    for await (const bytes of this.#unpacked(file, start)) {
      size += bytes.length;
      if (size > file.size) break;
      crc = crc32(bytes, crc);
      yield bytes;
    }
    requireSum(file, size, crc);
  }

  async *#unpacked(file: ZipFile, start: number): AsyncGenerator<Uint8Array> {
    if (file.method === 0) {
      yield* this.#pieces(start, file.compressed);
      return;
    }
    const inflate = createInflateRaw();
    // Errors come out of `inflate`, which the pipeline destroys with them.
    pipeline(Readable.from(this.#pieces(start, file.compressed)), inflate, () => {});
    try {
      yield* inflate as AsyncIterable<Uint8Array>;
    } catch {
      throw new ZipError(`${printed(file.name)} cannot be unpacked`);
    } finally {
      inflate.destroy();
    }
  }

  *#pieces(start: number, length: number): Generator<Buffer> {
    for (let at = 0; at < length; at += PIECE) yield this.#read(start + at, Math.min(PIECE, length - at));
  }

  /** Checks the local header of `file` against the directory. */
  #dataStart(file: ZipFile): number {
    const head = this.#read(file.offset, 30);
    const name = this.#read(file.offset + 30, head.readUInt16LE(26));
    const start = file.offset + 30 + name.length + head.readUInt16LE(28);
    const same =
      head.readUInt32LE(0) === LOCAL &&
      name.equals(Buffer.from(file.name)) &&
      head.readUInt16LE(8) === file.method &&
      (head.readUInt16LE(6) & REFUSED_FLAGS) === 0;
    if (!same) throw new ZipError(`the local header of ${printed(file.name)} says something else than the directory`);
    if (start + file.compressed > (this.#dataEnds.get(file) as number)) {
      throw new ZipError(`${printed(file.name)} overlaps what follows it`);
    }
    return start;
  }

  #readDirectory(size: number): { entries: ZipFile[]; start: number } {
    const tail = this.#read(
      Math.max(0, size - END_BYTES - LONGEST_COMMENT),
      Math.min(size, END_BYTES + LONGEST_COMMENT),
    );
    let at = tail.length - END_BYTES;
    // As others do: the last signature whose comment fits. Ours must also reach to the end.
    while (at >= 0 && !(tail.readUInt32LE(at) === END && at + END_BYTES + tail.readUInt16LE(at + 20) <= tail.length)) {
      at -= 1;
    }
    if (at < 0) throw new ZipError('no end of a zip directory was found');
    if (at + END_BYTES + tail.readUInt16LE(at + 20) !== tail.length)
      throw new ZipError('bytes follow the end of the zip');
    let end = size - tail.length + at;
    if (tail.readUInt16LE(at + 4) !== 0 || tail.readUInt16LE(at + 6) !== 0) throw new ZipError('a part of a split zip');
    let count = tail.readUInt16LE(at + 10);
    let length = tail.readUInt32LE(at + 12);
    let start = tail.readUInt32LE(at + 16);
    if (tail.readUInt16LE(at + 8) !== count) throw new ZipError('the end of the directory contradicts itself');
    if (count === 0xffff || length === 0xffffffff || start === 0xffffffff) {
      const locator = end >= 20 ? this.#read(end - 20, 20) : undefined;
      if (locator?.readUInt32LE(0) === LOCATOR_64) {
        const place = safe(locator.readBigUInt64LE(8));
        const record = this.#read(place, 56);
        if (record.readUInt32LE(0) !== END_64 || place + 12 + safe(record.readBigUInt64LE(4)) !== end - 20) {
          throw new ZipError('malformed zip64 end of the directory');
        }
        count = safe(record.readBigUInt64LE(32));
        length = safe(record.readBigUInt64LE(40));
        start = safe(record.readBigUInt64LE(48));
        end = place;
      }
    }
    if (start + length !== end) throw new ZipError('the directory is not where the end of the zip says');
    if (length > LARGEST_DIRECTORY) throw new ZipError('the directory is too large');
    const entries = parseDirectory(this.#read(start, length), count);
    return { entries, start };
  }

  #read(position: number, length: number): Buffer {
    let at = position - this.#windowStart;
    if (at < 0 || at + length > this.#window.length) {
      if (this.#descriptor === undefined) throw new ZipError('the zip ends too early');
      const isLarge = length > WINDOW / 4;
      const bytes = readUpTo(this.#descriptor, position, isLarge ? length : WINDOW);
      if (bytes.length < length) throw new ZipError('the zip ends too early');
      if (isLarge) return bytes;
      this.#window = bytes;
      this.#windowStart = position;
      at = 0;
    }
    return this.#window.subarray(at, at + length);
  }
}

function requireOneSize(file: ZipFile): void {
  if (file.method === 0 && file.compressed !== file.size)
    throw new ZipError(`${printed(file.name)} is stored with two sizes`);
}

function requireSum(file: ZipFile, size: number, crc: number): void {
  if (size !== file.size) throw new ZipError(`${printed(file.name)} is not of the size that the directory says`);
  if (crc !== file.crc) throw new ZipError(`${printed(file.name)} has another CRC than the directory says`);
}

function inflated(file: ZipFile, packed: Uint8Array): Buffer {
  try {
    // One byte more than it may have: one that has more shows at once, and all that it may have is one buffer.
    const chunkSize = Math.max(SMALLEST_CHUNK, file.size + 1);
    const maxOutputLength = Math.max(file.size, 1);
    return inflateRawSync(packed, { chunkSize, maxOutputLength });
  } catch {
    throw new ZipError(`${printed(file.name)} cannot be unpacked to the size that the directory says`);
  }
}

/** Reads into a buffer of its own: what was handed out before stays as it is. */
function readUpTo(descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSync(descriptor, bytes, done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

function parseDirectory(bytes: Buffer, count: number): ZipFile[] {
  const files: ZipFile[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== CENTRAL) throw new ZipError('malformed directory');
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
    const end = extraEnd + bytes.readUInt16LE(at + 32);
    if (end > bytes.length) throw new ZipError('malformed directory');
    files.push(parseEntry(bytes.subarray(at, nameEnd), bytes.subarray(nameEnd, extraEnd)));
    at = end;
  }
  if (files.length !== count) throw new ZipError(`expected ${count} files, found ${files.length}`);
  const names = files.map(({ name }) => name).filter((name) => !name.endsWith('/'));
  if (new Set(names).size !== names.length) throw new ZipError('two files have one name');
  return files;
}

function parseEntry(head: Buffer, extra: Buffer): ZipFile {
  const name = decodeName(head.subarray(46));
  const flags = head.readUInt16LE(8);
  const method = head.readUInt16LE(10);
  if ((flags & REFUSED_FLAGS) !== 0) throw new ZipError(`${printed(name)} is encrypted`);
  if (method !== 0 && method !== 8)
    throw new ZipError(`${printed(name)} is packed with method ${method}; expected 0 or 8`);
  const wide = {
    size: head.readUInt32LE(24),
    compressed: head.readUInt32LE(20),
    offset: head.readUInt32LE(42),
  };
  readWide(extra, wide);
  if (head.readUInt16LE(34) !== 0) throw new ZipError('a part of a split zip');
  const system = head.readUInt8(5);
  const fileType = (head.readUInt32LE(38) >>> 16) & 0xf000;
  // Made on Unix or macOS: the upper half is the mode.
  if ((system === 3 || system === 19) && fileType !== 0 && fileType !== 0x8000 && fileType !== 0x4000) {
    throw new ZipError(`${printed(name)} is no regular file`);
  }
  return { name, crc: head.readUInt32LE(16), method, ...wide };
}

/** The zip64 extra field holds those of the three that did not fit, in this order (APPNOTE §4.5.3). */
function readWide(extra: Buffer, wide: { size: number; compressed: number; offset: number }): void {
  const missing = (['size', 'compressed', 'offset'] as const).filter((key) => wide[key] === 0xffffffff);
  let at = 0;
  while (missing.length > 0 && at + 4 <= extra.length) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) {
      if (length < missing.length * 8 || at + 4 + length > extra.length) throw new ZipError('malformed zip64 field');
      for (const [index, key] of missing.entries()) wide[key] = safe(extra.readBigUInt64LE(at + 4 + index * 8));
      return;
    }
    at += 4 + length;
  }
  if (missing.length > 0) throw new ZipError('a zip64 field is missing');
}

/** The required end of each file's data: the next local header, or the directory. */
function dataEnds(files: readonly ZipFile[], directory: number): Map<ZipFile, number> {
  const order = [...files].sort((one, other) => one.offset - other.offset);
  const ends = new Map<ZipFile, number>();
  for (const [at, file] of order.entries()) {
    const next = order[at + 1]?.offset ?? directory;
    if (next <= file.offset) throw new ZipError('two files are in one place');
    ends.set(file, next);
  }
  if (order.length > 0 && order[0]?.offset !== 0) throw new ZipError('bytes come before the first file');
  return ends;
}

function decodeName(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ZipError('a name that is not UTF-8');
  }
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ZipError('a size beyond all bounds');
  return Number(value);
}
