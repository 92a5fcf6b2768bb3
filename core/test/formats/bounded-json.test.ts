import { expect, it } from 'vitest';
import { parseBoundedJson } from '../../src/formats/index.js';
import { randomJsonValue, spellJson } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '../../src/testing/index.js';
import { fuzz } from './fuzz.js';

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

it('reads any bytes as JSON.parse does, or throws a syntax error', () => {
  const random = pseudoRandom(41);
  const outcomes = { whole: 0, refused: 0 };
  fuzz(
    random,
    3_000,
    () => Buffer.from(spellJson(random, randomJsonValue(random))),
    (bytes) => {
      let expected: string | undefined;
      try {
        expected = JSON.stringify(JSON.parse(bytes.toString()));
      } catch {
        expect(() => parseBoundedJson(bytes)).toThrow(SyntaxError);
        outcomes.refused += 1;
        return;
      }
      expect(JSON.stringify(parseBoundedJson(bytes))).toBe(expected);
      outcomes.whole += 1;
    },
  );
  expect(outcomes.whole).toBeGreaterThan(100);
  expect(outcomes.refused).toBeGreaterThan(500);
});
