import { describe, expect, it } from 'vitest';
import { JsonFormatError, readJsonMembers, type JsonMember, type Reading } from '../../src/formats/index.js';
import { pseudoRandom, randomJsonObject, spellJson } from '../../src/testing/index.js';
import { fuzzAsync, piecesOf } from './fuzz.js';

async function read(text: string, readingOf: (key: string) => Reading, pieceSize = Infinity): Promise<JsonMember[]> {
  const found: JsonMember[] = [];
  for await (const members of readJsonMembers(inPieces(Buffer.from(text), pieceSize), readingOf))
    found.push(...members);
  return found;
}

const VALUE = {
  files: [{ a: '}]"\\', b: [1, { c: 'é🔒' }] }, 'text, with ] and }', 12, -1.5e3, null, true, [], {}],
  'k"ey\\': { nested: { deep: ['{', '['] } },
  releases: { '1.0': [{ x: 1 }], 'a"b': 'text', empty: [], n: 3 },
  none: [],
  nothing: {},
  number: 7,
};

describe('readJsonMembers', () => {
  it.each([1, 2, 3, 7, 64, Infinity])('reads what JSON.parse reads, in pieces of %d bytes', async (pieceSize) => {
    for (const text of [JSON.stringify(VALUE), JSON.stringify(VALUE, undefined, '\r\n\t ')]) {
      const whole = await read(text, () => 'whole', pieceSize);
      expect(Object.fromEntries(whole.map(({ key, value }) => [key, value]))).toEqual(VALUE);
      const parts = await read(text, () => 'elements', pieceSize);
      const of = (wanted: string) => parts.filter(({ key, isElement }) => key === wanted && isElement);
      expect(of('files').map(({ value }) => value)).toEqual(VALUE.files);
      expect(Object.fromEntries(of('releases').map(({ name, value }) => [name, value]))).toEqual(VALUE.releases);
      expect(parts.find(({ key }) => key === 'number')).toMatchObject({ value: 7, isElement: false });
      expect(await read(text, (key) => (key === 'number' ? 'whole' : 'skip'), pieceSize)).toHaveLength(1);
    }
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
    await expect(read(text, () => 'elements')).rejects.toThrow(JsonFormatError);
    await expect(read(text, () => 'elements', 1)).rejects.toThrow(JsonFormatError);
  });

  it('holds no value of more than 8 MiB', async () => {
    await expect(read(`{"a":"${'x'.repeat(9 * 1024 * 1024)}"}`, () => 'whole')).rejects.toThrow(/more than/);
    expect(await read(`{"a":"${'x'.repeat(9 * 1024 * 1024)}"}`, () => 'skip')).toEqual([]);
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

async function observe(pieces: Iterable<Buffer>): Promise<{ found: JsonMember[]; error: string | undefined }> {
  const found: JsonMember[] = [];
  try {
    const source = (async function* () {
      yield* pieces;
    })();
    for await (const members of readJsonMembers(source, (key) => READINGS[key.length % 3] as Reading))
      found.push(...members);
    return { found, error: undefined };
  } catch (error) {
    if (!(error instanceof JsonFormatError)) throw error;
    return { found: [], error: error.message };
  }
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, Math.min(bytes.length, at + size));
}
