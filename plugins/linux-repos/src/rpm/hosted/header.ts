import { isUtf8 } from 'node:buffer';
import { EntrepotError } from '@entrepot/core';
import type { ByteReader } from '../../shared/hosted/byte-reader.js';

/** The largest header, in bytes. Those with a hundred thousand files have some ten megabytes. */
const LARGEST_HEADER = 32 * 1024 * 1024;
/** The bound on entries of a header, as in rpm. */
const MOST_ENTRIES = 0xff_ff;
/** Bytes before the index of a header, and of each entry of that. */
const INTRO = 16;
const ENTRY = 16;
const MAGIC = '8eade801';

const TYPE = { int16: 3, int32: 4, int64: 5, string: 6, strings: 8, translated: 9 } as const;
/** Bytes of one value, by the type. Strings have no such size. */
const SIZES: readonly number[] = [0, 1, 1, 2, 4, 8, 0, 1, 0, 0];

interface HeaderEntry {
  readonly type: number;
  /** Offset of its values in the store. */
  readonly offset: number;
  readonly count: number;
}

/** A header of a package: values by tag. Texts are read when they are asked for. */
export class Header {
  readonly #entries: ReadonlyMap<number, HeaderEntry>;
  readonly #store: Buffer;
  /** As it stands in the file. */
  readonly bytes: Buffer;

  private constructor(bytes: Buffer, entries: ReadonlyMap<number, HeaderEntry>, store: Buffer) {
    this.bytes = bytes;
    this.#entries = entries;
    this.#store = store;
  }

  /**
   * Reads a header. @param name for messages
   * @throws EntrepotError `bad-request` for one that is broken
   */
  static parse(bytes: Buffer, name: string): Header {
    const count = bytes.readUInt32BE(8);
    const store = bytes.subarray(INTRO + count * ENTRY);
    const entries = new Map<number, HeaderEntry>();
    for (let at = INTRO; at < INTRO + count * ENTRY; at += ENTRY) {
      const [tag, type, offset, values] = [0, 4, 8, 12].map((part) => bytes.readUInt32BE(at + part)) as [
        number,
        number,
        number,
        number,
      ];
      requireWithin({ type, offset, count: values }, store, `the entry ${tag} of ${name}`);
      if (entries.has(tag)) throw broken(`${name} has the entry ${tag} twice`);
      entries.set(tag, { type, offset, count: values });
    }
    return new Header(bytes, entries, store);
  }

  /** Counts the values of a tag; 0: it is not there. */
  count(tag: number): number {
    return this.#entries.get(tag)?.count ?? 0;
  }

  /** Whether a tag is there. */
  has(tag: number): boolean {
    return this.#entries.has(tag);
  }

  /** The text of a tag; of a translated one, that without a language. `undefined`: it is not there. */
  text(tag: number): string | undefined {
    const entry = this.#entries.get(tag);
    if (entry === undefined) return undefined;
    if (entry.type !== TYPE.string && entry.type !== TYPE.translated) throw wrongType(tag, 'a text');
    return this.#texts(tag, entry).next().value;
  }

  /** The texts of a tag, in their order. None: it is not there. */
  texts(tag: number): Generator<string, undefined> {
    const entry = this.#entries.get(tag) ?? { type: TYPE.strings, offset: 0, count: 0 };
    // Some tools write one text as what is no list.
    if (entry.type !== TYPE.strings && entry.type !== TYPE.string) throw wrongType(tag, 'texts');
    return this.#texts(tag, entry);
  }

  /** The number of a tag. `undefined`: it is not there. */
  number(tag: number): number | undefined {
    return this.#entries.has(tag) ? this.numbers(tag)(0) : undefined;
  }

  /** Reads the numbers of a tag by their place, of those that `count` says. */
  numbers(tag: number): (index: number) => number {
    const { type, offset, count } = this.#entries.get(tag) ?? { type: TYPE.int32, offset: 0, count: 0 };
    const store = this.#store;
    const within = (index: number): number => {
      if (index < count) return offset + index * (SIZES[type] as number);
      throw broken(`its header has ${count} values of the entry ${tag}, expected more`);
    };
    if (type === TYPE.int16) return (index) => store.readUInt16BE(within(index));
    if (type === TYPE.int32) return (index) => store.readUInt32BE(within(index));
    if (type === TYPE.int64) return (index) => Number(store.readBigUInt64BE(within(index)));
    throw wrongType(tag, 'numbers');
  }

  *#texts(tag: number, { offset, count }: HeaderEntry): Generator<string, undefined> {
    let at = offset;
    for (let left = count; left > 0; left -= 1) {
      const end = this.#store.indexOf(0, at);
      if (end < 0) throw broken(`the entry ${tag} of its header has a text without an end`);
      yield decoded(this.#store.subarray(at, end));
      at = end + 1;
    }
    return undefined;
  }
}

/**
 * Reads the bytes of the header that comes next. @param name for messages
 * @throws EntrepotError `bad-request` for one that is none, or too large
 */
export async function readHeaderBytes(reader: ByteReader, name: string): Promise<Buffer> {
  const intro = await reader.take(INTRO);
  if (intro.toString('hex', 0, 4) !== MAGIC) throw broken(`expected ${name} where it should begin`);
  const [count, length] = [intro.readUInt32BE(8), intro.readUInt32BE(12)];
  if (count === 0 || count > MOST_ENTRIES) throw broken(`${name} has ${count} entries, expected 1 to ${MOST_ENTRIES}`);
  if (length > LARGEST_HEADER - count * ENTRY)
    throw broken(`${name} is larger than ${LARGEST_HEADER} bytes, which is the most that is read`);
  return Buffer.concat([intro, await reader.take(count * ENTRY + length)]);
}

function requireWithin({ type, offset, count }: HeaderEntry, store: Buffer, name: string): void {
  const size = SIZES[type];
  if (size === undefined) throw broken(`${name} has the type ${type}, which there is not`);
  // Each text has a byte at the least.
  const isWithin = count > 0 && offset < store.length && count * Math.max(size, 1) <= store.length - offset;
  if (!isWithin) throw broken(`${name} has ${count} values at ${offset}, which are not within its header`);
  if (type === TYPE.string && count !== 1) throw broken(`${name} has ${count} texts, expected one`);
}

/** Old packages have texts of Latin-1. */
function decoded(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

function wrongType(tag: number, expected: string): EntrepotError {
  return broken(`the entry ${tag} of its header has another type, expected ${expected}`);
}

/** The refusal of a body that is no package. */
export function broken(problem: string): EntrepotError {
  return new EntrepotError('bad-request', `This is no RPM package: ${problem}`);
}
