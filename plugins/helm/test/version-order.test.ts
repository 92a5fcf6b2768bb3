import { describe, expect, it } from 'vitest';
import { latestStable, newestFirst, parseChartVersion } from '../src/version-order.js';

function entries(...versions: string[]): { version: string }[] {
  return versions.map((version) => ({ version }));
}

describe('versions', () => {
  it.each([
    '1.0.0',
    'v1.0.0',
    '1',
    '1.0',
    '01.02.003',
    '1.0.0-12',
    '2-3',
    '1.0.0+b.1',
    '18446744073709551615.0.0',
    '1.0.0--',
  ])('takes %s', (version) => expect(parseChartVersion(version)).toBeDefined());

  it.each([
    '',
    'v',
    '1.0.0.0',
    '1.0.0-01',
    '1.0.0-',
    '1.0.0+',
    '1..0',
    ' 1.0.0',
    '1.0.0\n',
    '-1.0.0',
    '18446744073709551616',
    'V1.0.0',
    '../1',
    '1e3',
    `1.0.0-${'a'.repeat(300)}`,
  ])('refuses %j', (version) => expect(parseChartVersion(version)).toBeUndefined());

  it('come newest first, in one order whatever the order of the list', () => {
    const sorted = entries(
      '10.0.0',
      '9.0.0',
      '2-3',
      'v1.10.0',
      '1.9',
      '1.0.1',
      '1.0.0',
      '1.0.0+b.2',
      '1.0.0+b.1',
      '1.0.0-rc.11',
      '1.0.0-rc.2',
      '1.0.0-rc',
      '1.0.0-beta',
      '1.0.0-alpha.b',
      '1.0.0-alpha.1',
      '1.0.0-alpha',
      '1.0.0-99999999999999999999',
      '1.0.0-12',
      '1.0.0-2',
      'junk',
    );
    expect(newestFirst([...sorted].reverse())).toEqual(sorted);
    expect(newestFirst([...sorted].sort((one, other) => one.version.length - other.version.length))).toEqual(sorted);
  });

  it.each([
    [['2.0.0-rc.1', '1.0.0', '1.1.0'], '1.1.0'],
    [['1.0.0', 'v1.2', '1.1.0'], 'v1.2'],
    [['2-3', '1.0.0+b'], '1.0.0+b'],
    [['1.0.0-12'], undefined],
    [[], undefined],
  ])('among %j the latest is %s', (versions, latest) => {
    expect(latestStable(entries(...versions))?.version).toBe(latest);
  });
});
