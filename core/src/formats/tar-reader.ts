import { printed } from './malformed.js';

/** One file or folder of an archive. */
export interface TarFile {
  /** As it stands in the archive. */
  readonly name: string;
  readonly kind: 'file' | 'folder';
  /** Bytes. */
  readonly size: number;
}

export interface TarLimits {
  /** Files and folders. */
  readonly files: number;
  /** Bytes of one file. */
  readonly fileBytes: number;
  /** Bytes of the archive, unpacked. */
  readonly bytes: number;
}

/** The archive is malformed, exceeds the limits, or could be read differently by two readers. */
export class TarError extends Error {
  override readonly name = 'TarError';
}

const BLOCK = 512;
/** Long names and pax headers, in bytes. */
const LARGEST_HEADER = 64 * 1024;
const CHECKSUM = { start: 148, end: 156 };

/**
 * Reads a tar archive (POSIX.1-2001 ustar and pax, GNU long names) as it comes, holding one header and one piece. Nothing
 * that two readers could read differently is taken: links, devices, sparse files, other types, anything after the end.
 */
export class TarReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #limits: TarLimits;
  #piece: Buffer = Buffer.alloc(0);
  #read = 0;
  /** Bytes of the current file that were not read, and of the padding behind it. */
  #content = 0;
  #padding = 0;

  constructor(bytes: AsyncIterable<Uint8Array>, limits: TarLimits) {
    this.#source = bytes[Symbol.asyncIterator]();
    this.#limits = limits;
  }

  /**
   * The files in their order. The content of one can be read until the next is asked for; what was not read is skipped.
   * @throws TarError
   */
  async *files(): AsyncGenerator<TarFile> {
    try {
      for (let count = 0; ; count += 1) {
        const file = await this.#next();
        if (file === undefined) return;
        if (count === this.#limits.files) throw new TarError(`expected ${count} files at most in the archive`);
        yield file;
      }
    } finally {
      await this.#source.return?.();
    }
  }

  /** The content of the file that `files` gave last. */
  async content(): Promise<Buffer> {
    const bytes = await this.#take(this.#content);
    this.#content = 0;
    return bytes;
  }

  async #next(): Promise<TarFile | undefined> {
    let name: string | undefined;
    let size: number | undefined;
    for (;;) {
      await this.#skip();
      const block = await this.#take(BLOCK);
      if (block.every((byte) => byte === 0)) {
        await this.#end();
        return undefined;
      }
      const header = readHeader(block);
      const type = String.fromCharCode(block[156] as number);
      if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
        if (header.size > LARGEST_HEADER) throw new TarError('a header of the archive is too large');
        this.#begin(header.size);
        const body = await this.content();
        if (type === 'x') ({ name = name, size = size } = readPax(body));
        // A global header could rename every file; `git archive` writes one, with a comment alone.
        if (type === 'g' && Object.keys(readPax(body)).length > 0) throw new TarError('a global header names files');
        if (type === 'L') name = textUntilNul(body);
        continue;
      }
      if (type !== '0' && type !== '\0' && type !== '5') {
        throw new TarError(`${printed(name ?? header.name)}: expected files and folders alone in the archive`);
      }
      const file = name ?? header.name;
      // Before there were folders in tar, a file whose name ends in a slash was one.
      const kind = type === '5' || file.endsWith('/') ? 'folder' : 'file';
      const bytes = kind === 'folder' ? 0 : (size ?? header.size);
      if (bytes > this.#limits.fileBytes) {
        throw new TarError(`${printed(file)}: expected ${this.#limits.fileBytes} bytes at most`);
      }
      this.#begin(bytes);
      return { name: file, kind, size: bytes };
    }
  }

  #begin(size: number): void {
    this.#content = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  async #skip(): Promise<void> {
    const length = this.#content + this.#padding;
    this.#content = 0;
    this.#padding = 0;
    for await (const _ of this.#pieces(length));
  }

  /** Only zeros may follow the end: what hides there would be seen by some readers alone. */
  async #end(): Promise<void> {
    do {
      if (this.#piece.some((byte) => byte !== 0)) throw new TarError('the archive goes on after its end');
    } while (await this.#fill());
  }

  async #take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.#pieces(length)) parts.push(part);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  async *#pieces(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0;) {
      if (this.#piece.length === 0 && !(await this.#fill())) throw new TarError('the archive ends too early');
      const part = this.#piece.subarray(0, left);
      this.#piece = this.#piece.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done === true) return false;
    this.#read += value.length;
    if (this.#read > this.#limits.bytes) {
      throw new TarError(`expected an archive of ${this.#limits.bytes} bytes at most, unpacked`);
    }
    this.#piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return true;
  }
}

function readHeader(block: Buffer): { name: string; size: number } {
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= CHECKSUM.start && at < CHECKSUM.end ? 0x20 : byte;
  if (sum !== readOctal(block.subarray(CHECKSUM.start, CHECKSUM.end))) {
    throw new TarError('expected a tar archive, found a malformed header');
  }
  const name = textUntilNul(block.subarray(0, 100));
  // `ustar\0` is POSIX, which has a prefix; GNU's `ustar  ` keeps other things there.
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textUntilNul(block.subarray(345, 500)) : '';
  return { name: prefix === '' ? name : `${prefix}/${name}`, size: readSize(block.subarray(124, 136)) };
}

/** Octal text, or, with the highest bit set, a number to base 256 (GNU). */
function readSize(field: Buffer): number {
  if (((field[0] as number) & 0x80) === 0) return readOctal(field);
  const size = BigInt(`0x${field.toString('hex')}`) & (2n ** 95n - 1n);
  return size > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(size);
}

function readOctal(field: Buffer): number {
  const text = textUntilNul(field).trim();
  if (!/^[0-7]*$/.test(text)) throw new TarError('expected a tar archive, found a malformed header');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

/** The records `<length> <key>=<value>\n` of a pax header that change how a file is read. */
function readPax(body: Buffer): { name?: string; size?: number } {
  const found: { name?: string; size?: number } = {};
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const digits = space === -1 ? '' : body.toString('latin1', at, space);
    const end = at + Number(digits);
    const record = body.subarray(space + 1, end - 1);
    const equals = record.indexOf(0x3d);
    if (!/^[1-9][0-9]{0,5}$/.test(digits) || end > body.length || body[end - 1] !== 0x0a || equals < 1) {
      throw new TarError('malformed pax header in the archive');
    }
    const key = record.toString('utf8', 0, equals);
    const value = record.toString('utf8', equals + 1);
    if (key.startsWith('GNU.sparse')) throw new TarError('a sparse file in the archive');
    if (key === 'path') found.name = value;
    if (key === 'size') {
      if (!/^[0-9]{1,15}$/.test(value)) throw new TarError('malformed pax header in the archive');
      found.size = Number(value);
    }
    at = end;
  }
  return found;
}

function textUntilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}
