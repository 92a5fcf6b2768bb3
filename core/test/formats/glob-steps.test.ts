import { describe, expect, it } from 'vitest';
import { anyStep, compileNamePattern, literalStep, matchesGlob } from '../../src/formats/index.js';

describe('a pattern for names', () => {
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
  ])('%j and %j: %s', (pattern, text, wanted) => expect(compileNamePattern(pattern)(text)).toBe(wanted));

  it('ends for many stars and a long name', () => {
    expect(compileNamePattern(`${'*-'.repeat(30)}x`)('-'.repeat(16_384))).toBe(false);
  });
});

describe('the steps of a glob', () => {
  it('stay within a segment where a step says so', () => {
    const steps = [literalStep('a'), anyStep('/')];
    expect(matchesGlob(steps, 'abc')).toBe(true);
    expect(matchesGlob(steps, 'ab/c')).toBe(false);
  });

  it('end for many stars and a long name', () => {
    const steps = Array.from(`${'*-'.repeat(30)}x`, (sign) => (sign === '*' ? anyStep() : literalStep(sign)));
    expect(matchesGlob(steps, '-'.repeat(16_384))).toBe(false);
  });
});
