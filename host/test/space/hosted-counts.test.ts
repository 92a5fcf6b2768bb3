import { gzipSync } from 'node:zlib';
import { silentLogger, type StoredVersion } from '@entrepot/core';
import { ManualClock, packTar } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { HostedCounts } from '../../src/space/hosted-counts.js';
import { serve } from '../reloading.js';

/** A repository whose versions and revision can be changed. */
function open(names: readonly string[]) {
  const state = { names, revision: 1, reads: 0 };
  const clock = new ManualClock();
  const counts = new HostedCounts({
    repositories: [
      {
        repository: 'charts',
        cleanup: {
          async *stored() {
            state.reads += 1;
            yield state.names.map((name, at) => ({ name, version: `${at}.0.0` }) as StoredVersion);
          },
        },
      },
    ],
    revision: async () => state.revision,
    clock,
    logger: silentLogger,
  });
  return { state, clock, counts };
}

describe('counts of hosted repositories', () => {
  it('are of names and versions by tenant', async () => {
    const { counts } = open(['app', 'app', 'a/app', 'a/b/app', 'a/b/other']);
    expect(await counts.read()).toEqual([
      { repository: 'charts', tenant: '', names: 1, versions: 2 },
      { repository: 'charts', tenant: 'a', names: 1, versions: 1 },
      { repository: 'charts', tenant: 'a/b', names: 2, versions: 2 },
    ]);
  });

  it('have no more tenants than a hundred, and the rest together', async () => {
    const many = Array.from({ length: 150 }, (_, at) => `tenant-${at}/app`);
    const { counts } = open([...many, 'tenant-149/app']);
    const found = await counts.read();
    expect(found).toHaveLength(101);
    expect(found[0]).toMatchObject({ tenant: 'tenant-149', versions: 2 });
    expect(found.at(-1)).toEqual({ repository: 'charts', tenant: '(others)', names: 50, versions: 50 });
  });

  it('are made again once a minute at the most, and only where something has changed', async () => {
    const { state, clock, counts } = open(['a/app']);
    await counts.read();
    state.names = [];
    state.revision = 2;
    clock.advance(59_999);
    expect(await counts.read()).toHaveLength(1);
    clock.advance(1);
    expect(await counts.read()).toEqual([]);
    clock.advance(60_000);
    await counts.read();
    expect(state.reads).toBe(2);
  });

  it('are metrics of the server', async () => {
    const { url } = await serve(
      'server: { listen: "127.0.0.1:0" }\nrepositories: { charts: { type: helm, kind: hosted, depth: 2 }, files: { type: files, kind: hosted } }',
    );
    for (const [tenant, version] of [
      ['a/b', '1.0.0'],
      ['a/b', '2.0.0'],
      ['c/d', '1.0.0'],
    ] as const) {
      const chart = `apiVersion: v2\nname: app\nversion: ${version}\n`;
      const body = gzipSync(packTar([{ name: 'app/Chart.yaml', content: chart }]));
      const answer = await fetch(`${url}/charts/api/${tenant}/charts`, { method: 'POST', body });
      expect(answer.status).toBe(201);
    }
    await fetch(`${url}/files/a`, { method: 'PUT', body: 'a' });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics.split('\n').filter((line) => line.startsWith('entrepot_hosted_'))).toEqual([
      'entrepot_hosted_names{repository="charts",tenant="a/b"} 1',
      'entrepot_hosted_names{repository="charts",tenant="c/d"} 1',
      'entrepot_hosted_versions{repository="charts",tenant="a/b"} 2',
      'entrepot_hosted_versions{repository="charts",tenant="c/d"} 1',
    ]);
  });
});
