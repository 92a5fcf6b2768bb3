import { describe, expect, it } from 'vitest';
import { parseSri } from '@entrepot/core';
import { idsOf, live, record, scannerOf } from './fixtures.js';

const FROM_START = [{ introduced: '0' }];

describe('findings', () => {
  it.each<[string, string, string, readonly object[], string, boolean | undefined]>([
    [
      'a prerelease of the fix is before it',
      'npm',
      'npm',
      [{ introduced: '0' }, { fixed: '2.0.0' }],
      '2.0.0-rc.1',
      true,
    ],
    ['the fix is not affected', 'npm', 'npm', [{ introduced: '0' }, { fixed: '2.0.0' }], '2.0.0', false],
    ['build metadata does not count', 'npm', 'npm', [{ introduced: '0' }, { fixed: '2.0.0' }], '2.0.0+build', false],
    ['a prerelease of the first is before it', 'npm', 'npm', [{ introduced: '1.0.0' }], '1.0.0-beta', false],
    [
      'the last affected is affected',
      'npm',
      'npm',
      [{ introduced: '1.0.0' }, { last_affected: '1.2.0' }],
      '1.2.0',
      true,
    ],
    ['after the last affected', 'npm', 'npm', [{ introduced: '1.0.0' }, { last_affected: '1.2.0' }], '1.2.1', false],
    ['one version alone', 'npm', 'npm', [{ introduced: '1.2.0' }, { last_affected: '1.2.0' }], '1.2.0', true],
    [
      'between two intervals',
      'npm',
      'npm',
      [{ introduced: '0' }, { fixed: '1.5.0' }, { introduced: '2.0.0' }, { fixed: '2.1.0' }],
      '1.7.0',
      false,
    ],
    [
      'in the second interval',
      'npm',
      'npm',
      [{ introduced: '0' }, { fixed: '1.5.0' }, { introduced: '2.0.0' }, { fixed: '2.1.0' }],
      '2.0.5',
      true,
    ],
    [
      'in the first although a later one begins',
      'npm',
      'npm',
      [{ introduced: '0' }, { introduced: '2.0.0' }, { fixed: '2.1.0' }],
      '1.0.0',
      true,
    ],
    [
      'events out of order',
      'npm',
      'npm',
      [{ fixed: '2.1.0' }, { introduced: '2.0.0' }, { fixed: '1.5.0' }, { introduced: '0' }],
      '1.4.0',
      true,
    ],
    [
      'fixed and introduced again at one version',
      'npm',
      'npm',
      [{ introduced: '0' }, { fixed: '2.0.0' }, { introduced: '2.0.0' }, { fixed: '2.1.0' }],
      '2.0.1',
      true,
    ],
    ['fixed where it begins', 'npm', 'npm', [{ introduced: '1.0.0' }, { fixed: '1.0.0' }], '1.0.0', false],
    ['from the limit on', 'npm', 'npm', [{ introduced: '0' }, { limit: '3.0.0' }], '3.0.0', false],
    ['before the limit', 'npm', 'npm', [{ introduced: '0' }, { limit: '3.0.0' }], '2.9.9', true],
    ['no limit', 'npm', 'npm', [{ introduced: '0' }, { limit: '*' }], '99.0.0', true],
    ['every version, whatever it is', 'npm', 'npm', FROM_START, 'not a version', true],
    ['a version that is none', 'npm', 'npm', [{ introduced: '0' }, { fixed: '2.0.0' }], 'not a version', undefined],
    ['no introduced, nothing affected', 'npm', 'npm', [{ fixed: '2.0.0' }], '1.0.0', false],
    ['a beginning that cannot be read', 'npm', 'npm', [{ introduced: 'soon' }, { fixed: '2.0.0' }], '1.0.0', undefined],
    [
      'an end that cannot be read does not end it',
      'npm',
      'npm',
      [{ introduced: '1.0.0' }, { fixed: 'soon' }],
      '5.0.0',
      true,
    ],
    ['no events', 'npm', 'npm', [], '1.0.0', false],
    ['a Go version has a v', 'golang', 'Go', [{ introduced: '0' }, { fixed: '1.5.0' }], 'v1.4.9', true],
    [
      '+incompatible does not count',
      'golang',
      'Go',
      [{ introduced: '0' }, { fixed: '2.0.0' }],
      'v2.0.0+incompatible',
      false,
    ],
    [
      'a pseudo-version',
      'golang',
      'Go',
      [{ introduced: '0' }, { fixed: '0.0.0-20240102000000-aaaaaaaaaaaa' }],
      'v0.0.0-20240101000000-bbbbbbbbbbbb',
      true,
    ],
    ['a post release is after', 'pypi', 'PyPI', [{ introduced: '0' }, { last_affected: '1.0' }], '1.0.post1', false],
    ['a development release is before', 'pypi', 'PyPI', [{ introduced: '1.0a1' }], '1.0.dev1', false],
    ['a local version is after', 'pypi', 'PyPI', [{ introduced: '1.0+a' }], '1.0', false],
    ['zeros at the end do not count', 'pypi', 'PyPI', [{ introduced: '0' }, { fixed: '1.0' }], '1.0.0', false],
    ['an epoch', 'pypi', 'PyPI', [{ introduced: '0' }, { fixed: '1!0.1' }], '2024.1', true],
    ['Maven: a snapshot is before', 'maven', 'Maven', [{ introduced: '0' }, { fixed: '1.0' }], '1.0-SNAPSHOT', true],
    ['Maven: a release candidate is before', 'maven', 'Maven', [{ introduced: '1.0' }], '1.0-rc1', false],
    ['Maven: sp is after', 'maven', 'Maven', [{ introduced: '0' }, { fixed: '1.0' }], '1.0-sp1', false],
    ['gems: a word is a prerelease', 'gem', 'RubyGems', [{ introduced: '0' }, { fixed: '2.0.0' }], '2.0.0.rc1', true],
    ['NuGet: four numbers', 'nuget', 'NuGet', [{ introduced: '0' }, { fixed: '1.0.0.5' }], '1.0.0.4', true],
    [
      'Packagist: a beta is before',
      'composer',
      'Packagist',
      [{ introduced: '0' }, { fixed: 'v2.0.0' }],
      '2.0.0-beta3',
      true,
    ],
    ['no order is known', 'conda', 'Nowhere', [{ introduced: '0' }, { fixed: '2.0.0' }], '1.0.0', undefined],
  ])('%s', async (_name, type, ecosystem, events, version, expected) => {
    const name = ecosystem === 'Maven' ? 'org.acme:tool' : 'tool';
    const { scanner } = await scannerOf({ [ecosystem]: [record('X-1', ecosystem, name, events)] });

    const found = scanner.lookup?.({ ecosystem: type, name: name.replace(':', '/'), version });

    expect(found === undefined ? undefined : found.length > 0).toBe(expected);
  });

  it.each<[string, string, string, string, boolean]>([
    ['deb', 'Debian:12', '7.88.1-10+deb12u5', '7.88.1-10+deb12u4', true],
    ['deb', 'Debian:12', '1:2.0~rc1-1', '1:2.0~beta1-1', true],
    ['deb', 'Debian:12', '2.0-1', '1:1.0-1', false],
    ['rpm', 'Rocky Linux:9', '0:1.2.3-4.el9', '1.2.3-3.el9', true],
    ['rpm', 'Rocky Linux:9', '1.0~rc1-1', '1.0-1', false],
    ['apk', 'Alpine:v3.19', '1.2.3-r4', '1.2.3_rc1-r9', true],
    ['apk', 'Alpine:v3.19', '1.2.3-r4', '1.2.3_p1-r0', false],
  ])('compares versions of %s in %s: fixed in %s, asked for %s', async (type, ecosystem, fixed, version, expected) => {
    const base = ecosystem.split(':')[0] as string;
    const events = [{ introduced: '0' }, { fixed }];
    const { scanner } = await scannerOf({ [base]: [record('X-1', ecosystem, 'curl', events)] });
    const distribution = { 'Debian:12': 'debian-12', 'Rocky Linux:9': 'rocky-linux-9', 'Alpine:v3.19': 'alpine-3.19' }[
      ecosystem
    ];

    const found = scanner.lookup?.({ ecosystem: type, name: `${distribution}/curl`, version });
    const report = await scanner.scan(
      {
        coordinates: { ecosystem: type, name: 'libcurl', version },
        qualifiers: { distro: distribution as string, upstream: 'curl' },
      },
      live(),
    );

    expect(found).toHaveLength(expected ? 1 : 0);
    expect(report.findings).toEqual(found);
    expect(scanner.lookup?.({ ecosystem: type, name: 'curl', version })).toBeUndefined();
  });

  it('finds listed versions beside ranges, and in ecosystems without an order', async () => {
    const listed = (id: string, ecosystem: string, ranges: object[] = []) => ({
      ...record(id, ecosystem, 'tool', []),
      affected: [{ package: { ecosystem, name: 'tool' }, ranges, versions: ['0.9', '1.1.0'] }],
    });
    const range = { type: 'SEMVER', events: [{ introduced: '2.0.0' }] };
    const { scanner } = await scannerOf({ npm: [listed('X-1', 'npm', [range])], PyPI: [listed('X-2', 'PyPI')] });

    expect(scanner.lookup?.({ ecosystem: 'npm', name: 'tool', version: '1.1.0' })).toHaveLength(1);
    expect(scanner.lookup?.({ ecosystem: 'npm', name: 'tool', version: '2.5.0' })).toHaveLength(1);
    expect(scanner.lookup?.({ ecosystem: 'npm', name: 'tool', version: '1.2.0' })).toEqual([]);
    expect(scanner.lookup?.({ ecosystem: 'pypi', name: 'tool', version: '0.9' })).toHaveLength(1);
  });

  it('finds a listed version of Python in any of its spellings', async () => {
    const listed = {
      ...record('X-1', 'PyPI', 'tool', []),
      affected: [{ package: { ecosystem: 'PyPI', name: 'tool' }, versions: ['1.0', '2.0.0.RC1'] }],
    };
    const { scanner } = await scannerOf({ PyPI: [listed] });
    const counts = (versions: string) =>
      versions.split(' ').map((version) => scanner.lookup?.({ ecosystem: 'pypi', name: 'tool', version })?.length);

    expect(counts('1.0 1 1.0.0 v1.0 2.0rc1 2.0.0.rc1')).toEqual([1, 1, 1, 1, 1, 1]);
    expect(counts('1.0.1 1.0.post1 2.0 10')).toEqual([0, 0, 0, 0]);
  });

  it('takes records with a common alias for one finding, with the worst of what they say', async () => {
    const { scanner } = await scannerOf({
      PyPI: [
        record('GHSA-aaaa-bbbb-cccc', 'PyPI', 'Tool_Box', [{ introduced: '0' }, { fixed: '1.5' }], {
          aliases: ['CVE-2026-1'],
          summary: 'A fault',
          published: '2026-01-02T00:00:00Z',
          database_specific: { severity: 'MODERATE' },
          references: [{ type: 'ADVISORY', url: 'https://advisories.example.com/1' }],
        }),
        record('PYSEC-2026-7', 'PyPI', 'tool-box', [{ introduced: '0' }, { fixed: '1.6' }], {
          aliases: ['CVE-2026-1', 'OTHER-2'],
          severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }],
        }),
        record('OTHER-2', 'PyPI', 'other', FROM_START),
      ],
    });

    const found = scanner.lookup?.({ ecosystem: 'pypi', name: 'tool.box', version: '1.0' });

    expect(found).toEqual([
      {
        id: 'GHSA-aaaa-bbbb-cccc',
        aliases: ['CVE-2026-1', 'OTHER-2', 'PYSEC-2026-7'],
        severity: 'critical',
        cvss: 9.8,
        fixedIn: ['1.5', '1.6'],
        publishedAt: Date.UTC(2026, 0, 2),
        title: 'A fault',
        url: 'https://advisories.example.com/1',
        source: 'osv',
      },
    ]);
    expect(scanner.lookup?.({ ecosystem: 'pypi', name: 'other', version: '1' })?.[0]?.severity).toBe('critical');
  });

  it.each<[string, object, string, number | undefined]>([
    ['CVSS v2', { severity: [{ type: 'CVSS_V2', score: 'AV:N/AC:L/Au:N/C:P/I:P/A:P' }] }, 'high', 7.5],
    [
      'CVSS v4',
      { severity: [{ type: 'CVSS_V4', score: 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N' }] },
      'critical',
      9.3,
    ],
    ['a vector that is cut short', { severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N' }] }, 'unknown', undefined],
    [
      'garbage and a word',
      { severity: [{ type: 'CVSS_V3', score: 'high' }], database_specific: { severity: 'HIGH' } },
      'high',
      undefined,
    ],
    ['a word of the distribution', { severity: [{ type: 'Ubuntu', score: 'medium' }] }, 'medium', undefined],
    ['nothing', {}, 'unknown', undefined],
  ])('rates %s', async (_name, rest, severity, cvss) => {
    const { scanner } = await scannerOf({ npm: [record('X-1', 'npm', 'tool', FROM_START, { ...rest })] });
    expect(scanner.lookup?.({ ecosystem: 'npm', name: 'tool', version: '1.0.0' })).toMatchObject([{ severity, cvss }]);
  });

  it('knows malware by id, alias and weakness, and by hash under any name', async () => {
    const sri = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;
    const weak = {
      ...record('GHSA-wwww-wwww-wwww', 'npm', 'three', FROM_START),
      database_specific: { cwe_ids: ['CWE-506'] },
    };
    const hashed = record('MAL-2026-4', 'npm', 'four', [], {
      affected: [
        {
          package: { ecosystem: 'npm', name: 'four' },
          versions: ['6.0.0'],
          database_specific: { indicators: { package_integrity: [{ hashes: { sha512_sri: sri } }] } },
        },
      ],
    });
    const { scanner } = await scannerOf({
      npm: [
        record('MAL-2026-1', 'npm', 'one', FROM_START),
        record('GHSA-aaaa-aaaa-aaaa', 'npm', 'two', FROM_START, { aliases: ['MAL-2026-2'] }),
        weak,
        hashed,
        record('X-5', 'npm', 'five', FROM_START),
      ],
    });
    const isMalicious = (name: string): boolean | undefined =>
      scanner.lookup?.({ ecosystem: 'npm', name, version: '1.0.0' })?.[0]?.malicious;

    expect(['one', 'two', 'three', 'five'].map(isMalicious)).toEqual([true, true, true, undefined]);
    const renamed = { ecosystem: 'npm', name: 'innocent', version: '1.0.0' };
    expect(scanner.lookup?.(renamed)).toEqual([]);
    expect(scanner.lookup?.(renamed, parseSri(sri))).toMatchObject([{ id: 'MAL-2026-4', malicious: true }]);
    const report = await scanner.scan({ coordinates: renamed, integrity: parseSri(sri) }, live());
    expect(idsOf(report.findings)).toEqual(['MAL-2026-4']);
    const itself = { ecosystem: 'npm', name: 'four', version: '6.0.0' };
    expect(scanner.lookup?.(itself, parseSri(sri))).toHaveLength(1);
  });

  it('leaves out withdrawn records, also from groups', async () => {
    const { scanner } = await scannerOf({
      npm: [
        record('X-1', 'npm', 'tool', FROM_START, { withdrawn: '2026-02-01T00:00:00Z', aliases: ['X-2'] }),
        record('X-2', 'npm', 'tool', FROM_START),
      ],
    });
    const found = scanner.lookup?.({ ecosystem: 'npm', name: 'tool', version: '1.0.0' });
    expect(found).toMatchObject([{ id: 'X-2', aliases: [] }]);
    expect(found).toHaveLength(1);
  });

  it('says nothing of ecosystems that no dump is of, also where a record names one', async () => {
    const mixed = record('X-1', 'npm', 'tool', FROM_START);
    const affected = [...(mixed['affected'] as object[]), { package: { ecosystem: 'PyPI', name: 'tool' } }];
    const { scanner } = await scannerOf({ npm: [{ ...mixed, affected }] });

    expect(scanner.subjects.ecosystems).toEqual(['npm']);
    expect(scanner.lookup?.({ ecosystem: 'pypi', name: 'other', version: '1' })).toBeUndefined();
    await expect(
      scanner.scan({ coordinates: { ecosystem: 'pypi', name: 'other', version: '1' } }, live()),
    ).rejects.toMatchObject({
      kind: 'scan-unavailable',
      code: 'SCAN_UNSUPPORTED',
    });
  });

  it('gives what is certain where an advisory cannot be compared, and says that it is not all', async () => {
    const { scanner } = await scannerOf({
      npm: [record('X-1', 'npm', 'tool', FROM_START), record('X-2', 'npm', 'tool', [{ introduced: 'soon' }])],
    });
    const coordinates = { ecosystem: 'npm', name: 'tool', version: '1.0.0' };
    const report = await scanner.scan({ coordinates }, live());
    expect(report.coverage).toBe('partial');
    expect(idsOf(report.findings)).toEqual(['X-1']);
  });

  it('does not take what it said of one version for what is to be said of another', async () => {
    const { scanner } = await scannerOf({
      npm: [
        record('X-1', 'npm', 'tool', [], {
          affected: [
            {
              package: { ecosystem: 'npm', name: 'tool' },
              ranges: [{ type: 'SEMVER', events: [{ introduced: 'soon' }] }],
              versions: ['1.0.0'],
            },
          ],
        }),
        record('X-2', 'npm', 'tool', [
          { introduced: '2.0.0' },
          { fixed: '2.5.0' },
          { introduced: '3.0.0' },
          { fixed: '3.1.0' },
        ]),
      ],
    });
    const found = (version: string) => scanner.lookup?.({ ecosystem: 'npm', name: 'tool', version });
    expect(found('1.1.0')).toBeUndefined();
    expect(idsOf(found('1.0.0'))).toEqual(['X-1']);
    expect(found('2.1.0')).toMatchObject([{ id: 'X-2', fixedIn: ['2.5.0', '3.1.0'] }]);
    expect(found('3.0.0')).toMatchObject([{ id: 'X-2', fixedIn: ['3.1.0'] }]);
    expect(found('1.1.0')).toBeUndefined();
  });

  it('survives records of any shape', async () => {
    const strange = [null, 1, [], { affected: 'x' }, { package: null }, { package: { name: 5, ecosystem: 'npm' } }].map(
      (affected, index) => ({ id: `X-${index}`, aliases: 'x', severity: {}, affected: [affected] }),
    );
    const { scanner } = await scannerOf({
      npm: [...strange, record('X-9', 'npm', 'tool', [{ introduced: '0', fixed: 7 }, 3 as never])],
    });
    expect(idsOf(scanner.lookup?.({ ecosystem: 'npm', name: 'tool', version: '1.0.0' }))).toEqual(['X-9']);
  });
});
