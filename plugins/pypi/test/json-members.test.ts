import { describe, expect, it } from 'vitest';
import { PageFormatError } from '../src/errors.js';
import { readJsonMembers, type JsonMember, type Reading } from '../src/json-members.js';
import { contentOf } from './fixtures.js';

async function read(text: string, readingOf: (key: string) => Reading, pieceSize = Infinity): Promise<JsonMember[]> {
  const found: JsonMember[] = [];
  for await (const members of readJsonMembers(contentOf(text, undefined, pieceSize), readingOf)) found.push(...members);
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
    await expect(read(text, () => 'elements')).rejects.toThrow(PageFormatError);
    await expect(read(text, () => 'elements', 1)).rejects.toThrow(PageFormatError);
  });

  it('holds no value of more than 8 MiB', async () => {
    await expect(read(`{"a":"${'x'.repeat(9 * 1024 * 1024)}"}`, () => 'whole')).rejects.toThrow(/more than/);
    expect(await read(`{"a":"${'x'.repeat(9 * 1024 * 1024)}"}`, () => 'skip')).toEqual([]);
  });
});
