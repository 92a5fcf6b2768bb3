import type { Digest, Entry } from '@entrepot/core';
import { openTestRepository, type TestRepository } from '@entrepot/core/testing';
import { expect, it, onTestFinished } from 'vitest';
import plugin from '../src/index.js';
import { digestOf, MANIFEST, manifestOf } from './images.js';

const LAYER = 'a layer';
const IMAGE = manifestOf('{}', LAYER);
const NEWER = manifestOf('{}', 'another layer');
const BASE = '/upstream/base/v2/app';

/** A registry that wants a token for pulling `app`, and has an image under the tag `1`. */
async function open(): Promise<TestRepository> {
  const repository = await openTestRepository({ plugin });
  onTestFinished(() => repository.close());
  const { upstream } = repository;
  upstream.handle('/token', ({ path }, response) => {
    const { searchParams } = new URL(path, upstream.url);
    response.end(JSON.stringify({ token: searchParams.get('scope') }));
  });
  serve(repository, `manifests/1`, IMAGE);
  serve(repository, `manifests/${digestOf(IMAGE)}`, IMAGE);
  serve(repository, `blobs/${digestOf(LAYER)}`, LAYER, 'application/octet-stream');
  return repository;
}

function serve({ upstream }: TestRepository, path: string, body: string, mediaType = MANIFEST): void {
  upstream.handle(`${BASE}/${path}`, ({ headers }, response) => {
    if (headers['authorization'] !== 'Bearer repository:app:pull') {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${upstream.url}/token",service="registry"` }).end();
      return;
    }
    response.writeHead(200, { 'content-type': mediaType, 'docker-content-digest': digestOf(body) }).end(body);
  });
}

async function lose({ blobs, entries }: TestRepository, key: string, bytes: string): Promise<Entry> {
  await blobs.delete(digestOf(bytes) as Digest);
  const entry = await entries.find('test', key);
  if (entry === undefined) throw new Error(`${key} is not kept`);
  return entry;
}

it('heals layers and manifests of registries that want a token', async () => {
  const repository = await open();
  const { ask, blobs, engine, entries } = repository;
  const { signal } = new AbortController();
  await ask('/app/manifests/1');
  await ask(`/app/blobs/${digestOf(LAYER)}`);
  for (const [key, bytes] of [
    ['tag/app:/1', IMAGE],
    [`manifest/app@${digestOf(IMAGE)}`, IMAGE],
    [`blob/app@${digestOf(LAYER)}`, LAYER],
  ] as const) {
    const entry = await lose(repository, key, bytes);
    expect([key, await engine.heal(entry, signal)]).toEqual([key, { outcome: 'healed' }]);
    expect(await blobs.stat(entry.digest)).toBeDefined();
  }
  // The tag moves: what it was is still there by its digest.
  serve(repository, 'manifests/1', NEWER);
  const manifest = await lose(repository, `manifest/app@${digestOf(IMAGE)}`, IMAGE);
  const tag = (await entries.find('test', 'tag/app:/1')) as Entry;
  expect(await engine.heal(tag, signal)).toMatchObject({ outcome: 'changed' });
  expect(await entries.find('test', 'tag/app:/1')).toBeUndefined();
  expect(await engine.heal(manifest, signal)).toEqual({ outcome: 'healed' });
  expect((await ask('/app/manifests/1')).body.toString()).toBe(NEWER);
});
