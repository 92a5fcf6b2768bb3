import picomatch from 'picomatch';
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../../src/formats/index.js';
import { pick } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '../../src/testing/index.js';

const matches = (glob: string, path: string) => compileGlob(glob)(path);

const GLOBS = [
  '**',
  '**/*.zip',
  '*.zip',
  'a/**',
  'a/**/b.zip',
  'a/*/b.zip',
  '**/.hidden/*',
  '*-*-*.zip',
  '{a,b}/*.{zip,tgz}',
  'a/{b,c/d}/*.zip',
  '[a-c]/?.zip',
  '[^a-c]/*.zip',
  'v[0-9]*/**/*.gz',
  'a.b/*',
  'a\\*b/*.zip',
  'Ä/**',
  '**/b/**',
  'a+b/(c)/$d.zip',
  '/a/*.zip',
];

const PATHS = [
  'a',
  'a/b.zip',
  'b.zip',
  '.zip',
  'a/.zip',
  'a/x/b.zip',
  'a/x/y/b.zip',
  'x/.hidden/file',
  '.hidden/file',
  'x-1-2.zip',
  'x-1.zip',
  'b/x.tgz',
  'b/x.tar',
  'a/c/d/x.zip',
  'a/b/x.zip',
  'd/x.zip',
  'c/x.zip',
  'c/xy.zip',
  'v1/x/y.gz',
  'vx/y.gz',
  'v1.gz',
  'a.b/c',
  'aXb/c',
  'a*b/c.zip',
  'axb/c.zip',
  'Ä/ö/ü',
  'x/b/y',
  'a+b/(c)/$d.zip',
  'A/b.zip',
  'a/B.ZIP',
];

describe('compileGlob', () => {
  it.each(GLOBS)('%s: agrees with picomatch on every path', (glob) => {
    const reference = picomatch(glob.replace(/^\//, ''), { dot: true, noextglob: true });
    const differ = PATHS.filter((path) => matches(glob, path) !== reference(path));
    expect(differ).toEqual([]);
  });

  it.each([
    ['a/*', 'a/', false],
    ['a/*', 'a/b/', false],
    ['a/*/', 'a/b/', true],
    ['**/', 'a/b/', true],
    ['**/', 'a/b', false],
    ['**', '', true],
    ['a/**', 'a/', true],
    ['a**/b', 'axx/b', true],
    ['a**/b', 'a/x/b', false],
    ['x{,.sig}', 'x.sig', true],
    ['x{,.sig}', 'x', true],
    ['[]]x', ']x', true],
    ['a[+-9]b', 'a/b', false],
    ['a[+-9]b', 'a7b', true],
    ['a[!x]b', 'a/b', false],
    ['[!a-c]/x', 'd/x', true],
    ['[!a-c]/x', 'a/x', false],
    ['a?b', 'a/b', false],
    ['?.zip', '😀.zip', true],
    ['\\!x', '!x', true],
    ['[a\\]]', ']', true],
  ])('%s on "%s": %s', (glob, path, expected) => {
    expect(matches(glob, path)).toBe(expected);
  });

  it.each([
    ['', /empty/],
    ['/', /empty/],
    ['!a', /negated/],
    ['a{b', /\{ is not closed/],
    ['a[b', /\[ is not closed/],
    ['a\\', /escapes nothing/],
    ['{a,b,c,d}'.repeat(5), /256 alternatives/],
  ])('refuses %s', (glob, message) => {
    expect(() => compileGlob(glob)).toThrow(message);
  });

  it('reads globs of chance, and throws nothing but a syntax error', () => {
    const random = pseudoRandom(23);
    const parts = [
      'a',
      'b',
      '.',
      '/',
      '/',
      '*',
      '**',
      '?',
      '[ab]',
      '[!a]',
      '[a-c]',
      '{a,b}',
      '{a/b,}',
      '-',
      '[',
      '{',
      '\\',
      '!',
    ];
    const outcomes = { matched: 0, other: 0, refused: 0 };
    for (let round = 0; round < 20_000; round += 1) {
      const glob = Array.from({ length: 1 + Math.floor(random() * 7) }, () => pick(random, parts)).join('');
      const path = Array.from({ length: 1 + Math.floor(random() * 7) }, () =>
        pick(random, ['a', 'b', 'c', '.', '/', '-']),
      ).join('');
      let found: boolean;
      try {
        found = matches(glob, path);
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
        outcomes.refused += 1;
        continue;
      }
      outcomes[found ? 'matched' : 'other'] += 1;
    }
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(200);
  });

  it('ends for many stars and a long path', () => {
    expect(matches('**/*-*-*-*-*-*-*-*.zip', `${'-/'.repeat(2_000)}${'-'.repeat(8_000)}`)).toBe(false);
  });
});
