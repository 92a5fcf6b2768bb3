import { createHash } from 'node:crypto';
import { FakeUpstream } from '@entrepot/core/testing';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { startScanWorker } from '../../src/create-host.js';
import { serve, until } from '../policy/support.js';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** Reads an image from its manifest down to its layers, as the real ones do, and finds what has `bad` in it. */
const SCANNER = `
const finding = { id: 'CVE-1', aliases: [], severity: 'critical', fixedIn: [], source: 'own' };
const text = async (content) => Buffer.from(await content.bytes(100000)).toString();
async function read(part, { digest, mediaType }) {
  const content = await part(digest, mediaType);
  if (content === undefined) throw new Error(digest + ' is not to be had');
  return text(content);
}
async function isBad(manifest, part) {
  const { manifests, layers = [] } = JSON.parse(manifest);
  if (manifests !== undefined) return isBad(await read(part, manifests[0]), part);
  const all = await Promise.all(layers.map((layer) => read(part, layer)));
  return all.some((layer) => layer.includes('bad'));
}
export default {
  kind: 'scanner', apiVersion: 1, id: 'own', inject: {},
  options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } },
  create: () => ({
    subjects: { ecosystems: ['oci'], withContent: ['oci'] }, needs: 'coordinates', revision: () => '1', check: async () => {},
    scan: async ({ content, part }) => ({
      scanner: 'own', revision: '1', scannedAt: Date.now(), coverage: 'full', findings: (await isBad(await text(content), part)) ? [finding] : [],
    }),
  }),
};`;

const RULES =
  'rules: [{ id: critical, when: { vuln: { severity: critical } }, action: deny }, { id: failed, when: { scan: { status: [error] } }, action: deny }]';
const policy = (firstFetch: string): string => `policy: { defaults: { firstFetch: ${firstFetch} }, ${RULES} }\n`;
const HOLD = '{ action: hold, deadline: 20s, onTimeout: deny }';

function digestOf(bytes: string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A registry with `good` and `bad`: tags of indexes with one image of one layer each. */
async function registry(): Promise<FakeUpstream> {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  for (const tag of ['good', 'bad']) {
    const layer = `a ${tag} layer`;
    serveBytes(`/v2/app/blobs/${digestOf(layer)}`, layer, 'application/octet-stream');
    const described = { mediaType: LAYER, digest: digestOf(layer), size: layer.length };
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [described] });
    serveBytes(`/v2/app/manifests/${digestOf(manifest)}`, manifest, MANIFEST);
    const image = { mediaType: MANIFEST, digest: digestOf(manifest), size: manifest.length };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [image] });
    serveBytes(`/v2/app/manifests/${digestOf(index)}`, index, INDEX);
    serveBytes(`/v2/app/manifests/${tag}`, index, INDEX);
  }
  return upstream;

  function serveBytes(path: string, body: string, mediaType: string): void {
    upstream.serve(path, { body, mediaType, headers: { 'Docker-Content-Digest': digestOf(body) } });
  }
}

async function serveImages(configuration: string) {
  const upstream = await registry();
  const env = { ENTREPOT_REPOSITORIES_HUB_TYPE: 'oci', ENTREPOT_REPOSITORIES_HUB_UPSTREAM: upstream.url };
  const server = await serve(configuration, { 'own.mjs': SCANNER }, env);
  const layers = (): number => upstream.requests.filter(({ path }) => path.includes('/blobs/')).length;
  return { ...server, env, layers };
}

describe('an image of an upstream', () => {
  it('is judged before anybody has it: what it is made of is fetched for whom waits', async () => {
    const { get, layers } = await serveImages(`${policy(HOLD)}scanners: [{ type: ./own.mjs }]`);
    expect((await get('/v2/hub/app/manifests/good')).status).toBe(200);
    const refused = await get('/v2/hub/app/manifests/bad');
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('CVE-1');
    expect(layers()).toBe(2);
    expect((await get(`/v2/hub/app/blobs/${digestOf('a good layer')}`)).headers.get('x-cache')).toBe('HIT');
    expect(layers()).toBe(2);
  });

  it('is fetched by workers, too', async () => {
    const { get, folder, env, layers } = await serveImages(
      `${policy(HOLD)}scanners: [{ type: ./own.mjs, where: worker }]`,
    );
    const stop = await startScanWorker(await loadConfig({ env, cwd: folder }), { logger: silentLogger });
    onTestFinished(stop);
    expect((await get('/v2/hub/app/manifests/bad')).status).toBe(403);
    expect((await get('/v2/hub/app/manifests/good')).status).toBe(200);
    expect(layers()).toBe(2);
  });

  it('is fetched for whom is turned away meanwhile', async () => {
    const { get } = await serveImages(`${policy('{ action: deny }')}scanners: [{ type: ./own.mjs }]`);
    expect((await get('/v2/hub/app/manifests/good')).status).toBe(403);
    await until(async () => (await get('/v2/hub/app/manifests/good')).status === 200);
  });

  it('is not fetched where nobody waits: its client may bring it', async () => {
    const { get, layers } = await serveImages(`${policy('{ action: allow }')}scanners: [{ type: ./own.mjs }]`);
    expect((await get('/v2/hub/app/manifests/bad')).status).toBe(200);
    await until(async () => {
      const { jobs } = (await get('/-/api/v1/scans')).json;
      return jobs.some(({ attempts }: { attempts: number }) => attempts > 0);
    });
    expect(layers()).toBe(0);
  });
});
