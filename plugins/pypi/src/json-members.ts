import type { Content } from '@entrepot/core';
import { PageFormatError } from './errors.js';
import { slices } from './turns.js';

/** A member of the outermost object, or one element of such a member. */
export interface JsonMember {
  readonly key: string;
  readonly value: unknown;
  /** Whether `value` is an element of the array, or a member of the object, under `key`. */
  readonly isElement: boolean;
  /** The name of the inner member; empty for elements of arrays. */
  readonly name: string;
}

/** What becomes of a member: passed over, read whole, or read element by element when it is an array or an object. */
export type Reading = 'skip' | 'whole' | 'elements';

/** The longest text of a value or an element, in bytes. */
const VALUE_LIMIT = 8 * 1024 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

// Where the reader stands between two bytes. Small integers, so that the switch below is a jump table.
const START = 0;
const FIRST_KEY = 1;
const NEXT_KEY = 2;
const IN_KEY = 3;
const AFTER_KEY = 4;
const VALUE = 5;
const FIRST_ELEMENT = 6;
const NEXT_ELEMENT = 7;
const IN_STRING = 8;
const IN_CONTAINER = 9;
const IN_SCALAR = 10;
const AFTER_ELEMENT = 11;
const AFTER_VALUE = 12;
const END = 13;

/**
 * Reads one JSON object member by member, so that neither an index of 700,000 names nor a page of 20,000 files is ever
 * held whole. Every value that is read is parsed by `JSON.parse`; what is passed over is only searched for its end.
 * @throws PageFormatError
 */
export class JsonMembers {
  readonly #readingOf: (key: string) => Reading;
  #found: JsonMember[] = [];
  #state = START;
  #key = '';
  #name = '';
  /** What the elements stand in. */
  #inside: 'array' | 'object' | undefined;
  /** Whether the bytes of the current value are kept. */
  #kept = false;
  /** Kept bytes of earlier pieces. */
  #pending: Buffer[] = [];
  #pendingSize = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(readingOf: (key: string) => Reading) {
    this.#readingOf = readingOf;
  }

  /** What `piece` completes. */
  write(piece: Buffer): readonly JsonMember[] {
    this.#found = [];
    let at = 0;
    let from = 0;
    while (at < piece.length) {
      const byte = piece[at] as number;
      switch (this.#state) {
        case IN_CONTAINER:
          at = this.#skipContainer(piece, at);
          if (this.#depth === 0) this.#endValue(piece, from, at);
          continue;
        case IN_STRING:
        case IN_KEY:
          at = this.#skipString(piece, at);
          if (this.#inString) continue;
          if (this.#state === IN_KEY) this.#endKey(piece, from, at);
          else this.#endValue(piece, from, at);
          continue;
        case IN_SCALAR:
          if (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY || isSpace(byte)) {
            this.#endValue(piece, from, at);
          } else at++;
          continue;
      }
      if (isSpace(byte)) {
        at++;
        continue;
      }
      from = at;
      this.#begin(byte);
      at++;
    }
    if (this.#kept) this.#keep(piece.subarray(Math.min(from, piece.length)));
    return this.#found;
  }

  /** The text has ended. */
  end(): void {
    if (this.#state !== END) throw new PageFormatError('its JSON is not complete');
  }

  /** A byte that is not white space, outside of any value. */
  #begin(byte: number): void {
    switch (this.#state) {
      case START:
        if (byte !== OPEN_OBJECT) throw new PageFormatError('it is not a JSON object');
        this.#state = FIRST_KEY;
        return;
      case FIRST_KEY:
      case NEXT_KEY:
        if (byte === QUOTE) {
          this.#state = IN_KEY;
          this.#kept = true;
          this.#inString = true;
        } else if (byte === CLOSE_OBJECT && this.#state === FIRST_KEY) this.#leave();
        else throw unexpected();
        return;
      case AFTER_KEY:
        if (byte !== COLON) throw unexpected();
        this.#state = VALUE;
        return;
      case VALUE:
        this.#enter(byte);
        return;
      case FIRST_ELEMENT:
      case NEXT_ELEMENT:
        if (byte === CLOSE_ARRAY && this.#state === FIRST_ELEMENT) this.#leave();
        else this.#beginValue(byte, true);
        return;
      case AFTER_ELEMENT:
        if (byte === COMMA) this.#state = this.#inside === 'array' ? NEXT_ELEMENT : NEXT_KEY;
        else if (byte === (this.#inside === 'array' ? CLOSE_ARRAY : CLOSE_OBJECT)) this.#leave();
        else throw unexpected();
        return;
      case AFTER_VALUE:
        if (byte === COMMA) this.#state = NEXT_KEY;
        else if (byte === CLOSE_OBJECT) this.#state = END;
        else throw unexpected();
        return;
      default:
        throw new PageFormatError('something follows its JSON');
    }
  }

  /** The value of a member begins, of the outermost object or of the one inside. */
  #enter(byte: number): void {
    if (this.#inside !== undefined) {
      this.#beginValue(byte, true);
      return;
    }
    const reading = this.#readingOf(this.#key);
    this.#name = '';
    if (reading === 'elements' && byte === OPEN_ARRAY) {
      this.#inside = 'array';
      this.#state = FIRST_ELEMENT;
    } else if (reading === 'elements' && byte === OPEN_OBJECT) {
      this.#inside = 'object';
      this.#state = FIRST_KEY;
    } else this.#beginValue(byte, reading !== 'skip');
  }

  /** The array or object inside has ended, else the outermost one. */
  #leave(): void {
    this.#state = this.#inside === undefined ? END : AFTER_VALUE;
    this.#inside = undefined;
  }

  #beginValue(byte: number, kept: boolean): void {
    if (byte === COMMA || byte === CLOSE_ARRAY || byte === CLOSE_OBJECT || byte === COLON) throw unexpected();
    this.#kept = kept;
    if (byte === QUOTE) {
      this.#state = IN_STRING;
      this.#inString = true;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      this.#state = IN_CONTAINER;
      this.#depth = 1;
    } else this.#state = IN_SCALAR;
  }

  /** @returns the position after the end of the string, or of the piece */
  #skipString(piece: Buffer, start: number): number {
    let at = start;
    if (this.#escaped) {
      this.#escaped = false;
      at++;
    }
    while (at < piece.length) {
      const byte = piece[at++];
      if (byte === QUOTE) {
        this.#inString = false;
        return at;
      }
      if (byte === BACKSLASH) {
        if (at === piece.length) this.#escaped = true;
        at++;
      }
    }
    return piece.length;
  }

  /** @returns the position after the end of the object or array, or of the piece */
  #skipContainer(piece: Buffer, start: number): number {
    let at = start;
    while (at < piece.length) {
      if (this.#inString) {
        at = this.#skipString(piece, at);
        continue;
      }
      const byte = piece[at++];
      if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#depth++;
      else if ((byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) && --this.#depth === 0) return at;
    }
    return at;
  }

  #endKey(piece: Buffer, from: number, end: number): void {
    this.#state = AFTER_KEY;
    const key = parse(this.#take(piece, from, end)) as string;
    if (this.#inside === undefined) this.#key = key;
    else this.#name = key;
  }

  #endValue(piece: Buffer, from: number, end: number): void {
    const isElement = this.#inside !== undefined;
    this.#state = isElement ? AFTER_ELEMENT : AFTER_VALUE;
    if (!this.#kept) return;
    const value = parse(this.#take(piece, from, end));
    this.#found.push({ key: this.#key, value, isElement, name: this.#name });
  }

  #keep(bytes: Buffer): void {
    this.#pendingSize += bytes.length;
    if (this.#pendingSize > VALUE_LIMIT) throw new PageFormatError(`it has a value of more than ${VALUE_LIMIT} bytes`);
    this.#pending.push(Buffer.from(bytes));
  }

  /** The text that began in this piece at `from`, or in an earlier one. */
  #take(piece: Buffer, from: number, end: number): string {
    this.#kept = false;
    if (this.#pending.length === 0) {
      if (end - from > VALUE_LIMIT) throw new PageFormatError(`it has a value of more than ${VALUE_LIMIT} bytes`);
      return piece.toString('utf8', from, end);
    }
    const text = Buffer.concat([...this.#pending, piece.subarray(0, end)]).toString('utf8');
    this.#pending = [];
    this.#pendingSize = 0;
    return text;
  }
}

/**
 * The members of the object that `content` is, in batches, in the order of the text.
 * @throws PageFormatError
 */
export async function* readJsonMembers(
  content: Content,
  readingOf: (key: string) => Reading,
): AsyncGenerator<readonly JsonMember[], void, undefined> {
  const reader = new JsonMembers(readingOf);
  for await (const slice of slices(content)) yield reader.write(slice);
  reader.end();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PageFormatError('it is not JSON', { cause: error });
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function unexpected(): PageFormatError {
  return new PageFormatError('it is not JSON');
}
