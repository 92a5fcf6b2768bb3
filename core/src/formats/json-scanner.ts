import { ByteWriter } from './byte-writer.js';

/** The member and its value are passed over. */
export const SKIP = 'skip';

/** Is given the value of a member; `undefined` when its text is longer than the scanner reads. */
export type ValueReader = (value: unknown) => void;

/** The use of a member's value: pass over, read whole, or visit its own members. */
export type Instruction = typeof SKIP | ValueReader | ObjectVisitor;

/** Sees the members of one object, or the elements of one array, in the order of the text. */
export interface ObjectVisitor {
  /** The object or array begins: where its key begins, and where itself. Offsets in the text; 0 for a key that it has not. */
  enter?(start: number, valueStart: number): void;
  /** Called with every key, before the value; a key that occurs twice is seen twice. */
  member(key: string): Instruction;
  /** Called before each element when the value is an array. Absent: an array is as any other value. */
  element?(): Instruction;
  /**
   * Called with the place of each member once its value has ended: where its key begins (at the quote), where its value begins, and where
   * that ends. Offsets in the text, in bytes.
   */
  ended?(key: string, start: number, valueStart: number, end: number): void;
  /** The object or array has ended. */
  leave?(): void;
  /** Called instead of all of these when the value is neither: what becomes of it. Absent: it is passed over. */
  otherwise?(): typeof SKIP | ValueReader;
}

/** The longest text of a value that a `ValueReader` is given where nothing else is said, in bytes. */
export const READ_LIMIT = 64 * 1024;
/** The longest key of a visited object, in bytes. */
const KEY_LIMIT = 64 * 1024;
/** The deepest nesting of containers. A packument needs about ten. */
export const DEPTH_LIMIT = 1_000;

/** Text that is not JSON (RFC 8259), or not the JSON that was expected. The message has the position, never the text. */
export class JsonFormatError extends Error {
  override readonly name = 'JsonFormatError';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;

// Where the scanner stands between two bytes. Small integers, so that the switch below is a jump table.
const VALUE = 0;
const FIRST_ELEMENT = 1;
const KEY = 2;
const FIRST_KEY = 3;
const AFTER_KEY = 4;
const AFTER_VALUE = 5;
const IN_STRING = 6;
const IN_ESCAPE = 7;
const IN_HEX = 8;
const IN_LITERAL = 9;
const AFTER_MINUS = 10;
const AFTER_ZERO = 11;
const IN_INTEGER = 12;
const AFTER_DOT = 13;
const IN_FRACTION = 14;
const AFTER_E = 15;
const AFTER_E_SIGN = 16;
const IN_EXPONENT = 17;
const AT_END = 18;

const EXPECTED: readonly string[] = [
  'a value',
  'a value or "]"',
  'a key',
  'a key or "}"',
  '":"',
  '"," or the end of the object or array',
  'a string without control characters',
  'an escape sequence',
  'four hexadecimal digits',
  'true, false or null',
  'a digit',
  'a number without leading zeros',
  'a digit',
  'a digit',
  'a digit',
  'an exponent',
  'a digit',
  'a digit',
  'nothing after the value',
];

const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

const WHITESPACE = table(' \t\n\r');
const DIGIT = table('0123456789');
const HEX = table('0123456789abcdefABCDEF');
const ESCAPABLE = table('"\\/bfnrt');
/** Bytes inside a string that need no attention. */
const PLAIN = new Uint8Array(256).fill(1, 0x20);
PLAIN[QUOTE] = 0;
PLAIN[BACKSLASH] = 0;

/** Reads one JSON object piece by piece. */
export interface JsonScanner {
  /**
   * Reads the next piece of the text.
   * @throws JsonFormatError
   */
  write(piece: Buffer): void;
  /**
   * The text has ended.
   * @throws JsonFormatError when it is not complete
   */
  end(): void;
}

/**
 * A scanner that shows a visitor the members that it asks for; whatever it does not ask for is checked and passed over
 * without becoming a JavaScript value. Memory: one key or one read value, whatever the size of the text. Strict (RFC
 * 8259), but for the encoding: ill-formed UTF-8 in keys and read values becomes U+FFFD.
 * @param root visits the outermost value
 * @param readLimit the longest text of a value that a `ValueReader` is given, in bytes
 */
export function createJsonScanner(root: ObjectVisitor, readLimit = READ_LIMIT): JsonScanner {
  const scan = newScan(root, readLimit);
  return {
    write: (piece) => readPiece(scan, piece),
    end() {
      if (scan.step === AT_END) return;
      throw new JsonFormatError(
        `byte ${scan.offset}: expected ${EXPECTED[scan.step] as string}, found the end of the text`,
      );
    },
  };
}

type Scan = ReturnType<typeof newScan>;

/**
 * The state of a scan. A plain record and functions, not a class: with `#private` fields the compiled loop below ran at
 * half the speed (several visitors in one process).
 *
 *     depth     containers that are open
 *     watched   the number of them that are visited: always the outermost ones
 *     depth === watched: the scan stands directly in a visited object (or before the first byte)
 */
function newScan(root: ObjectVisitor, readLimit: number) {
  return {
    readLimit,
    /** The key or the value that is being read. */
    captured: new ByteWriter(1024),
    /** For every open container whether it is an object. */
    isObject: new Uint8Array(DEPTH_LIMIT + 1),
    visitors: [] as ObjectVisitor[],
    /** The member that is being read in each of them. */
    places: [] as Place[],
    step: VALUE as number,
    depth: 0,
    watched: 0,
    /** For the value that begins next, or is being read, in the innermost visited object. */
    instruction: root as Instruction,
    /** Whether the current value is read. */
    reads: false,
    /** The start of the current key. */
    keyStart: 0,
    /** The start of the bytes in the current piece that are not captured yet. */
    from: 0,
    /** Whether the current string is a key, and whether a visitor wants it. */
    inKey: false,
    inWatchedKey: false,
    escaped: false,
    /** Whether the value that is being read is too long. */
    overflow: false,
    literal: NULL,
    /** The number of bytes of the literal, or digits of the `\u` escape, that were read. */
    matched: 0,
    /** Bytes in earlier pieces. */
    offset: 0,
  };
}

/** A member, as far as it was read. Offsets in the text. */
interface Place {
  key: string;
  start: number;
  valueStart: number;
}

function readPiece(scan: Scan, piece: Buffer): void {
  const length = piece.length;
  let step = scan.step;
  let at = 0;
  scan.from = 0;
  while (at < length) {
    const byte = piece[at] as number;
    switch (step) {
      case IN_STRING: {
        if (PLAIN[byte] === 1) {
          at++;
          while (at < length && PLAIN[piece[at] as number] === 1) at++;
        } else if (byte === QUOTE) {
          if (scan.inKey) {
            if (scan.inWatchedKey) endKey(scan, piece, at);
            step = AFTER_KEY;
            at++;
          } else {
            at++;
            step = scan.depth === scan.watched ? endValue(scan, piece, at) : AFTER_VALUE;
          }
        } else if (byte === BACKSLASH) {
          scan.escaped = true;
          step = IN_ESCAPE;
          at++;
        } else fail(scan, step, at);
        break;
      }
      case AFTER_KEY:
        if (byte === COLON) step = VALUE;
        else if (WHITESPACE[byte] === 0) fail(scan, step, at);
        at++;
        break;
      case AFTER_VALUE:
        if (byte === COMMA) {
          step = scan.isObject[scan.depth] === 1 ? KEY : VALUE;
          at++;
        } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
          if ((byte === CLOSE_OBJECT) !== (scan.isObject[scan.depth] === 1)) fail(scan, step, at);
          at++;
          step = close(scan, piece, at);
        } else if (WHITESPACE[byte] === 1) at++;
        else fail(scan, step, at);
        break;
      case KEY:
      case FIRST_KEY:
        if (byte === QUOTE) {
          at++;
          scan.inKey = true;
          scan.inWatchedKey = scan.depth === scan.watched;
          if (scan.inWatchedKey) {
            scan.keyStart = scan.offset + at - 1;
            scan.captured.clear();
            scan.escaped = false;
            scan.from = at;
          }
          step = IN_STRING;
        } else if (WHITESPACE[byte] === 1) at++;
        else if (byte === CLOSE_OBJECT && step === FIRST_KEY) {
          at++;
          step = close(scan, piece, at);
        } else fail(scan, step, at);
        break;
      case VALUE:
      case FIRST_ELEMENT:
        if (WHITESPACE[byte] === 1) {
          at++;
          break;
        }
        if (byte === CLOSE_ARRAY && step === FIRST_ELEMENT) {
          at++;
          step = close(scan, piece, at);
          break;
        }
        if (scan.depth === scan.watched) beginValue(scan, byte, at);
        if (byte === QUOTE) {
          scan.inKey = false;
          scan.inWatchedKey = false;
          step = IN_STRING;
        } else if (byte === OPEN_OBJECT) {
          open(scan, 1, at);
          step = FIRST_KEY;
        } else if (byte === OPEN_ARRAY) {
          open(scan, 0, at);
          step = FIRST_ELEMENT;
        } else if (byte === MINUS) step = AFTER_MINUS;
        else if (byte === ZERO) step = AFTER_ZERO;
        else if (byte > ZERO && byte <= NINE) step = IN_INTEGER;
        else {
          scan.literal = byte === TRUE[0] ? TRUE : byte === FALSE[0] ? FALSE : NULL;
          if (byte !== scan.literal[0]) fail(scan, step, at);
          scan.matched = 1;
          step = IN_LITERAL;
        }
        at++;
        break;
      case IN_ESCAPE:
        if (byte === 0x75) {
          scan.matched = 0;
          step = IN_HEX;
        } else if (ESCAPABLE[byte] === 1) step = IN_STRING;
        else fail(scan, step, at);
        at++;
        break;
      case IN_HEX:
        if (HEX[byte] === 0) fail(scan, step, at);
        if (++scan.matched === 4) step = IN_STRING;
        at++;
        break;
      case IN_LITERAL:
        if (byte !== scan.literal[scan.matched]) fail(scan, step, at);
        at++;
        if (++scan.matched === scan.literal.length) step = endScalar(scan, piece, at);
        break;
      case AT_END:
        if (WHITESPACE[byte] === 0) fail(scan, step, at);
        at++;
        break;
      default: {
        const next = nextInNumber(step, byte);
        if (next === undefined) fail(scan, step, at);
        else if (next === AFTER_VALUE) step = endScalar(scan, piece, at);
        else {
          step = next;
          at++;
        }
      }
    }
  }
  scan.step = step;
  if (scan.inWatchedKey && (step === IN_STRING || step === IN_ESCAPE || step === IN_HEX)) {
    captureKey(scan, piece, length);
  } else if (scan.reads) pass(scan, piece, length);
  scan.offset += length;
}

function beginValue(scan: Scan, byte: number, at: number): void {
  const place = scan.places[scan.watched - 1];
  if (place !== undefined) place.valueStart = scan.offset + at;
  if (scan.depth > 0 && scan.isObject[scan.depth] === 0) {
    scan.instruction = scan.visitors[scan.watched - 1]?.element?.() ?? SKIP;
  }
  let instruction = scan.instruction;
  if (typeof instruction === 'object') {
    if (byte === OPEN_OBJECT || (byte === OPEN_ARRAY && instruction.element !== undefined)) return;
    scan.instruction = instruction = instruction.otherwise?.() ?? SKIP;
  }
  scan.from = at;
  scan.reads = instruction !== SKIP;
  if (!scan.reads) return;
  scan.captured.clear();
  scan.overflow = false;
}

function open(scan: Scan, isObject: 0 | 1, at: number): void {
  const depth = scan.depth + 1;
  if (depth > DEPTH_LIMIT) {
    throw new JsonFormatError(`byte ${scan.offset + at}: expected at most ${DEPTH_LIMIT} levels of nesting`);
  }
  const instruction = scan.instruction;
  if (scan.depth === scan.watched && typeof instruction === 'object') {
    scan.visitors.push(instruction);
    scan.places.push({ key: '', start: 0, valueStart: 0 });
    scan.watched = depth;
    scan.reads = false;
    const place = scan.places[scan.watched - 2];
    instruction.enter?.(place?.start ?? 0, place?.valueStart ?? scan.offset + at);
  }
  scan.depth = depth;
  scan.isObject[depth] = isObject;
}

/** @param end the position after the closing bracket */
function close(scan: Scan, piece: Buffer, end: number): number {
  const visited = scan.depth === scan.watched;
  scan.depth--;
  if (visited) {
    scan.places.pop();
    scan.visitors.pop()?.leave?.();
    scan.watched--;
    scan.instruction = SKIP;
    tellEnd(scan, end);
    return scan.depth === 0 ? AT_END : AFTER_VALUE;
  }
  return scan.depth === scan.watched ? endValue(scan, piece, end) : AFTER_VALUE;
}

function endScalar(scan: Scan, piece: Buffer, end: number): number {
  return scan.depth === scan.watched ? endValue(scan, piece, end) : AFTER_VALUE;
}

/** A value of a visited object, or the outermost one, has ended before the position `end`. */
function endValue(scan: Scan, piece: Buffer, end: number): number {
  if (scan.reads) {
    const reader = scan.instruction;
    if (typeof reader === 'function') reader(valueUpTo(scan, piece, end));
    scan.reads = false;
  }
  tellEnd(scan, end);
  return scan.depth === 0 ? AT_END : AFTER_VALUE;
}

function tellEnd(scan: Scan, end: number): void {
  const visitor = scan.visitors[scan.watched - 1];
  if (visitor?.ended === undefined || scan.isObject[scan.depth] === 0) return;
  const { key, start, valueStart } = scan.places[scan.watched - 1] as Place;
  visitor.ended(key, start, valueStart, scan.offset + end);
}

/** The value that ends before `end`. Most lie in one piece, and need not be collected. */
function valueUpTo(scan: Scan, piece: Buffer, end: number): unknown {
  if (scan.captured.size === 0 && !scan.overflow) {
    return end - scan.from > scan.readLimit ? undefined : JSON.parse(piece.toString('utf8', scan.from, end));
  }
  pass(scan, piece, end);
  return scan.overflow ? undefined : JSON.parse(scan.captured.toString());
}

function pass(scan: Scan, piece: Buffer, end: number): void {
  scan.overflow ||= scan.captured.size + end - scan.from > scan.readLimit;
  if (!scan.overflow) scan.captured.append(piece, scan.from, end);
}

function captureKey(scan: Scan, piece: Buffer, end: number): void {
  if (scan.captured.size + end - scan.from > KEY_LIMIT) {
    throw new JsonFormatError(`byte ${scan.offset + end}: expected a key of at most ${KEY_LIMIT} bytes`);
  }
  scan.captured.append(piece, scan.from, end);
}

function endKey(scan: Scan, piece: Buffer, end: number): void {
  let text: string;
  if (scan.captured.size === 0 && end - scan.from <= KEY_LIMIT) text = piece.toString('utf8', scan.from, end);
  else {
    captureKey(scan, piece, end);
    text = scan.captured.toString();
  }
  const key = scan.escaped ? (JSON.parse(`"${text}"`) as string) : text;
  const place = scan.places[scan.watched - 1] as Place;
  place.key = key;
  place.start = scan.keyStart;
  scan.instruction = (scan.visitors[scan.watched - 1] as ObjectVisitor).member(key);
}

function fail(scan: Scan, step: number, at: number): never {
  throw new JsonFormatError(`byte ${scan.offset + at}: expected ${EXPECTED[step] as string}`);
}

/** The step after `byte` in a number; `AFTER_VALUE` when the number ended before it, `undefined` when it cannot. */
function nextInNumber(step: number, byte: number): number | undefined {
  const isDigit = DIGIT[byte] === 1;
  const isE = byte === 0x65 || byte === 0x45;
  switch (step) {
    case AFTER_MINUS:
      return byte === ZERO ? AFTER_ZERO : isDigit ? IN_INTEGER : undefined;
    case AFTER_ZERO:
      if (isDigit) return undefined;
      return byte === DOT ? AFTER_DOT : isE ? AFTER_E : AFTER_VALUE;
    case IN_INTEGER:
      return isDigit ? IN_INTEGER : byte === DOT ? AFTER_DOT : isE ? AFTER_E : AFTER_VALUE;
    case AFTER_DOT:
      return isDigit ? IN_FRACTION : undefined;
    case IN_FRACTION:
      return isDigit ? IN_FRACTION : isE ? AFTER_E : AFTER_VALUE;
    case AFTER_E:
      return isDigit ? IN_EXPONENT : byte === MINUS || byte === 0x2b ? AFTER_E_SIGN : undefined;
    case AFTER_E_SIGN:
      return isDigit ? IN_EXPONENT : undefined;
    default:
      return isDigit ? IN_EXPONENT : AFTER_VALUE;
  }
}

function table(characters: string): Uint8Array {
  const members = new Uint8Array(256);
  for (const byte of Buffer.from(characters, 'latin1')) members[byte] = 1;
  return members;
}
