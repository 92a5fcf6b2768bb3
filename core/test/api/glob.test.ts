import { describe, expect, it } from 'vitest';
import { anyStep, literalStep, matchesGlob, starGlob } from '../../src/api/glob.js';

describe('matchesGlob', () => {
  it.each([
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', 'abc', true],
    ['a*', 'a', true],
    ['a*', 'ba', false],
    ['*a', 'ba', true],
    ['a*c', 'abbc', true],
    ['a*c', 'abbcd', false],
    ['a*b*c', 'abcbc', true],
    ['**', 'a/b', true],
    ['a.c', 'abc', false],
    ['*😀', 'a😀', true],
  ])('%j and %j: %s', (pattern, text, wanted) => expect(matchesGlob(starGlob(pattern), text)).toBe(wanted));

  it('stays within a segment where a step says so', () => {
    const steps = [literalStep('a'), anyStep('/')];
    expect(matchesGlob(steps, 'abc')).toBe(true);
    expect(matchesGlob(steps, 'ab/c')).toBe(false);
  });

  it('ends for many stars and a long name', () => {
    expect(matchesGlob(starGlob(`${'*-'.repeat(30)}x`), '-'.repeat(16_384))).toBe(false);
  });
});
