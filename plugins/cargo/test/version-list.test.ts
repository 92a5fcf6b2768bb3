import { describe, expect, it } from 'vitest';
import { crateKey, VersionList, type VersionLine } from '../src/version-list.js';
import { sha256 } from './fixtures.js';

const lineOf = (version: string, bytes: string, more: Partial<VersionLine> = {}): VersionLine => ({
  name: 'Demo',
  version,
  sha256: sha256(bytes),
  isYanked: false,
  links: false,
  publishedAt: Number.NaN,
  ...more,
});

describe('a list of versions', () => {
  const lines = [
    lineOf('1.0.0', 'a'),
    lineOf('1.1.0', 'b', { isYanked: true, links: true, publishedAt: 1_700_000_000_000 }),
    lineOf('1.0.0', 'c'),
    lineOf('a/b', 'd'),
  ];
  const list = new VersionList('demo', lines, new Map([['1.1.0', 'MIT']]));

  it('describes each by its key, as its publisher spells it', () => {
    expect(list.describe(crateKey('demo', '1.1.0', sha256('b')))).toEqual({
      integrity: [{ algorithm: 'sha256', hex: sha256('b') }],
      coordinates: { ecosystem: 'cargo', name: 'Demo', version: '1.1.0' },
      own: { name: 'Demo', version: '1.1.0' },
      yanked: true,
      publishedAt: 1_700_000_000_000,
      installScripts: true,
      licenses: ['MIT'],
    });
    for (const [at, { version, sha256: sum }] of lines.entries())
      expect(list.describe(crateKey('DEMO', version, sum))).toEqual(list.at(at));
    expect(Array.from(list.descriptions(), ([key]) => list.describe(key))).toEqual(lines.map((_, at) => list.at(at)));
  });

  it.each([
    ['another version', crateKey('demo', '2.0.0', sha256('a'))],
    ['another sum', crateKey('demo', '1.1.0', sha256('a'))],
    ['another crate', crateKey('other', '1.0.0', sha256('a'))],
    ['no key', 'crate/demo/'],
  ])('does not describe %s', (_what, key) => {
    expect(list.describe(key)).toBeUndefined();
  });

  it('says the sum of the first line of a version', () => {
    expect([list.sumOf('1.0.0'), list.sumOf('1.1.0'), list.sumOf('3.0.0')]).toEqual([
      sha256('a'),
      sha256('b'),
      undefined,
    ]);
  });

  it('of a tree of 900 crates, 100 of each, fits into the memory for documents of a repository', () => {
    const many = Array.from({ length: 100 }, (_, at) => lineOf(`1.${at}.0`, 'a'));
    expect(900 * new VersionList('demo', many, new Map()).weight).toBeLessThan(20_000_000);
  });
});
