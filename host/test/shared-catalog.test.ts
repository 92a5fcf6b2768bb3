import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { FakeUpstream } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../src/config/load.js';
import { createHost } from '../src/create-host.js';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const BODY = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [] });

async function start(repositories: string): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'entrepot-catalog-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(join(cwd, 'entrepot.yaml'), `repositories:\n${repositories}`);
  const loaded = await loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0' }, cwd });
  const host = await createHost(loaded, { logger: silentLogger });
  onTestFinished(() => host.close());
  const [listener] = await host.listen();
  return (listener as { url: string }).url;
}

async function push(url: string, name: string): Promise<void> {
  const headers = { 'content-type': MANIFEST };
  expect((await fetch(`${url}/v2/${name}/manifests/1`, { method: 'PUT', headers, body: BODY })).status).toBe(201);
}

/** The pages of a list, as a client follows their links. */
async function pages(url: string, path: string): Promise<string[][]> {
  const found: string[][] = [];
  for (let next: string | undefined = path; next !== undefined && found.length < 20;) {
    const reply: Response = await fetch(url + next);
    expect(reply.status).toBe(200);
    found.push(((await reply.json()) as { repositories: string[] }).repositories);
    next = /<([^>]*)>; rel="next"/.exec(reply.headers.get('link') ?? '')?.[1];
  }
  return found;
}

describe('the catalogue of a mount that registries share', () => {
  it('holds the names of all of them, as they are pulled', async () => {
    const url = await start(
      `  a: { type: oci, kind: hosted, access: { anonymous: write } }\n  b: { type: oci, kind: hosted }\n` +
        `  c: { type: oci, upstream: 'http://127.0.0.1:9' }\n  d: { type: oci, kind: hosted, access: { anonymous: write } }\n`,
    );
    for (const name of ['a/x', 'a/team/y', 'd/z']) await push(url, name);
    expect((await pages(url, '/v2/_catalog')).flat()).toEqual(['a/team/y', 'a/x', 'd/z']);
    expect(await pages(url, '/v2/_catalog?n=1')).toEqual([['a/team/y'], ['a/x'], ['d/z']]);
    expect(await pages(url, '/v2/_catalog?n=5&last=a/team/y')).toEqual([['a/x'], ['d/z']]);
    expect(await pages(url, '/v2/_catalog?n=0')).toEqual([[]]);
    expect((await fetch(`${url}/v2/_catalog?n=many`)).status).toBe(400);
  });

  it('holds those of upstreams, too', async () => {
    const upstream = await FakeUpstream.start();
    onTestFinished(() => upstream.close());
    upstream.handle('/v2/_catalog', ({ path }, response) => {
      const isFirst = !path.includes('next_page');
      const link = isFirst ? { link: '</v2/_catalog?next_page=a%2Fb%3D&n=2>; rel="next"' } : {};
      response.writeHead(200, { 'content-type': 'application/json', ...link });
      response.end(JSON.stringify({ repositories: isFirst ? ['one', 'team/three'] : ['two'] }));
    });
    const url = await start(`  hub: { type: oci, upstream: '${upstream.url}' }\n  own: { type: oci, kind: hosted }\n`);
    expect(await pages(url, '/v2/_catalog?n=2')).toEqual([['hub/one', 'hub/team/three'], ['hub/two'], []]);
    expect(upstream.requests.map(({ path }) => path)).toEqual([
      '/v2/_catalog?n=2',
      '/v2/_catalog?next_page=a%2Fb%3D&n=2',
    ]);
  });

  it('is empty where there is nothing', async () => {
    const url = await start('  own: { type: oci, kind: hosted }\n');
    expect(await pages(url, '/v2/_catalog')).toEqual([[]]);
  });
});
