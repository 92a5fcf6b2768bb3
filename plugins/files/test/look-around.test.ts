import { describe, expect, it } from 'vitest';
import { byRegex } from '../src/pattern.js';

/** Patterns whose look-around is taken, and paths that tell them apart. */
const TAKEN: [pattern: string, paths: string[]][] = [
  ['^(?!private/)', ['private/a', 'a/private/', 'privates', '']],
  ['^(?!a|b)(?=.*c).*$', ['ac', 'bc', 'xc', 'x']],
  ['^(?!.*-SNAPSHOT)[a-z]+/', ['x/a-SNAPSHOT', 'x/a', '1/a']],
  ['^.*(?<!\\.sha256)$', ['a.sha256', 'a.tgz', '.sha256', '']],
  ['\\.jar(?<!-sources\\.jar)(?<!-javadoc\\.jar)\\Z', ['a.jar', 'a-sources.jar', 'a-javadoc.jar', 'a.jar.x']],
  ['(?i)^(?!X[(]y)[a-z(]+$', ['x(y', 'X(Y', 'x(z', 'X']],
  ['^(?![]()])a?(?<=a)$', ['a', ']', '']],
  ['^team/(?!live)(?=[a-z])', ['team/live', 'team/app', 'team/1', 'a/team/app']],
  ['(?<!-sources)(?<!-javadoc)\\.jar$', ['a.jar', 'a-sources.jar', 'a-javadoc.jar', '.jar', 'a.jar.x']],
  ['^a(?!b)c(?!d)', ['ac', 'acd', 'ab', 'acb']],
  ['^a\\.(?!b)(?<!x)c$', ['a.c', 'a.b', 'a.d', 'a.xc']],
  ['^(?!(?:a(?:b)?)c)a', ['abc', 'ac', 'ab']],
];

describe('a regular expression', () => {
  it.each(TAKEN)('finds in time that is linear what %s finds', (pattern, paths) => {
    const insensitive = pattern.startsWith('(?i)');
    const written = new RegExp(
      pattern.replace('(?i)', '').replace('\\Z', '$').replace('[]()]', '[\\]()]'),
      insensitive ? 'i' : '',
    );
    const { test } = byRegex(pattern);
    expect(paths.map(test)).toEqual(paths.map((path) => written.test(path)));
    expect(new Set(paths.map(test)).size).toBe(2);
  });

  it.each([
    '(?!a)b',
    'a(?=b)c',
    '^(?!a)b|c',
    '^(?!a)?b',
    '(?<=a)b',
    '(?<!a)+$',
    '(a)\\1',
    '^ab*(?!c)d',
    '^a.(?!b)',
    '(?<!a)b?$',
    '^(?!(?!x)y)b',
    '^(?!\\Q)\\E)b',
  ])('with anything else is refused with what to do: %s', (pattern) => {
    expect(() => byRegex(pattern)).toThrow(/look-around is taken|missing|unexpected/);
  });

  it('with look-around takes no more than linear time', () => {
    const { test } = byRegex('^(?!(a+)+!)(a+)+(?<!(?:b+)+)$');
    const path = 'a'.repeat(50_000);
    const before = performance.now();
    expect(test(path)).toBe(true);
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});
