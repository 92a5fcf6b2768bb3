import { createPolicy } from '@entrepot/core/engine';
import { describe, expect, it } from 'vitest';
import { compareVersions, compileVersions, isSameVersion } from '../../src/policy/version-order.js';
import { request } from './fixtures.js';

const NOW = Date.UTC(2026, 0, 1);

describe('compareVersions', () => {
  it.each(['pypi', 'npm', 'golang', 'composer', 'gem'])(
    'ends for letters and a sign behind them, in %s',
    (ecosystem) => {
      expect(compareVersions(ecosystem, `1.0${'a'.repeat(60)}~`, '1.0')).toBeUndefined();
    },
  );

  it.each([
    ['deb', '1:1.0~rc1-1', '1:1.0-1', '2:0.1'],
    ['rpm', '1.0~rc1-1', '1.0-1.el9', '1:0.1-1'],
    ['apk', '1.0_rc1-r0', '1.0-r0', '1.0-r1'],
    ['maven', '1.0-SNAPSHOT', '1.0', '1.0-sp-1'],
    ['nuget', '1.0.0-beta', '1.0', '1.0.0.1'],
  ])('orders versions as the tools of %s do', (ecosystem, ...versions) => {
    for (const [at, one] of versions.entries()) {
      const signs = versions.map((other) => compareVersions(ecosystem, one, other));
      expect(signs).toEqual(versions.map((_, other) => Math.sign(at - other)));
    }
    const inRange = compileVersions([`>=${versions[1]}`]);
    expect(versions.map((version) => inRange({ ecosystem, name: 'x', version }))).toEqual([false, true, true]);
  });

  it('takes local versions of Python for what they are built from', () => {
    expect(compareVersions('pypi', '1.0+cu118', '1.0')).toBe(0);
    expect(compareVersions('pypi', '1.0.RC1', '1.0rc1')).toBe(0);
    expect(compareVersions('pypi', '1!1.0', '2.0')).toBe(1);
  });
});

/** Pattern of a rule, versions that match it, and versions that do not. */
const NAMED: readonly (readonly [ecosystem: string, pattern: string, same: string, other: string])[] = [
  ['pypi', '1.0', '1.0 1 1.0.0 v1.0 01.0', '1.0.1 1.0rc1 1.0.post1 1.0+local 1!1.0 10'],
  ['pypi', '1.0.RC1', '1.0rc1 1.0c1 1.0.0-preview-1 1RC01', '1.0 1.0rc10 1.0b1'],
  ['pypi', '1.0-1', '1.0.post1 1.0.0.rev1', '1.0'],
  ['pypi', '1.0.*', '1.0 1 1.0.0 1.0.5 1.0rc1 1.0.post1', '1.1 1.10 1!1.0 1.00x'],
  ['pypi', '1.0RC*', '1.0rc1 1.0.rc12', '1.0 1.0b1'],
  ['pypi', '*+cu118', '2.1+cu118 2.1+CU118', '2.1'],
  ['pypi', 'not-a-version', 'not-a-version', '1.0 Not-A-Version'],
  ['npm', '1.0.0', '1.0.0 v1.0.0 =1.0.0 1.0.0+build.5', '1.0.0-rc.1 1.0.1 1.0'],
  ['npm', 'v1.0.0-rc.1+x', '1.0.0-rc.1 1.0.0-rc.1+y', '1.0.0 1.0.0-RC.1'],
  ['npm', '1.0.*', '1.0.0 1.0.5', '1.1.0'],
  ['golang', '2.0.0', 'v2.0.0 2.0.0 v2.0.0+incompatible', 'v2.0.1 v2.0.0-rc.1'],
  ['golang', 'v2.0.0+incompatible', 'v2.0.0 v2.0.0+incompatible', 'v1.0.0'],
  ['helm', '1.0.0+up1', '1.0.0+up1', '1.0.0+up2 1.0.0 v1.0.0+up1'],
  ['oci', '1.0', '1.0', '1 1.0.0 v1.0'],
  ['constructor', '1.0', '1.0', '1'],
];

describe('a version that a rule names', () => {
  it.each(NAMED)('is of %s, %s: in any of its spellings', (ecosystem, pattern, same, other) => {
    const matches = compileVersions([pattern]);
    const named = (version: string): boolean => matches({ ecosystem, name: 'demo', version });
    expect(same.split(' ').filter((version) => !named(version))).toEqual([]);
    expect(other.split(' ').filter(named)).toEqual([]);
    if (pattern.includes('*')) return;
    expect(same.split(' ').filter((version) => !isSameVersion(ecosystem, pattern, version))).toEqual([]);
    expect(other.split(' ').filter((version) => isSameVersion(ecosystem, pattern, version))).toEqual([]);
  });

  const coordinates = { ecosystem: 'pypi', name: 'demo', version: '1.0rc1' };
  const asked = request(NOW, { coordinates });

  it.each([
    ['versions', { purl: ['pkg:pypi/demo'], versions: ['1.0.0.RC1'] }],
    ['a package URL', { purl: ['pkg:pypi/Demo@1.0-c1'] }],
  ])('is denied by %s', (_, match) => {
    const policy = createPolicy({ document: { version: 1, rules: [{ id: 'no', match, action: 'deny' }] } });
    expect(policy.evaluate(asked).action).toBe('deny');
    expect(policy.explain(asked)).toMatchObject([{ id: 'no', state: 'fired' }]);
    expect(policy.evaluate(request(NOW, { coordinates: { ...coordinates, version: '1.0' } })).action).toBe('allow');
  });

  it('is left alone by `except`, and let in by an exception', () => {
    const except = ['pkg:pypi/demo@1.0.0-RC1'];
    const policy = (match: object, scope?: object) =>
      createPolicy({
        document: { version: 1, rules: [{ id: 'no', match, action: 'deny' }] },
        exceptions: () =>
          scope === undefined ? [] : [{ id: 'e', scope, approvedBy: ['ann'], expiresAt: Infinity, active: true }],
      });
    const all = { purl: ['pkg:pypi/demo'] };
    expect(policy(all).evaluate(asked).action).toBe('deny');
    expect(policy({ ...all, except }).evaluate(asked).action).toBe('allow');
    expect(policy(all, { purl: except }).evaluate(asked).exceptions).toEqual(['e']);
    expect(policy(all, { versions: ['1.0.0RC1'] }).evaluate(asked).exceptions).toEqual(['e']);
  });
});
