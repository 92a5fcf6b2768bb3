import { describe, expect, it } from 'vitest';
import type { Content } from '../../src/api/content.js';
import { eachOf, JsonFormatError, readJsonObject, readJsonSteps, SKIP } from '../../src/formats/index.js';
import { randomJsonObject, spellJson } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '../../src/testing/index.js';
import { fuzzAsync, piecesOf } from './fuzz.js';

/** A member of the outermost object, or one element of such a member. */
interface Found {
  readonly key: string;
  readonly value: unknown;
  readonly isElement: boolean;
  /** The name of the inner member; empty for elements of arrays. */
  readonly name: string;
}

type Reading = 'skip' | 'whole' | 'elements';
const LARGE = 1024 * 1024 + 1;

function contentOf(pieces: readonly Buffer[], size: number): Content {
  return {
    size,
    mediaType: 'application/json',
    async *stream() {
      yield* pieces;
    },
    bytes: async () => Buffer.concat(pieces),
  };
}

/** @param size small contents are parsed whole, large ones are scanned */
async function read(pieces: readonly Buffer[], readingOf: (key: string) => Reading, size: number): Promise<Found[]> {
  const found: Found[] = [];
  await readJsonObject(contentOf(pieces, size), (key) => {
    const taking =
      (name: string, isElement = true) =>
      (value: unknown) => {
        if (value === undefined) throw new JsonFormatError('it has a value that is too long');
        found.push({ key, value, isElement, name });
      };
    if (readingOf(key) === 'skip') return SKIP;
    if (readingOf(key) === 'whole') return taking('', false);
    return { member: taking, element: () => taking(''), otherwise: () => taking('', false) };
  });
  return found;
}

function inPieces(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, Math.min(bytes.length, at + size)));
  return pieces;
}

const VALUE = {
  files: [{ a: '}]"\\', b: [1, { c: 'é🔒' }] }, 'text, with ] and }', 12, -1.5e3, null, true, [], {}],
  'k"ey\\': { nested: { deep: ['{', '['] } },
  releases: { '1.0': [{ x: 1 }], 'a"b': 'text', empty: [], n: 3 },
  none: [],
  nothing: {},
  number: 7,
};

describe('readJsonObject', () => {
  it.each([1, 2, 3, 7, 64, Infinity])('reads what JSON.parse reads, in pieces of %d bytes', async (pieceSize) => {
    for (const text of [JSON.stringify(VALUE), JSON.stringify(VALUE, undefined, '\r\n\t ')]) {
      for (const size of [0, LARGE]) {
        const pieces = inPieces(text, pieceSize);
        const whole = await read(pieces, () => 'whole', size);
        expect(Object.fromEntries(whole.map(({ key, value }) => [key, value]))).toEqual(VALUE);
        const parts = await read(pieces, () => 'elements', size);
        const of = (wanted: string) => parts.filter(({ key, isElement }) => key === wanted && isElement);
        expect(of('files').map(({ value }) => value)).toEqual(VALUE.files);
        expect(Object.fromEntries(of('releases').map(({ name, value }) => [name, value]))).toEqual(VALUE.releases);
        expect(parts.find(({ key }) => key === 'number')).toMatchObject({ value: 7, isElement: false });
        expect(await read(pieces, (key) => (key === 'number' ? 'whole' : 'skip'), size)).toHaveLength(1);
      }
    }
  });

  it.each([0, LARGE])('visits objects in lists, and says where they begin and end (%d)', async (size) => {
    const seen: string[] = [];
    const inner = eachOf((value) => void seen.push(String(value)));
    const visitor = { ...inner, enter: () => void seen.push('<'), leave: () => void seen.push('>') };
    const text = '{"a":[{"x":1,"y":2},[3,null],{},"4"],"b":[5],"c":{"d":{"e":"6"}},"f":7}';
    await readJsonObject(contentOf(inPieces(text, 5), size), (key) => (key === 'b' ? SKIP : eachOf(visitor)));
    expect(seen.join(' ')).toBe('< 1 2 > < 3 null > < > < 6 >');
  });

  it('hands on after each piece what it has read', async () => {
    const content = contentOf(inPieces('{"a":[1,2,3,4,5]}', 9), 0);
    const steps: number[][] = [[]];
    const reader = eachOf((value) => void steps.at(-1)?.push(value as number));
    for await (const _ of readJsonSteps(content, () => reader)) steps.push([]);
    expect(steps).toEqual([[1], [2, 3, 4, 5], []]);
  });

  it.each([
    '',
    '[]',
    '"text"',
    '{',
    '{"a"',
    '{"a":',
    '{"a":}',
    '{"a":1',
    '{"a":1,}',
    '{"a":[1,]}',
    '{"a":[1,2}',
    '{"a":{"b":1]}',
    '{"a":{"b":1,}}',
    '{"a":truth}',
    '{"a":[01]}',
    '{"a":"\u0001"}',
    '{"a" 1}',
    '{1:2}',
    '{"a":1}{}',
    '{"a":"open',
  ])('refuses %s', async (text) => {
    for (const pieceSize of [1, Infinity])
      for (const size of [0, LARGE])
        await expect(read(inPieces(text, pieceSize), () => 'elements', size)).rejects.toThrow(JsonFormatError);
  });

  it('holds no value of more than 8 MiB', async () => {
    const long = inPieces(`{"a":"${'x'.repeat(9 * 1024 * 1024)}"}`, 64 * 1024);
    await expect(read(long, () => 'whole', LARGE)).rejects.toThrow(/too long/);
    expect(await read(long, () => 'skip', LARGE)).toEqual([]);
  });

  it('finds the same in any bytes wherever the pieces end, and throws nothing but its own error', async () => {
    const random = pseudoRandom(37);
    const outcomes = { whole: 0, refused: 0 };
    const sample = (): Buffer => Buffer.from(spellJson(random, randomJsonObject(random)));
    await fuzzAsync(random, 2_000, sample, async (bytes) => {
      const expected = await observe([bytes]);
      // As text: comparing objects would trip over members like `constructor`.
      expect(JSON.stringify(await observe(piecesOf(random, bytes)))).toBe(JSON.stringify(expected));
      outcomes[expected.error === undefined ? 'whole' : 'refused'] += 1;
    });
    expect(outcomes.whole).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(500);
  });
});

const READINGS: readonly Reading[] = ['skip', 'whole', 'elements'];

async function observe(pieces: Iterable<Buffer>): Promise<{ found: Found[]; error: string | undefined }> {
  try {
    return { found: await read([...pieces], (key) => READINGS[key.length % 3] as Reading, LARGE), error: undefined };
  } catch (error) {
    if (!(error instanceof JsonFormatError)) throw error;
    return { found: [], error: error.message };
  }
}
