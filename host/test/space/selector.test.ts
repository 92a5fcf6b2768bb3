import { describe, expect, it } from 'vitest';
import { keysSelector, parseSelector, subjectOfKeys } from '../../src/space/selector.js';

const entry = (repository: string, key: string, version?: string) => ({
  repository,
  key,
  coordinates: { ecosystem: 'npm', name: 'lodash', version },
});

describe('a subject', () => {
  it.each([
    ['pkg:npm/lodash', entry('npm', 'packument/lodash'), true],
    ['pkg:npm/lodash', entry('other', 'tarball/x', '4.17.21'), true],
    ['pkg:npm/lodash@4.17.21', entry('npm', 'tarball/x', '4.17.21'), true],
    ['pkg:npm/lodash@4.17.21', entry('npm', 'packument/lodash'), false],
    ['pkg:npm/underscore', entry('npm', 'packument/lodash'), false],
    ['npm/**', entry('npm', 'packument/lodash'), true],
    ['npm/packument/*', entry('npm', 'packument/lodash'), true],
    ['npm/packument/*', entry('other', 'packument/lodash'), false],
    ['npm//packument/lodash', entry('npm', 'packument/lodash'), true],
    ['npm/packument/{lodash,underscore}', entry('npm', 'packument/lodash'), true],
  ])('%s', (subject, candidate, isTaken) => {
    const selector = parseSelector(subject);
    expect(selector.takes(candidate)).toBe(isTaken);
    if (isTaken) expect(candidate.key.startsWith(selector.prefix)).toBe(true);
  });

  it.each(['', 'npm', 'npm/', '/npm/lodash', 'lodash@4.17.21'])('is refused with what was expected: %j', (subject) => {
    expect(() => parseSelector(subject)).toThrow(
      /^expected a package URL such as pkg:npm\/lodash@4\.17\.21, <repository>\/<pattern> such as npm\/\*\*, or the path or URL of a request such as \/npm\/lodash; found "/,
    );
  });

  it.each([
    ['npm/[a', 'the pattern "[a": a [ is not closed'],
    ['npm/!a', 'the pattern "!a": a glob cannot be negated'],
    ['pkg:npm', 'expected a package URL such as pkg:npm/lodash@4.17.20'],
  ])('is refused with what is wrong with it: %s', (subject, message) => {
    expect(() => parseSelector(subject)).toThrow(message);
  });
});

describe('keys', () => {
  const KEYS = [
    'a',
    'simple/',
    '/rooted',
    '!bang',
    'a*?[b]{c,d}\\e',
    '**',
    '@s/p',
    'chart/t//x-1.0.0.tgz',
    'ü 😀',
    '{}',
    ',',
  ];

  it('are selected as they are', () => {
    for (const key of KEYS) {
      const selector = keysSelector('files', [key]);
      expect(KEYS.filter((one) => selector.takes({ repository: 'files', key: one }))).toEqual([key]);
      expect(selector.takes({ repository: 'other', key })).toBe(false);
    }
  });

  it('make a subject that stands for them alone', () => {
    for (const key of KEYS) {
      const selector = parseSelector(subjectOfKeys('files', [key]));
      expect(KEYS.filter((one) => selector.takes({ repository: 'files', key: one }))).toEqual([key]);
      expect(key.startsWith(selector.prefix)).toBe(true);
    }
    const all = parseSelector(subjectOfKeys('files', KEYS));
    expect(KEYS.filter((one) => all.takes({ repository: 'files', key: one }))).toEqual(KEYS);
    expect(all.takes({ repository: 'files', key: 'b' })).toBe(false);
  });
});
