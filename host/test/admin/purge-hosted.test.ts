import { gzipSync } from 'node:zlib';
import { digestOf, packTar } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { openServer } from './space-support.js';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

async function start() {
  const server = await openServer(`
  charts: { type: helm, kind: hosted }
  images: { type: oci, kind: hosted }`);
  const [url] = server.urls;
  const put = async (method: string, path: string, body: string | Buffer, type = 'application/octet-stream') => {
    const headers = { 'content-type': type };
    const answer = await fetch(url + path, {
      method,
      headers,
      body: typeof body === 'string' ? body : new Uint8Array(body),
    });
    expect([path, answer.status, await answer.text()]).toEqual([path, 201, expect.anything()]);
  };
  return {
    ...server,
    async putChart(name: string, version: string) {
      const yaml = `apiVersion: v2\nname: ${name}\nversion: ${version}\n`;
      await put('POST', '/charts/api/charts', gzipSync(packTar([{ name: `${name}/Chart.yaml`, content: yaml }])));
    },
    async putImage(name: string, tag: string) {
      const layer = `the layer of ${name}:${tag}`;
      const config = JSON.stringify({ tag });
      for (const blob of [layer, config])
        await put('POST', `/v2/images/${name}/blobs/uploads/?digest=${digestOf(blob)}`, blob);
      const descriptor = (mediaType: string, blob: string) => ({
        mediaType,
        digest: digestOf(blob),
        size: blob.length,
      });
      const manifest = JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: descriptor('application/vnd.oci.image.config.v1+json', config),
        layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
      });
      await put('PUT', `/v2/images/${name}/manifests/${tag}`, manifest, MANIFEST);
      return { manifest: digestOf(manifest), layer: digestOf(layer) };
    },
  };
}

describe('a purge of charts that were uploaded', () => {
  it.each([['pkg:helm/app@1.0.0'], ['/charts/charts/app-1.0.0.tgz'], ['charts/chart/**/app-1.0.0.tgz']])(
    'takes them out of the index, too: %s',
    async (subject) => {
      const { api, get, putChart } = await start();
      for (const version of ['1.0.0', '2.0.0']) await putChart('app', version);
      await putChart('other', '1.0.0');
      expect((await get('/charts/index.yaml')).text).toContain('app-1.0.0.tgz');
      const foretold = await api('POST', '/purge', { subject, hosted: true, dryRun: true });
      expect((await get('/charts/charts/app-1.0.0.tgz')).status).toBe(200);
      const { json } = await api('POST', '/purge', { subject, hosted: true });
      const { entries, blobs, bytes, kept } = foretold.json;
      expect(json).toMatchObject({ state: 'done', entries, blobs, bytes, kept });
      expect(Number(blobs)).toBeGreaterThan(0);
      const index = (await get('/charts/index.yaml')).text;
      expect(index).not.toContain('app-1.0.0.tgz');
      for (const file of ['app-2.0.0.tgz', 'other-1.0.0.tgz']) {
        expect(index).toContain(file);
        expect((await get(`/charts/charts/${file}`)).status).toBe(200);
      }
      expect((await get('/charts/charts/app-1.0.0.tgz')).status).toBe(404);
    },
  );

  it('leaves nothing behind when all of them go, and keeps what is pinned', async () => {
    const { api, get, putChart } = await start();
    for (const version of ['1.0.0', '2.0.0']) await putChart('app', version);
    await api('POST', '/pins', { subject: 'pkg:helm/app@2.0.0' });
    const { json } = await api('POST', '/purge', { subject: 'charts/**', hosted: true });
    expect(json['kept']).toEqual(expect.arrayContaining([{ why: 'pinned', count: expect.any(Number) }]));
    expect((await get('/charts/index.yaml')).text).toContain('app-2.0.0.tgz');
    expect((await get('/charts/index.yaml')).text).not.toContain('app-1.0.0.tgz');
    await api('POST', '/purge', { subject: 'charts/**', hosted: true, pinned: true });
    expect((await get('/charts/index.yaml')).text).not.toContain('.tgz');
  });
});

describe('a purge of images that were uploaded', () => {
  it('takes a tag with its manifest, and no layer that an image needs', async () => {
    const { api, get, putImage } = await start();
    const one = await putImage('app', 'one');
    const two = await putImage('app', 'two');
    const layer = { subject: `/v2/images/app/blobs/${one.layer}`, hosted: true };
    expect((await api('POST', '/purge', layer)).json).toMatchObject({
      entries: 0,
      kept: [{ why: 'needed', count: 1 }],
    });
    expect((await get(`/v2/images/app/blobs/${one.layer}`)).status).toBe(200);
    const tag = { subject: '/v2/images/app/manifests/one', hosted: true };
    const foretold = (await api('POST', '/purge', { ...tag, dryRun: true })).json;
    const { entries, blobs, bytes } = foretold;
    expect((await api('POST', '/purge', tag)).json).toMatchObject({ entries, blobs, bytes, kept: [] });
    expect((await get('/v2/images/app/tags/list')).text).toBe('{"name":"images/app","tags":["two"]}');
    for (const reference of ['one', one.manifest])
      expect((await get(`/v2/images/app/manifests/${reference}`)).status).toBe(404);
    for (const path of ['manifests/two', `manifests/${two.manifest}`, `blobs/${two.layer}`])
      expect((await get(`/v2/images/app/${path}`)).status).toBe(200);
  });

  it('takes all tags of an image that is named by its digest', async () => {
    const { api, get, putImage } = await start();
    const { manifest } = await putImage('app', 'one');
    const subject = `/v2/images/app/manifests/${manifest}`;
    expect((await api('POST', '/purge', { subject, hosted: true })).json).toMatchObject({ kept: [] });
    expect((await get('/v2/images/app/manifests/one')).status).toBe(404);
  });
});
