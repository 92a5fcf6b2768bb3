import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { startScanWorker } from '../../src/create-host.js';
import { silentLogger } from '@entrepot/core';
import { serve, until } from '../policy/support.js';

const TARBALL = '/npm/demo/-/demo-2.0.0.tgz';

/** A scanner of somebody's own: `body` is what its `create` makes besides what every scanner has. */
function plugin(id: string, body: string): string {
  return `
const finding = { id: 'CVE-1', aliases: ['GHSA-1'], severity: 'critical', cvss: 9.8, fixedIn: ['2.0.1'], source: 'own', title: 'It leaks' };
export default {
  kind: 'scanner', apiVersion: 1, id: '${id}', inject: {},
  options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } },
  create: () => ({ subjects: { ecosystems: ['npm'] }, needs: 'coordinates', revision: () => '1', check: async () => {}, ${body} }),
};`;
}

const RULES = 'policy: { rules: [{ id: critical, when: { vuln: { severity: critical } }, action: deny }] }';
const LOOKUP = `
  lookup: ({ version }) => (version === '2.0.0' ? [finding] : []),
  scan: async () => { throw new Error('it is looked up'); },
  answer: ({ path, body }) => path === '/v1/vulns/none' ? undefined
    : { status: 200, mediaType: 'application/json', body: JSON.stringify({ path, asked: body && JSON.parse(Buffer.from(body).toString()) }) },
`;
const SCAN = `
  scan: async ({ coordinates }) => ({
    scanner: 'own', revision: '1', scannedAt: Date.now(), coverage: 'full', findings: coordinates.version === '2.0.0' ? [finding] : [],
  }),
`;

describe('a scanner of the configuration', () => {
  it('that looks versions up decides on documents and artifacts, and answers audits', async () => {
    const configuration = `${RULES}\nscanners: [{ type: ./own.mjs }]`;
    const { get, send } = await serve(configuration, { 'own.mjs': plugin('own', LOOKUP) });
    expect(Object.keys((await get('/npm/demo')).json.versions)).toEqual(['1.0.0']);
    expect((await get(TARBALL)).json.error).toContain('rule critical');
    expect((await get('/-/api/v1/packages/npm/demo/2.0.0/vulnerabilities')).json).toMatchObject({
      severity_counts: { critical: 1, high: 0 },
      total: 1,
      bypassed: 0,
      scanned: true,
      vulnerabilities: [{ id: 'CVE-1', fixed_in: ['2.0.1'], bypassed: false }],
    });
    await send('POST', '/-/api/v1/exceptions', {
      advisories: ['GHSA-1'],
      reason: 'not reachable',
      by: 'ann',
      expires: '1d',
    });
    expect((await get('/-/api/v1/packages/npm/demo/2.0.0/vulnerabilities')).json).toMatchObject({
      bypassed: 1,
      vulnerabilities: [{ bypassed: true, bypass_reason: 'not reachable' }],
    });
    expect((await get(TARBALL)).status).toBe(200);
    const path = '/-/npm/v1/security/advisories/bulk';
    expect((await send('POST', `/npm${path}`, { demo: ['2.0.0'] })).json).toEqual({ path, asked: { demo: ['2.0.0'] } });
    const { url } = await serve(configuration, { 'own.mjs': plugin('own', LOOKUP) });
    const packed = await fetch(`${url}/v1/query`, {
      method: 'POST',
      headers: { 'content-encoding': 'gzip' },
      body: gzipSync(JSON.stringify({ version: '1' })),
    });
    expect(await packed.json()).toEqual({ path: '/v1/query', asked: { version: '1' } });
    expect((await get('/v1/vulns/CVE-1')).json).toEqual({ path: '/v1/vulns/CVE-1' });
    expect((await get('/v1/vulns/none')).status).toBe(404);
  });

  it('that scans is waited for at the first fetch, and its findings are found again', async () => {
    const { get } = await serve(`${RULES}\nscanners: [{ type: ./own.mjs }]`, { 'own.mjs': plugin('own', SCAN) });
    expect((await get(TARBALL)).json.error).toContain('rule critical');
    expect((await get('/npm/demo/-/demo-1.0.0.tgz')).status).toBe(200);
    const { json } = await get('/-/api/v1/scans');
    expect(json).toMatchObject({
      scanners: [{ id: 'own', revision: '1' }],
      states: { own: { findings: 1, clean: 1 } },
      queued: {},
    });
    expect((await get('/-/api/v1/advisories')).json.reports).toMatchObject([
      { purl: 'pkg:npm/demo@2.0.0', findings: [{ id: 'CVE-1' }] },
    ]);
    const impact = (await get('/-/api/v1/impact?advisory=ghsa-1')).json;
    expect(impact.kept).toMatchObject([{ repository: 'npm', purl: 'pkg:npm/demo@2.0.0' }]);
    expect((await get('/metrics')).text).toMatch(/entrepot_scan_reports\{scanner="own",state="findings"\} 1/);
    expect((await get('/metrics')).text).toMatch(
      /entrepot_policy_decisions_total\{repository="npm",rule="critical",action="deny"\} 1/,
    );
  });

  it('is left to workers where the configuration says so', async () => {
    const configuration = `${RULES.replace('rules:', 'defaults: { firstFetch: { onTimeout: hold, deadline: 50ms } }, rules:')}\nscanners: [{ type: ./own.mjs, where: worker }]`;
    const { get, folder } = await serve(configuration, { 'own.mjs': plugin('own', SCAN) });
    expect((await get('/npm/demo/-/demo-1.0.0.tgz')).status).toBe(503);
    const stop = await startScanWorker(await loadConfig({ env: {}, cwd: folder }), { logger: silentLogger });
    onTestFinished(stop);
    await until(async () => (await get('/npm/demo/-/demo-1.0.0.tgz')).status === 200);
    await until(async () => (await get(TARBALL)).status === 403);
  });
});
