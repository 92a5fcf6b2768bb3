import { anonymousAccess, type StoredVersion } from '@entrepot/core';
import { sideOf, type HostedCleanup } from '@entrepot/core/engine';
import { openTestRepository, type TestRepository } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import plugin from '../src/index.js';
import { chart } from './fixtures.js';

interface Opened extends TestRepository {
  readonly cleanup: HostedCleanup;
  push(name: string, version: string, tenant?: string): Promise<void>;
  stored(): Promise<readonly (readonly StoredVersion[])[]>;
  /** Removes versions of one chart, as rules say it: `app 1.0.0`. */
  retire(...versions: string[]): ReturnType<HostedCleanup['retire']>;
}

async function open(options: object = {}): Promise<Opened> {
  const definition = { kind: 'hosted', access: anonymousAccess(['read', 'write']) } as const;
  const repository = await openTestRepository({ plugin, options, definition });
  onTestFinished(() => repository.close());
  const cleanup = repository.engine.cleanup as HostedCleanup;
  const stored = (): Promise<readonly (readonly StoredVersion[])[]> => Array.fromAsync(cleanup.stored());
  return {
    ...repository,
    cleanup,
    stored,
    async push(name, version, tenant) {
      const body = chart({ 'Chart.yaml': `apiVersion: v2\nname: ${name}\nversion: ${version}\n` });
      const path = `/api${tenant === undefined ? '' : `/${tenant}`}/charts`;
      expect((await repository.ask({ method: 'POST', path, body })).status).toBe(201);
    },
    async retire(...versions) {
      const all = (await stored()).flat();
      return await cleanup.retire(
        versions.map((label) => ({ version: all.find((one) => labelOf(one) === label) as StoredVersion })),
      );
    },
  };
}

function labelOf({ name, version }: StoredVersion): string {
  return `${name} ${version}`;
}

describe('the cleanup of charts', () => {
  it('knows the versions of each chart of each tenant', async () => {
    const { push, stored } = await open({ depth: 1 });
    for (const [name, version, tenant] of [
      ['app', '1.0.0', 'a'],
      ['app', '2.0.0', 'a'],
      ['app-db', '1.0.0', 'a'],
      ['app', '1.0.0', 'b'],
    ] as const)
      await push(name, version, tenant);
    expect((await stored()).map((versions) => versions.map(labelOf))).toEqual([
      ['a/app 1.0.0', 'a/app 2.0.0'],
      ['a/app-db 1.0.0'],
      ['b/app 1.0.0'],
    ]);
  });

  it('takes a chart that was pulled as an image for used', async () => {
    const { push, stored, cleanup, clock, ask } = await open();
    await push('app', '1.0.0');
    await push('app', '1.1.0');
    const pushed = clock.now();
    clock.advance(1_000_000);
    expect((await ask({ path: '/app/manifests/1.0.0', mount: '/v2' })).status).toBe(200);
    const [versions] = await stored();
    expect(await cleanup.lastUses(versions ?? [])).toEqual([clock.now() + 3_600_000, pushed]);
  });

  it('removes many versions of a chart at once, and writes each part of its index once', async () => {
    const { push, retire, entries, ask } = await open();
    const versions = Array.from({ length: 70 }, (_, n) => `1.${n}.0`);
    for (const version of versions) await push('app', version);
    const before = await entries.revision('test');
    const { retired, removed } = await retire(...versions.slice(0, 60).map((version) => `app ${version}`));
    expect(retired).toHaveLength(60);
    // Archive, layer, config, manifest and tag of each.
    expect(removed.length).toBeGreaterThanOrEqual(60 * 5);
    expect(await entries.revision('test')).toBe(before + 1);
    const index = (await ask('/index.yaml')).body.toString();
    for (const [n, version] of versions.entries()) expect(index.includes(`app-${version}.tgz`), version).toBe(n >= 60);
    const keys = (await entries.list('test', { prefix: '', limit: 10_000 })).map(({ key }) => key);
    expect(keys.filter((key) => key.startsWith('chart/'))).toHaveLength(10);
    expect(keys.filter((key) => /^(?:blob|manifest|tag)\//.test(key))).toHaveLength(40);
    await retire(...versions.slice(60).map((version) => `app ${version}`));
    expect((await entries.list('test', { prefix: '', limit: 10 })).map(({ key }) => key)).toEqual(['versions///']);
    expect((await ask('/api/charts/app')).status).toBe(404);
  });

  it.each([
    ['1.0.0', false],
    ['1.0.0+build-1', false],
    ['1.0.0-rc.1', true],
    ['v2.0.0-0', true],
    ['nonsense', false],
  ])('of %s knows whether it is a prerelease', (version, expected) => {
    expect(sideOf(plugin, 'hosted')?.cleanup?.versions?.isPrerelease?.(version)).toBe(expected);
  });
});
