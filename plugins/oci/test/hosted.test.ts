import { Readable } from 'node:stream';
import { anonymousAccess, setupText } from '@entrepot/core';
import { openTestRepository, type TestReply, type TestRepository } from '@entrepot/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import plugin from '../src/index.js';
import { CONFIG, describeBytes, digestOf, INDEX, indexOf, MANIFEST, manifestOf } from './images.js';

const CONFIG_BYTES = '{"architecture":"amd64","os":"linux"}';
const LAYER_BYTES = 'a layer';
const IMAGE = manifestOf(CONFIG_BYTES, LAYER_BYTES);

let opened: TestRepository | undefined;

afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

async function open(options: Readonly<Record<string, unknown>> = {}): Promise<TestRepository> {
  opened = await openTestRepository({
    plugin,
    options,
    definition: { kind: 'hosted', access: anonymousAccess(['read', 'write']) },
  });
  return opened;
}

async function pushBlob({ ask }: TestRepository, name: string, bytes: string): Promise<TestReply> {
  return await ask({ method: 'POST', path: `/${name}/blobs/uploads/?digest=${digestOf(bytes)}`, body: bytes });
}

async function pushManifest(
  { ask }: TestRepository,
  name: string,
  reference: string,
  body: string,
  mediaType = MANIFEST,
): Promise<TestReply> {
  return await ask({
    method: 'PUT',
    path: `/${name}/manifests/${reference}`,
    headers: { 'content-type': mediaType },
    body,
  });
}

async function pushImage(repository: TestRepository, name: string, tag: string, manifest = IMAGE): Promise<TestReply> {
  for (const bytes of [CONFIG_BYTES, LAYER_BYTES]) expect((await pushBlob(repository, name, bytes)).status).toBe(201);
  return await pushManifest(repository, name, tag, manifest);
}

function codeOf({ body }: TestReply): string {
  return (JSON.parse(body.toString()) as { errors: { code: string }[] }).errors[0]?.code as string;
}

describe('options', () => {
  it('of a proxy are refused', async () => {
    const definition = { kind: 'hosted' } as const;
    const opening = openTestRepository({ plugin, definition, options: { deny: ['a'], sparse: true } });
    await expect(opening).rejects.toThrow('deny: not an option of kind: hosted');
  });
});

describe('a hosted registry', () => {
  it('gives back by tag and by digest what was pushed, byte for byte', async () => {
    const repository = await open();
    const pushed = await pushImage(repository, 'team/app', '1.0');
    expect(pushed).toMatchObject({
      status: 201,
      headers: { location: `/mount/team/app/manifests/${digestOf(IMAGE)}`, 'docker-content-digest': digestOf(IMAGE) },
    });
    for (const reference of ['1.0', digestOf(IMAGE)]) {
      const pulled = await repository.ask(`/team/app/manifests/${reference}`);
      expect(pulled.body.toString()).toBe(IMAGE);
      expect(pulled.headers).toMatchObject({
        'content-type': MANIFEST,
        'docker-content-digest': digestOf(IMAGE),
        'docker-distribution-api-version': 'registry/2.0',
      });
    }
    const blob = await repository.ask(`/team/app/blobs/${digestOf(LAYER_BYTES)}`);
    expect([blob.body.toString(), blob.headers['docker-content-digest']]).toEqual([LAYER_BYTES, digestOf(LAYER_BYTES)]);
  });

  it('takes a blob in chunks, and says how far it is', async () => {
    const { ask } = await open();
    const begun = await ask({ method: 'POST', path: '/app/blobs/uploads/' });
    expect(begun).toMatchObject({ status: 202, headers: { range: '0-0' } });
    const path = (begun.headers['location'] as string).replace('/mount', '');
    const first = await ask({ method: 'PATCH', path, headers: { 'content-range': '0-3' }, body: 'a la' });
    expect(first).toMatchObject({ status: 202, headers: { range: '0-3' } });
    const gap = await ask({ method: 'PATCH', path, headers: { 'content-range': '5-6' }, body: 'er' });
    expect(gap.status).toBe(416);
    expect(await ask(path)).toMatchObject({ status: 204, headers: { range: '0-3' } });
    const elsewhere = await ask(path.replace('/app/', '/other/'));
    expect([elsewhere.status, codeOf(elsewhere)]).toEqual([404, 'BLOB_UPLOAD_UNKNOWN']);
    const wrong = await ask({ method: 'PUT', path: `${path}?digest=${digestOf('other')}`, body: 'yer' });
    expect([wrong.status, codeOf(wrong)]).toEqual([400, 'DIGEST_INVALID']);
  });

  it('ends a chunked upload with its last bytes', async () => {
    const { ask } = await open();
    const begun = await ask({ method: 'POST', path: '/app/blobs/uploads/' });
    const path = (begun.headers['location'] as string).replace('/mount', '');
    await ask({ method: 'PATCH', path, body: 'a la' });
    const ended = await ask({ method: 'PUT', path: `${path}?digest=${digestOf(LAYER_BYTES)}`, body: 'yer' });
    expect(ended).toMatchObject({ status: 201, headers: { location: `/mount/app/blobs/${digestOf(LAYER_BYTES)}` } });
    expect((await ask(`/app/blobs/${digestOf(LAYER_BYTES)}`)).body.toString()).toBe(LAYER_BYTES);
    expect((await ask(path)).status).toBe(404);
  });

  it('mounts what another name has, and begins an upload where it has not', async () => {
    const repository = await open();
    await pushBlob(repository, 'one', LAYER_BYTES);
    const mount = (from: string) =>
      repository.ask({ method: 'POST', path: `/two/blobs/uploads/?mount=${digestOf(LAYER_BYTES)}&from=${from}` });
    expect((await mount('none')).status).toBe(202);
    expect(await mount('one')).toMatchObject({
      status: 201,
      headers: { location: `/mount/two/blobs/${digestOf(LAYER_BYTES)}` },
    });
    expect((await repository.ask(`/two/blobs/${digestOf(LAYER_BYTES)}`)).body.toString()).toBe(LAYER_BYTES);
  });

  it('mounts by the name that clients say at a shared mount, which begins with that of the repository', async () => {
    const repository = await open();
    await pushBlob(repository, 'one', LAYER_BYTES);
    const mount = (to: string, from: string) =>
      send(repository, `/${to}/blobs/uploads/`, `mount=${digestOf(LAYER_BYTES)}&from=${from}`);
    expect(await mount('two', 'images%2Fone')).toMatchObject({
      status: 201,
      headers: { Location: `/v2/images/two/blobs/${digestOf(LAYER_BYTES)}` },
    });
    expect((await mount('three', 'other%2Fone')).status).toBe(202);
    expect((await mount('three', 'images%2Fnone')).status).toBe(202);
    expect((await mount('three', 'No%20Name')).status).toBe(202);
    expect((await mount('one', '')).status).toBe(201);
  });

  it('refuses a manifest whose layers are not here, unless it may', async () => {
    const strict = await open();
    const refused = await pushManifest(strict, 'app', '1', IMAGE);
    expect([refused.status, codeOf(refused)]).toEqual([400, 'MANIFEST_BLOB_UNKNOWN']);
    await strict.close();
    expect((await pushManifest(await open({ sparse: true }), 'app', '1', IMAGE)).status).toBe(201);
  });

  it.each([
    ['{', 'no JSON'],
    ['[]', 'no object'],
    ['{"schemaVersion":1}', 'the old schema'],
    [`\ufeff${IMAGE}`, 'a byte order mark'],
    [JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] }), 'another type than it was pushed as'],
    [`${'['.repeat(100_000)}`, 'deep nesting'],
    [
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST,
        layers: [{ mediaType: CONFIG, digest: 'md5:1', size: 1 }],
      }),
      'a bad digest',
    ],
  ])('refuses %.20j: %s', async (body) => {
    const refused = await pushManifest(await open(), 'app', '1', body);
    expect(refused.status).toBe(400);
    expect(['MANIFEST_INVALID', 'DIGEST_INVALID']).toContain(codeOf(refused));
  });

  it('takes manifests up to its limit', async () => {
    const repository = await open({ maxManifestSize: '10KiB' });
    const large = (size: number) => indexOf() + ' '.repeat(size - indexOf().length);
    expect((await pushManifest(repository, 'app', '1', large(10_240), INDEX)).status).toBe(201);
    expect((await pushManifest(repository, 'app', '1', large(10_241), INDEX)).status).toBe(413);
  });

  it('lists tags in order, in pages, and never a name that it does not have', async () => {
    const repository = await open();
    for (const tag of ['1-rc', '1.2', 'B', '1', 'a']) await pushManifest(repository, 'app', tag, indexOf(), INDEX);
    await pushManifest(repository, 'app/tags', 'x', indexOf(), INDEX);
    const list = async (query: string) => {
      const reply = await repository.ask(`/app/tags/list${query}`);
      return { ...(JSON.parse(reply.body.toString()) as { tags: string[] }), link: reply.headers['link'] };
    };
    expect(await list('')).toEqual({ name: 'app', tags: ['1', '1-rc', '1.2', 'B', 'a'], link: undefined });
    expect(await list('?n=2')).toMatchObject({
      tags: ['1', '1-rc'],
      link: '</mount/app/tags/list?n=2&last=1-rc>; rel="next"',
    });
    expect(await list('?n=2&last=1-rc')).toMatchObject({
      tags: ['1.2', 'B'],
      link: '</mount/app/tags/list?n=2&last=B>; rel="next"',
    });
    expect(await list('?n=2&last=B')).toMatchObject({ tags: ['a'], link: undefined });
    expect(await list('?last=1.1')).toMatchObject({ tags: ['1.2', 'B', 'a'] });
    expect(await list('?n=0')).toMatchObject({ tags: [], link: undefined });
    expect(await list('?n=1000000000000')).toMatchObject({ tags: ['1', '1-rc', '1.2', 'B', 'a'] });
    for (const bad of ['?n=-1', '?n=abc'])
      expect(codeOf(await repository.ask(`/app/tags/list${bad}`))).toBe('PAGINATION_NUMBER_INVALID');
    const none = await repository.ask('/none/tags/list');
    expect([none.status, codeOf(none)]).toEqual([404, 'NAME_UNKNOWN']);
    const catalog = await repository.ask('/_catalog?n=1');
    expect(JSON.parse(catalog.body.toString())).toEqual({ repositories: ['app'] });
    expect(catalog.headers['link']).toBe('</mount/_catalog?n=1&last=app>; rel="next"');
  });

  it('lists what refers to a manifest, whichever came first', async () => {
    const repository = await open();
    const subject = describeBytes(INDEX, indexOf());
    const signature = manifestOf(CONFIG_BYTES, LAYER_BYTES, {
      subject,
      artifactType: 'application/x.sig+json',
      annotations: { by: 'me' },
    });
    const referrers = async (query = '') => {
      const reply = await repository.ask(`/app/referrers/${subject.digest}${query}`);
      return {
        ...(JSON.parse(reply.body.toString()) as { manifests: unknown[] }),
        filtered: reply.headers['oci-filters-applied'],
        status: reply.status,
      };
    };
    expect(await referrers()).toMatchObject({ status: 200, schemaVersion: 2, mediaType: INDEX, manifests: [] });
    const pushed = await pushImage(repository, 'app', digestOf(signature), signature);
    expect(pushed.headers['oci-subject']).toBe(subject.digest);
    const listed = {
      ...describeBytes(MANIFEST, signature),
      artifactType: 'application/x.sig+json',
      annotations: { by: 'me' },
    };
    expect((await referrers()).manifests).toEqual([listed]);
    expect(await referrers('?artifactType=application/x.sig%2Bjson')).toMatchObject({
      manifests: [listed],
      filtered: 'artifactType',
    });
    expect((await referrers('?artifactType=other')).manifests).toEqual([]);
    await repository.ask({ method: 'DELETE', path: `/app/manifests/${digestOf(signature)}` });
    expect((await referrers()).manifests).toEqual([]);
  });

  it('deletes a manifest with its tags at once, and a tag alone', async () => {
    const repository = await open();
    for (const tag of ['1', '2', '3']) await pushImage(repository, 'app', tag);
    const status = async (path: string) => (await repository.ask({ method: 'HEAD', path })).status;
    expect((await repository.ask({ method: 'DELETE', path: '/app/manifests/3' })).status).toBe(202);
    expect(await status('/app/manifests/3')).toBe(404);
    expect(await status(`/app/manifests/${digestOf(IMAGE)}`)).toBe(200);
    expect((await repository.ask({ method: 'DELETE', path: `/app/manifests/${digestOf(IMAGE)}` })).status).toBe(202);
    for (const reference of ['1', '2', digestOf(IMAGE)]) expect(await status(`/app/manifests/${reference}`)).toBe(404);
    expect((await repository.ask({ method: 'DELETE', path: '/app/manifests/1' })).status).toBe(404);
    expect((await repository.ask({ method: 'DELETE', path: `/app/blobs/${digestOf(LAYER_BYTES)}` })).status).toBe(202);
    expect(await status(`/app/blobs/${digestOf(LAYER_BYTES)}`)).toBe(404);
  });

  it('moves tags, but not those that are immutable', async () => {
    const repository = await open({ immutableTags: ['v*'] });
    for (const tag of ['latest', 'v1']) await pushManifest(repository, 'app', tag, indexOf(), INDEX);
    await pushImage(repository, 'app', 'latest');
    expect((await repository.ask('/app/manifests/latest')).body.toString()).toBe(IMAGE);
    const moved = await pushManifest(repository, 'app', 'v1', IMAGE);
    expect([moved.status, codeOf(moved)]).toEqual([409, 'DENIED']);
    expect((await pushManifest(repository, 'app', 'v1', indexOf(), INDEX)).status).toBe(201);
  });

  it('deletes nothing where it must not', async () => {
    const repository = await open({ deletes: false });
    await pushImage(repository, 'app', '1');
    const refused = await repository.ask({ method: 'DELETE', path: '/app/manifests/1' });
    expect([refused.status, codeOf(refused)]).toEqual([405, 'UNSUPPORTED']);
  });

  it('takes tags beside a digest, and other digests', async () => {
    const repository = await open();
    const sha512 = digestOf(indexOf(), 'sha512');
    const pushed = await pushManifest(repository, 'app', `${sha512}?tag=a&tag=b`, indexOf(), INDEX);
    expect(pushed.headers).toMatchObject({ 'oci-tag': 'a, b', 'docker-content-digest': sha512 });
    for (const reference of ['a', sha512]) {
      expect((await repository.ask(`/app/manifests/${reference}`)).headers['docker-content-digest']).toBe(sha512);
    }
    expect((await repository.ask(`/app/manifests/${digestOf(indexOf())}`)).headers['docker-content-digest']).toBe(
      digestOf(indexOf()),
    );
  });

  it('does not need layers that come from elsewhere', async () => {
    const foreign = {
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      digest: digestOf('x'),
      size: 1,
    };
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: describeBytes(CONFIG, CONFIG_BYTES),
      layers: [foreign],
    });
    expect((await pushImage(await open(), 'app', '1', manifest)).status).toBe(201);
  });
});

/** A POST as it comes in by `/v2`, below the name of the repository. */
function send(
  { engine }: TestRepository,
  rawPath: string,
  rawQuery: string,
): ReturnType<TestRepository['engine']['handle']> {
  return engine.handle({
    method: 'POST',
    rawPath,
    rawQuery,
    header: () => undefined,
    body: Readable.from([]),
    baseUrl: 'https://packages.example.com/v2/images',
    mount: '/v2',
    signal: new AbortController().signal,
  });
}

describe('the lines that clients are set up with', () => {
  it.each([
    [
      'behind the name of the repository where others share the host',
      'https://packages.example.com/v2/images',
      'images/',
    ],
    ['as they are where the host is its own', 'https://images.example.com/v2', ''],
  ])('call images %s', (_, baseUrl, prefix) => {
    const facts = { name: 'images', kind: 'hosted', upstreams: [] } as const;
    const lines = (plugin.clients?.setup?.({ baseUrl, repository: facts }) ?? []).map(setupText);
    const { host } = new URL(baseUrl);
    expect(lines).toContain(`docker pull ${host}/${prefix}library/alpine:latest`);
    expect(lines).toContain(`docker push ${host}/${prefix}team/app:1.0.0`);
    expect(lines.every((line) => line.includes(`${host}/${prefix}`))).toBe(true);
  });
});
