import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { startScanWorker } from '../../src/create-host.js';
import { DATABASES, openDatabase } from '../scanning/support.js';
import { serve, until } from './support.js';

const API = '/-/api/v1';
const PURL = 'pkg:npm/demo@2.0.0';
const TARBALL = '/npm/demo/-/demo-2.0.0.tgz';

/** Finds something in version 1.0.0 by its coordinates. */
const SCANNER = `
const finding = { id: 'CVE-1', aliases: [], severity: 'critical', fixedIn: [], source: 'own' };
export default {
  kind: 'scanner', apiVersion: 1, id: 'own', inject: {},
  options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } },
  create: () => ({
    subjects: { ecosystems: ['npm'] }, needs: 'coordinates', revision: () => '1', check: async () => {},
    scan: async ({ coordinates: { version } }) => ({
      scanner: 'own', revision: '1', scannedAt: Date.now(), coverage: 'full', findings: version === '1.0.0' ? [finding] : [],
    }),
  }),
};`;

const CONFIGURATION = `policy: { defaults: { firstFetch: { deadline: 20s, onTimeout: deny } }, rules: [
  { id: not-two, match: { purl: ["${PURL}"] }, action: deny }, { id: critical, when: { vuln: { severity: critical } }, action: deny }] }
scanners: [{ type: ./own.mjs, where: worker }]`;

describe.skipIf(!DATABASES.some((kind) => kind === 'postgres'))('servers on one PostgreSQL', () => {
  it('share what people decided, what was served, and what workers found', async () => {
    const { place } = await openDatabase('postgres' as (typeof DATABASES)[number]);
    const blobs = await mkdtemp(join(tmpdir(), 'entrepot-blobs-'));
    onTestFinished(() => rm(blobs, { recursive: true, force: true }));
    const env = {
      ENTREPOT_METADATA_BACKEND: 'postgres',
      ENTREPOT_METADATA_URL: place,
      ENTREPOT_STORAGE_PATH: join(blobs, 'blobs'),
    };
    const files = { 'own.mjs': SCANNER };
    const one = await serve(CONFIGURATION, files, env);
    const two = await serve(CONFIGURATION, files, env);
    onTestFinished(await startScanWorker(await loadConfig({ env, cwd: one.folder }), { logger: silentLogger }));

    expect((await two.get(TARBALL)).status).toBe(403);
    const form = { id: 'e1', purl: [PURL], rules: ['not-two'], reason: 'we need it', by: 'ann', expires: '30d' };
    expect((await one.send('POST', `${API}/exceptions`, form)).status).toBe(201);
    await until(async () => (await two.get(TARBALL)).status === 200);
    expect((await two.get('/npm/demo/-/demo-1.0.0.tgz')).text).toContain('CVE-1');
    await until(async () => (await one.get(`${API}/impact?purl=${PURL}`)).json.downloads.length === 1);
    expect((await two.get(`${API}/scans`)).json).toMatchObject({ states: { own: { findings: 1, clean: 1 } } });
    expect((await one.send('DELETE', `${API}/exceptions/e1`)).status).toBe(200);
    await until(async () => (await two.get(TARBALL)).status === 403);

    // What is made under a revision is shared: it has to mean the same on both.
    const revisions = async () => {
      const found = await Promise.all(
        [one, two].map(async (server) => (await server.get(`${API}/policy`)).json.revision),
      );
      return new Set(found as string[]);
    };
    const [before] = await revisions();
    const denied = { purl: 'pkg:npm/demo@1.0.0', repository: 'npm', by: 'ann', reason: 'not this one' };
    const denial = await one.send('POST', `${API}/quarantine/deny`, denied);
    expect(denial.status).toBeLessThan(300);
    await until(async () => {
      const found = await revisions();
      return found.size === 1 && !found.has(before as string);
    });
  });
});
