import type { AnyDeclaredPlugin } from '@entrepot/core';
import files from '@entrepot/plugin-files';
import helm from '@entrepot/plugin-helm';
import npm from '@entrepot/plugin-npm';
import oci from '@entrepot/plugin-oci';
import { describe, expect, it } from 'vitest';
import { repositoryConfig } from '../../src/config/schema.js';
import { planCleanup } from '../../src/space/plan-cleanup.js';

type Cleanup = NonNullable<Parameters<typeof repositoryConfig>[0]['cleanup']>;

function plan(plugin: AnyDeclaredPlugin, rules: Cleanup['rules']) {
  const { cleanup } = repositoryConfig({ type: plugin.id, kind: 'hosted', cleanup: { rules } });
  return planCleanup('repositories.one.cleanup', cleanup as NonNullable<typeof cleanup>, plugin);
}

describe('the rules of a repository', () => {
  it('are ready with their defaults, and as people read them', () => {
    const { plan: made, problems } = plan(helm, [
      { names: ['team/*', 'app'], versions: ['1.*'], keepVersions: 3 },
      { notDownloadedFor: '90d', prereleasesOlderThan: '36h' },
    ]);
    expect(problems).toEqual([]);
    expect(made).toMatchObject({ interval: 86_400_000, batchSize: 100 });
    expect(made?.rules.map(({ text }) => text)).toEqual([
      'names: team/* app, versions: 1.*, keepVersions: 3',
      'notDownloadedFor: 90d, prereleasesOlderThan: 36h',
    ]);
    const [first, second] = made?.rules ?? [];
    expect(['app', 'team/a', 'team/a/b', 'other'].map((name) => first?.fitsName(name))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(['1.0.0', '2.1.0', undefined].map((version) => first?.fitsVersion(version))).toEqual([true, false, false]);
    expect([second?.fitsName('any/thing'), second?.fitsVersion(undefined)]).toEqual([true, true]);
  });

  it.each<readonly [string, AnyDeclaredPlugin, Cleanup['rules'], readonly string[]]>([
    [
      'versions of files',
      files,
      [{ notDownloadedFor: '1d' }, { keepVersions: 3 }, { prereleasesOlderThan: '1d', versions: ['1'] }],
      [
        'rules.1.keepVersions: files knows no versions; remove it, and use notDownloadedFor',
        'rules.2.versions: files knows no versions; remove it, and use notDownloadedFor',
        'rules.2.prereleasesOlderThan: files knows no versions; remove it, and use notDownloadedFor',
      ],
    ],
    [
      'prereleases of tags',
      oci,
      [{ prereleasesOlderThan: '1d' }],
      ['rules.0.prereleasesOlderThan: oci knows no prereleases; name them in versions, as in pr-*'],
    ],
    ['a glob that is none', oci, [{ names: ['a[b'], keepVersions: 1 }], [expect.stringMatching(/^rules\.0\.names: /)]],
    [
      'rules of a format without cleanup',
      npm,
      [{ keepVersions: 1 }],
      ['npm has no cleanup of hosted repositories; remove it'],
    ],
  ])('refuse %s', (_, plugin, rules, expected) => {
    const { plan: made, problems } = plan(plugin, rules);
    expect(made).toBeUndefined();
    const prefix = 'repositories.one.cleanup.';
    expect(
      problems.map(({ path, message }) =>
        path.startsWith(prefix) ? `${path.slice(prefix.length)}: ${message}` : message,
      ),
    ).toEqual(expected);
  });
});
