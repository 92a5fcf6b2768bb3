import { describe, expect, it } from 'vitest';
import { isRecord, parseJson } from '../../src/formats/index.js';

describe('small JSON', () => {
  it.each([
    ['{"a":1}', { a: 1 }, true],
    ['[1]', [1], false],
    ['null', null, false],
    ['"text"', 'text', false],
    ['', undefined, false],
    ['{"a":', undefined, false],
  ])('%j', (text, value, isObject) => {
    expect(parseJson(text)).toEqual(value);
    expect(isRecord(parseJson(text))).toBe(isObject);
  });
});
