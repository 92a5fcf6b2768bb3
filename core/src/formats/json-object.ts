import type { Content } from '../api/content.js';
import {
  createJsonScanner,
  JsonFormatError,
  SKIP,
  type Instruction,
  type JsonScanner,
  type ObjectVisitor,
} from './json-scanner.js';
import { slices, WorkTurns } from './work-turns.js';

/**
 * A body up to this size is parsed in one go, which holds the event loop for a few milliseconds. One that is read while it arrives
 * has more than that from the first byte on. Bytes.
 */
const SMALL = 512 * 1024;
/** The longest text of a value that a `ValueReader` is given, in bytes. */
const VALUE_LIMIT = 8 * 1024 * 1024;

/**
 * Shows the members of the object that `content` is to `member`. Only values that are read are ever held whole, but for small bodies,
 * for which `JSON.parse` is quicker: of a key that occurs twice they show the last value alone, and no places.
 * @throws JsonFormatError
 */
export async function readJsonObject(content: Content, member: (key: string) => Instruction): Promise<void> {
  if (content.size <= SMALL) await show(parse(await content.bytes(SMALL)), objectOf(member), new WorkTurns());
  else for await (const _ of readJsonSteps(content, member));
}

/**
 * Shows the members of the object that `content` is to `member`, and stops after each piece: what was read by then can be handed on.
 * @throws JsonFormatError
 */
export function readJsonSteps(
  content: Content,
  member: (key: string) => Instruction,
): AsyncGenerator<void, void, undefined> {
  return scanInSteps(content, createJsonScanner(objectOf(member), VALUE_LIMIT));
}

/**
 * Shows the members of `content` to `root`.
 * @param advance called after each piece that was read
 * @throws JsonFormatError
 */
export async function scanJson(content: Content, root: ObjectVisitor, advance?: () => void): Promise<void> {
  for await (const _ of scanInSteps(content, createJsonScanner(root))) advance?.();
}

async function* scanInSteps(content: Content, scanner: JsonScanner): AsyncGenerator<void, void, undefined> {
  for await (const slice of slices(content.stream())) {
    scanner.write(slice);
    yield;
  }
  scanner.end();
}

/** Visits every element of an array, or every member of an object. */
export function eachOf(instruction: Instruction): ObjectVisitor {
  return { member: () => instruction, element: () => instruction };
}

function objectOf(member: (key: string) => Instruction): ObjectVisitor {
  return {
    member,
    otherwise() {
      throw new JsonFormatError('it is not a JSON object');
    },
  };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
  } catch (error) {
    throw new JsonFormatError('it is not a JSON object', { cause: error });
  }
}

/** Shows a parsed value, as the scanner shows its text. */
async function show(value: unknown, visitor: ObjectVisitor, turns: WorkTurns): Promise<void> {
  const isArray = Array.isArray(value);
  if (typeof value !== 'object' || value === null || (isArray && visitor.element === undefined)) {
    const instruction = visitor.otherwise?.();
    if (typeof instruction === 'function') instruction(value);
    return;
  }
  visitor.enter?.(0, 0);
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    const instruction = isArray ? (visitor.element?.() ?? SKIP) : visitor.member(key);
    if (typeof instruction === 'function') instruction(inner);
    else if (typeof instruction === 'object') await show(inner, instruction, turns);
    if (turns.over) await turns.next();
  }
  visitor.leave?.();
}
