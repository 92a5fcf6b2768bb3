import picomatch from 'picomatch';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { globToRegex } from '../src/glob.js';

const matches = (glob: string, path: string) => RE2JS.compile(globToRegex(glob), RE2JS.DOTALL).test(path);

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

describe('globToRegex', () => {
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
    expect(() => globToRegex(glob)).toThrow(message);
  });
});
