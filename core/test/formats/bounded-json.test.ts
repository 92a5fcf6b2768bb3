import { expect, it } from 'vitest';
import { parseBoundedJson } from '../../src/formats/bounded-json.js';

it('parses what is of reasonable size', () => {
  expect(parseBoundedJson(Buffer.from('{"a":[1,{"b":"c"}]}'))).toEqual({ a: [1, { b: 'c' }] });
});

it.each([
  ['lists', `[${'[],'.repeat(50_001)}1]`],
  ['objects', `[${'{},'.repeat(50_001)}1]`],
  ['depth', '['.repeat(50_001) + ']'.repeat(50_001)],
  ['members', `[${'1,'.repeat(250_001)}1]`],
])('refuses more %s than it takes a moment to parse', (_name, text) => {
  expect(() => parseBoundedJson(Buffer.from(text))).toThrow(SyntaxError);
});
