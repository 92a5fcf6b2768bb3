import { createHash } from 'node:crypto';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { chart } from '../../../plugins/helm/test/fixtures.js';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import { serve, until } from './support.js';

/** A scanner that has to see the bytes: what it finds depends on the version, so that the same bytes can be both. */
const SCANNER = `
const finding = { id: 'X-1', aliases: [], severity: 'critical', fixedIn: [], source: 'own' };
export default {
  kind: 'scanner', apiVersion: 1, id: 'own', inject: {},
  options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } },
  create: () => ({
    subjects: { ecosystems: ['npm', 'helm'] }, needs: 'content', revision: () => '1', check: async () => {},
    scan: async ({ coordinates, content }) => {
      for await (const _ of content.stream());
      const bad = ['2.0.0', '1.1.0'].includes(coordinates.version);
      return { scanner: 'own', revision: '1', scannedAt: Date.now(), coverage: 'full', findings: bad ? [finding] : [] };
    },
  }),
};`;
const FILES = { 'own.mjs': SCANNER };
const RULES = `policy: { rules: [{ id: found, when: { vuln: { severity: critical } }, action: deny }] }
scanners: [{ type: ./own.mjs }]
`;

describe('what a scan of contents denied', () => {
  it('is in no document of a proxy any more, and nothing beside it is served, also after a restart', async () => {
    const { host, folder, get } = await serve(RULES, FILES);
    const versionsAt = async (ask: typeof get): Promise<string[]> => {
      const { json } = await ask('/npm/demo');
      return Object.keys(json.versions as object);
    };
    const attestations = '/npm/-/npm/v1/attestations/demo@2.0.0';
    expect(await versionsAt(get)).toEqual(['1.0.0', '2.0.0']);
    expect((await get(attestations)).status).toBe(200);
    expect((await get('/npm/demo/-/demo-1.0.0.tgz')).status).toBe(200);
    expect((await get('/npm/demo/-/demo-2.0.0.tgz')).text).toContain('rule found');
    expect(await versionsAt(get)).toEqual(['1.0.0']);
    expect((await get('/npm/-/package/demo/dist-tags')).json).toEqual({ latest: '1.0.0' });
    expect((await get('/npm/demo/2.0.0')).text).toContain('rule found');
    expect((await get(attestations)).text).toContain('rule found');
    await host.close();

    const loaded = await loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0' }, cwd: folder });
    const restarted = await createHost(loaded, { logger: silentLogger });
    onTestFinished(() => restarted.close());
    const [{ url }] = (await restarted.listen()) as [{ url: string }];
    const again: typeof get = async (path) => {
      const answer = await fetch(url + path);
      const text = await answer.text();
      return { status: answer.status, text, json: answer.ok ? JSON.parse(text) : undefined, headers: answer.headers };
    };
    expect(await versionsAt(again)).toEqual(['1.0.0']);
    expect((await again(attestations)).status).toBe(403);
  });

  it('is in no document of a hosted repository any more', async () => {
    const { url, get } = await serve(`${RULES}repositories: { charts: { type: helm, kind: hosted } }\n`, FILES);
    for (const version of ['1.0.0', '1.1.0']) {
      const metadata = `apiVersion: v2\nname: app\nversion: ${version}\n`;
      const body = chart({ 'Chart.yaml': metadata, 'values.yaml': 'a: 1\n' });
      const post = async (path: string, sent: Buffer | string): Promise<number> =>
        (await fetch(url + path, { method: 'POST', body: new Uint8Array(Buffer.from(sent as string)) })).status;
      expect(await post('/charts/api/charts', body)).toBe(201);
      const sum = createHash('sha256').update(body).digest('hex');
      expect(
        await post(
          '/charts/api/prov',
          `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${metadata}\n...\nfiles:\n  app-${version}.tgz: sha256:${sum}\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n`,
        ),
      ).toBe(201);
    }
    const beside = (version: string): string[] => [
      `/charts/charts/app-${version}.tgz.prov`,
      `/charts/api/charts/app/${version}`,
      `/charts/api/charts/app/${version}/values`,
      `/charts/api/charts/app/${version}/templates`,
    ];
    const statuses = async (paths: readonly string[]): Promise<number[]> =>
      Promise.all(paths.map(async (path) => (await get(path)).status));
    expect(await statuses(beside('1.1.0'))).toEqual([200, 200, 200, 200]);
    const listed = async (): Promise<string[]> =>
      [...(await get('/charts/index.yaml')).text.matchAll(/version: "?(\d\.\d\.\d)/g)].map(
        ([, version = '']) => version,
      );
    expect((await get('/charts/charts/app-1.0.0.tgz')).status).toBe(200);
    expect((await get('/charts/charts/app-1.1.0.tgz')).text).toContain('rule found');
    expect(await listed()).toEqual(['1.0.0']);
    const { json } = await get('/charts/api/charts/app');
    expect((json as { version: string }[]).map(({ version }) => version)).toEqual(['1.0.0']);
    expect(await statuses(beside('1.0.0'))).toEqual([200, 200, 200, 200]);
    expect(await statuses(beside('1.1.0'))).toEqual([403, 403, 403, 403]);
  });

  it('goes from documents of its own accord when the scan is done later', async () => {
    const { get } = await serve(
      RULES.replace('{ rules:', '{ defaults: { firstFetch: { action: allow } }, rules:'),
      FILES,
    );
    expect(Object.keys((await get('/npm/demo')).json.versions as object)).toEqual(['1.0.0', '2.0.0']);
    await get('/npm/demo/-/demo-2.0.0.tgz');
    await until(async () => !Object.hasOwn((await get('/npm/demo')).json.versions as object, '2.0.0'));
  });

  it('is judged with what is known of the version: of an age, too', async () => {
    const watched = RULES.replace('action: deny', 'action: warn').replace(
      ' }]',
      ' }, { id: young, when: { age: { lt: 7d } }, action: hold }]',
    );
    const { get } = await serve(watched, { 'own.mjs': SCANNER.replace('2.0.0', '1.0.0') });
    const attestations = '/npm/-/npm/v1/attestations/demo@1.0.0';
    expect((await get('/npm/demo/-/demo-1.0.0.tgz')).status).toBe(200);
    // At first it comes, then it is kept.
    expect((await get(attestations)).status).toBe(200);
    expect((await get(attestations)).status).toBe(200);
  });
});
