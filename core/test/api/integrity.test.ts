import { describe, expect, it } from 'vitest';
import { agreed, type Integrity } from '../../src/api/integrity.js';

describe('promises of two sources', () => {
  const of = (algorithm: 'sha256' | 'sha512', sign: string): Integrity => ({
    algorithm,
    hex: sign.repeat(algorithm === 'sha256' ? 64 : 128),
  });

  it.each([
    ['are those of one, where the other says nothing', [of('sha256', 'a')], [], [of('sha256', 'a')]],
    ['are those that both have', [of('sha256', 'a')], [of('sha256', 'b'), of('sha256', 'a')], [of('sha256', 'a')]],
    ['are of the stronger algorithm', [of('sha256', 'a')], [of('sha512', 'b')], [of('sha512', 'b')]],
    ['are none of none', [], [], []],
  ])('%s', (_what, one, other, expected) => {
    expect(agreed('a file', one, other)).toEqual(expected);
    expect(agreed('a file', other, one)).toEqual(expected);
  });

  it('are refused where they name other bytes', () => {
    expect(() => agreed('a file', [of('sha256', 'a')], [of('sha256', 'b')])).toThrow(
      expect.objectContaining({ kind: 'integrity', message: expect.stringContaining('and listed as sha256:bbb') }),
    );
  });
});
