import { createHash } from 'node:crypto';
import type { Access } from '@entrepot/core';
import {
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
  type TestRequest,
} from '@entrepot/core/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import plugin from '../src/index.js';
import { describeBytes, digestOf, INDEX, indexOf, LAYER, MANIFEST, manifestOf } from './images.js';

const LAYER_BYTES = 'a layer';
const DIGEST = digestOf(LAYER_BYTES);

const opened: TestRepository[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((repository) => repository.close()));
});

async function open(options: Omit<Partial<TestRepositoryOptions>, 'plugin'> = {}): Promise<TestRepository> {
  const definition = { kind: 'hosted' as const, ...options.definition };
  const repository = await openTestRepository({
    plugin,
    ...options,
    definition,
  });
  opened.push(repository);
  return repository;
}

function codeOf({ body }: TestReply): string {
  return (JSON.parse(body.toString()) as { errors: { code: string }[] }).errors[0]?.code as string;
}

function put(name: string, reference: string, body: string | Uint8Array, mediaType = INDEX): TestRequest {
  return { method: 'PUT', path: `/${name}/manifests/${reference}`, headers: { 'content-type': mediaType }, body };
}

async function begin({ ask }: TestRepository, name = 'app'): Promise<string> {
  const { status, headers } = await ask({ method: 'POST', path: `/${name}/blobs/uploads/` });
  expect(status).toBe(202);
  return (headers['location'] as string).replace('/mount', '');
}

async function pushBlob({ ask }: TestRepository, name: string, bytes: string): Promise<void> {
  const path = `/${name}/blobs/uploads/?digest=${digestOf(bytes)}`;
  expect((await ask({ method: 'POST', path, body: bytes })).status).toBe(201);
}

const HEX = 'a'.repeat(64);

describe('names and digests that are none', () => {
  it.each<[path: string, status: number, code: string]>([
    ['/App/manifests/1', 400, 'NAME_INVALID'],
    ['/a%20b/manifests/1', 400, 'NAME_INVALID'],
    ['/%C3%BC/manifests/1', 400, 'NAME_INVALID'],
    [`/${'a'.repeat(256)}/manifests/1`, 400, 'NAME_INVALID'],
    ['/a/-b/tags/list', 400, 'NAME_INVALID'],
    ['/_catalog/tags/list', 400, 'NAME_INVALID'],
    [`/app/manifests/${'t'.repeat(129)}`, 400, 'TAG_INVALID'],
    ['/app/manifests/.hidden', 400, 'TAG_INVALID'],
    ['/app/manifests/a%40b', 400, 'TAG_INVALID'],
    [`/app/manifests/sha256:${HEX.slice(1)}`, 400, 'DIGEST_INVALID'],
    [`/app/manifests/sha256:${HEX}a`, 400, 'DIGEST_INVALID'],
    [`/app/manifests/sha256:${HEX.toUpperCase()}`, 400, 'DIGEST_INVALID'],
    ['/app/manifests/sha256:baddigeststring', 400, 'DIGEST_INVALID'],
    ['/app/blobs/md5:d41d8cd98f00b204e9800998ecf8427e', 400, 'DIGEST_INVALID'],
    [`/app/blobs/sha512:${HEX}`, 400, 'DIGEST_INVALID'],
    ['/app/blobs/latest', 400, 'DIGEST_INVALID'],
    ['/app/referrers/1.0', 400, 'DIGEST_INVALID'],
    [`/app/manifests/sha256%3A${HEX}`, 404, 'MANIFEST_UNKNOWN'],
    ['/app/manifests/absent', 404, 'MANIFEST_UNKNOWN'],
    [`/app/blobs/sha256:${HEX}`, 404, 'BLOB_UNKNOWN'],
    ['/app/blobs/uploads/nothing', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['/app/tags/list', 404, 'NAME_UNKNOWN'],
    ['/app/tags/list?last=%00', 400, 'PAGINATION_NUMBER_INVALID'],
    ['/_catalog?last=a%00', 400, 'PAGINATION_NUMBER_INVALID'],
    [`/app/referrers/sha256:${HEX}?last=%00`, 400, 'PAGINATION_NUMBER_INVALID'],
  ])('GET %s is %i %s', async (path, status, code) => {
    const { ask } = await open();
    const reply = await ask(path);
    expect([reply.status, codeOf(reply)]).toEqual([status, code]);
    expect((await ask({ method: 'HEAD', path })).body.length).toBe(0);
  });

  it.each(['/a/..%2fb/manifests/1', '/a/%2e%2e/manifests/1', '/a/%00/manifests/1', '/a//b/manifests/1'])(
    'GET %s is refused before anything looks at it',
    async (path) => {
      const { ask } = await open();
      expect((await ask(path)).status).toBe(400);
    },
  );

  it.each<[request: TestRequest, status: number, code: string]>([
    [put('app', digestOf('other'), indexOf()), 400, 'DIGEST_INVALID'],
    [put('app', digestOf('other', 'sha512'), indexOf()), 400, 'DIGEST_INVALID'],
    [put('app', 'sha256:baddigeststring', indexOf()), 400, 'DIGEST_INVALID'],
    [put('app', '.bad', indexOf()), 400, 'TAG_INVALID'],
    [put('app', `${digestOf(indexOf())}?tag=.bad`, indexOf()), 400, 'TAG_INVALID'],
    [put('app', `${digestOf(indexOf())}?${'tag=a&'.repeat(101)}`, indexOf()), 414, 'SIZE_INVALID'],
    [put('app', '1', indexOf(), ''), 201, ''],
    [put('app', '1', indexOf(), `${INDEX}; charset=utf-8`), 201, ''],
    [put('app', '1', indexOf(), 'text/html'), 400, 'MANIFEST_INVALID'],
    [put('app', '1', '{"schemaVersion":2,"manifests":[]}', 'application/json, text/html'), 400, 'MANIFEST_INVALID'],
    [put('app', '1', '{"schemaVersion":2,"mediaType":"a\\nb/c"}', ''), 400, 'MANIFEST_INVALID'],
    [{ method: 'POST', path: `/app/blobs/uploads/?digest=${DIGEST}`, body: 'others' }, 400, 'DIGEST_INVALID'],
    [{ method: 'POST', path: '/app/blobs/uploads/?digest=md5:1', body: 'x' }, 400, 'DIGEST_INVALID'],
    [{ method: 'POST', path: '/app/blobs/uploads/?mount=md5:1&from=b' }, 400, 'DIGEST_INVALID'],
    // Nothing can be mounted from there: the client uploads the bytes, as the specification has it.
    [{ method: 'POST', path: `/app/blobs/uploads/?mount=${DIGEST}&from=../b` }, 202, ''],
    [{ method: 'POST', path: '/app/blobs/uploads/?digest-algorithm=md5' }, 400, 'DIGEST_INVALID'],
    [{ method: 'POST', path: '/app/blobs/uploads/?digest-algorithm=sha512' }, 202, ''],
    [{ method: 'PUT', path: '/app/blobs/uploads/' }, 405, 'UNSUPPORTED'],
    [{ method: 'POST', path: '/app/manifests/1', body: indexOf() }, 405, 'UNSUPPORTED'],
    [{ method: 'PATCH', path: `/app/blobs/${DIGEST}`, body: 'x' }, 405, 'UNSUPPORTED'],
    [{ method: 'DELETE', path: '/app/manifests/absent' }, 404, 'MANIFEST_UNKNOWN'],
    [{ method: 'DELETE', path: `/app/blobs/${DIGEST}` }, 404, 'BLOB_UNKNOWN'],
  ])('%.100j is %i %s', async (request, status, code) => {
    const { ask, entries } = await open();
    const reply = await ask(request);
    expect(reply.status).toBe(status);
    if (status < 300) return;
    expect(codeOf(reply)).toBe(code);
    expect(await entries.list('test', { prefix: '', limit: 1 })).toEqual([]);
  });
});

describe('names that are made of the words of the routes', () => {
  it.each([
    'blobs/uploads',
    'a/manifests/b',
    'tags/list',
    'referrers',
    'library/library',
    'manifests',
    'a'.repeat(255),
  ])('%s', async (name) => {
    const repository = await open();
    const { ask } = repository;
    for (const bytes of ['{}', LAYER_BYTES]) await pushBlob(repository, name, bytes);
    const image = manifestOf('{}', LAYER_BYTES);
    expect((await ask(put(name, 'latest', image, MANIFEST))).status).toBe(201);
    expect((await ask(`/${name}/manifests/latest`)).body.toString()).toBe(image);
    expect((await ask(`/${name}/blobs/${DIGEST}`)).body.toString()).toBe(LAYER_BYTES);
    const listed = await ask(`/${name}/tags/list`);
    expect(JSON.parse(listed.body.toString())).toEqual({ name, tags: ['latest'] });
    expect((await ask(`/${name}/referrers/${digestOf(image)}`)).status).toBe(200);
    const session = await begin(repository, name);
    expect((await ask({ method: 'PUT', path: `${session}?digest=${DIGEST}`, body: LAYER_BYTES })).status).toBe(201);
  });
});

describe('an upload in chunks', () => {
  const range = (value: string) => ({ 'content-range': value });

  it.each<[what: string, range: string, body: string, status: number, code: string]>([
    ['overlaps', '2-6', 'layer', 416, 'BLOB_UPLOAD_INVALID'],
    ['is sent again', '0-3', 'a la', 416, 'BLOB_UPLOAD_INVALID'],
    ['leaves a gap', '5-7', 'yer', 416, 'BLOB_UPLOAD_INVALID'],
    ['is shorter than it says', '4-9', 'yer', 400, 'SIZE_INVALID'],
    ['is longer than it says', '4-5', 'yer', 400, 'SIZE_INVALID'],
    ['says nonsense', 'bytes 4-', 'yer', 400, 'SIZE_INVALID'],
    ['ends before it begins', '6-4', 'yer', 400, 'SIZE_INVALID'],
  ])('whose next one %s goes on where it was', async (_what, header, body, status, code) => {
    const repository = await open();
    const { ask } = repository;
    const path = await begin(repository);
    await ask({ method: 'PATCH', path, headers: range('0-3'), body: 'a la' });
    for (const method of ['PATCH', 'PUT']) {
      const url = method === 'PUT' ? `${path}?digest=${DIGEST}` : path;
      const refused = await ask({ method, path: url, headers: range(header), body });
      expect([refused.status, codeOf(refused)]).toEqual([status, code]);
      expect((await ask(path)).headers['range']).toBe('0-3');
    }
    const form = range('bytes 4-6/*');
    expect((await ask({ method: 'PATCH', path, headers: form, body: 'yer' })).headers['range']).toBe('0-6');
    expect((await ask({ method: 'PUT', path: `${path}?digest=${DIGEST}` })).status).toBe(201);
    for (const method of ['PATCH', 'PUT']) {
      const late = await ask({ method, path: `${path}?digest=${DIGEST}`, body: 'x' });
      expect([late.status, codeOf(late)]).toEqual([404, 'BLOB_UPLOAD_UNKNOWN']);
    }
  });

  it('whose connection breaks goes on from what came', async () => {
    const repository = await open();
    const { ask } = repository;
    const path = await begin(repository);
    const broken = await ask({ method: 'PATCH', path, body: LAYER_BYTES, breaksAfter: 4 });
    expect(broken.status).toBe(400);
    expect((await ask(path)).headers['range']).toBe('0-3');
    const last = await ask({ method: 'PUT', path: `${path}?digest=${DIGEST}`, body: 'yer' });
    expect(last.status).toBe(201);
  });

  it('is finished under no other name, and by nobody else twice at a time', async () => {
    const repository = await open();
    const { ask } = repository;
    const path = await begin(repository);
    const elsewhere = path.replace('/app/', '/other/');
    for (const [method, body] of [
      ['GET', ''],
      ['PATCH', 'x'],
      ['PUT', LAYER_BYTES],
      ['DELETE', ''],
    ] as const) {
      const refused = await ask({ method, path: `${elsewhere}?digest=${DIGEST}`, body });
      expect([refused.status, codeOf(refused)]).toEqual([404, 'BLOB_UPLOAD_UNKNOWN']);
    }
    let other: number | undefined;
    const during = async (): Promise<void> => {
      other = (await ask({ method: 'PATCH', path, body: 'yer!' })).status;
    };
    const { status } = await ask({ method: 'PATCH', path, body: 'a la', during });
    expect([status, other]).toEqual([202, 409]);
    expect((await ask(path)).headers['range']).toBe('0-3');
  });

  it('is no more after it was cancelled, and leaves nothing', async () => {
    const repository = await open();
    const { ask } = repository;
    const path = await begin(repository);
    await ask({ method: 'PATCH', path, body: LAYER_BYTES });
    expect((await ask({ method: 'DELETE', path })).status).toBe(204);
    for (const method of ['GET', 'DELETE']) expect(codeOf(await ask({ method, path }))).toBe('BLOB_UPLOAD_UNKNOWN');
    expect((await ask({ method: 'HEAD', path: `/app/blobs/${DIGEST}` })).status).toBe(404);
  });

  it('that ends with a wrong sum leaves nothing under it', async () => {
    const repository = await open();
    const { ask, entries } = repository;
    const path = await begin(repository);
    await ask({ method: 'PATCH', path, body: 'other bytes' });
    const refused = await ask({ method: 'PUT', path: `${path}?digest=${DIGEST}` });
    expect([refused.status, codeOf(refused)]).toEqual([400, 'DIGEST_INVALID']);
    expect(await entries.list('test', { prefix: '', limit: 1 })).toEqual([]);
  });

  it.each(['sha256', 'sha512'])('can have no bytes, and be named by %s', async (algorithm) => {
    const repository = await open();
    const { ask } = repository;
    const digest = digestOf('', algorithm);
    const ended = await ask({ method: 'PUT', path: `${await begin(repository)}?digest=${digest}` });
    expect([ended.status, ended.headers['docker-content-digest']]).toEqual([201, digest]);
    const pulled = await ask(`/app/blobs/${digest}`);
    expect(pulled).toMatchObject({ status: 200, headers: { 'content-length': '0', 'docker-content-digest': digest } });
  });

  it('for which there is no room is refused, and others go on when there is room again', async () => {
    const repository = await open({ maxSpoolBytes: 150_000 });
    const { ask } = repository;
    const path = await begin(repository);
    const full = await ask({ method: 'PATCH', path, body: 'x'.repeat(200_000) });
    expect([full.status, codeOf(full)]).toEqual([507, 'UNKNOWN']);
    const bytes = 'y'.repeat(90_000);
    await ask({ method: 'DELETE', path });
    await pushBlob(repository, 'app', bytes);
    expect((await ask(`/app/blobs/${digestOf(bytes)}`)).body.toString()).toBe(bytes);
  });

  it('is refused when it grows past the limit', async () => {
    const repository = await open({ options: { maxBlobSize: '1KiB' } });
    const { ask } = repository;
    const path = await begin(repository);
    await ask({ method: 'PATCH', path, body: 'x'.repeat(1000) });
    expect((await ask({ method: 'PATCH', path, body: 'x'.repeat(100) })).status).toBe(413);
    const whole = 'x'.repeat(1025);
    const url = `/app/blobs/uploads/?digest=${digestOf(whole)}`;
    expect((await ask({ method: 'POST', path: url, body: whole })).status).toBe(413);
  });
});

/** Grants the caller `one` the names that begin with `one`, and so on. */
const byName: Access = {
  knowsCallers: true,
  isOpen: () => false,
  authenticate: async (caller) => ({
    name: caller,
    may: ({ name }) => caller !== undefined && (name?.startsWith(caller) ?? true),
  }),
  challenge: () => 'Basic realm="test"',
};

describe('a mount', () => {
  it('from a name that may not be read is as from one that has nothing', async () => {
    const { ask } = await open({ definition: { kind: 'hosted', access: byName } });
    const as = (authorization: string) => ({ authorization });
    const path = `/one/app/blobs/uploads/?digest=${DIGEST}`;
    expect((await ask({ method: 'POST', path, headers: as('one'), body: LAYER_BYTES })).status).toBe(201);
    const mount = (from: string) => ({
      method: 'POST',
      path: `/two/app/blobs/uploads/?mount=${DIGEST}&from=${from}`,
      headers: as('two'),
    });
    const [secret, absent] = [await ask(mount('one/app')), await ask(mount('one/none'))];
    expect([secret.status, absent.status]).toEqual([202, 202]);
    expect(Object.keys(secret.headers).toSorted()).toEqual(Object.keys(absent.headers).toSorted());
    expect((await ask({ path: `/two/app/blobs/${DIGEST}`, headers: as('two') })).status).toBe(404);
  });
});

describe('a manifest', () => {
  it('of 4 MiB is taken, of more is not', async () => {
    const { ask } = await open();
    const padded = (size: number) => indexOf().padEnd(size, ' ');
    expect((await ask(put('app', '1', padded(4 * 1024 ** 2)))).status).toBe(201);
    expect((await ask('/app/manifests/1')).body.length).toBe(4 * 1024 ** 2);
    const large = await ask(put('app', '2', padded(4 * 1024 ** 2 + 1)));
    expect([large.status, codeOf(large)]).toEqual([413, 'MANIFEST_INVALID']);
  });

  it('may have a thousand children, and name itself nowhere', async () => {
    const { ask } = await open();
    const children = Array.from({ length: 1000 }, (_, at) => describeBytes(MANIFEST, `child ${at}`));
    const index = indexOf(...children);
    expect((await ask(put('app', 'many', index))).status).toBe(201);
    expect((await ask('/app/manifests/many')).body.toString()).toBe(index);
  });

  it.each<[what: string, body: string | Uint8Array, mediaType: string]>([
    ['of the first schema', '{"schemaVersion":1,"name":"a","tag":"1","fsLayers":[],"history":[]}', MANIFEST],
    [
      'of the first schema, signed',
      '{"schemaVersion":1,"signatures":[]}',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
    ],
    ['that ends early', indexOf().slice(0, -1), INDEX],
    ['with layers that are none', '{"schemaVersion":2,"layers":[1]}', MANIFEST],
    [
      'with a negative size',
      `{"schemaVersion":2,"layers":[{"mediaType":"${LAYER}","digest":"${DIGEST}","size":-1}]}`,
      MANIFEST,
    ],
    [
      'with a subject that is none',
      `{"schemaVersion":2,"subject":{"mediaType":"x","digest":"sha256:1","size":1}}`,
      MANIFEST,
    ],
    ['with annotations of numbers', '{"schemaVersion":2,"annotations":{"a":1}}', MANIFEST],
    ['that is not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), MANIFEST],
    ['that is empty', '', MANIFEST],
    ['that is null', 'null', MANIFEST],
  ])('%s is refused', async (_what, body, mediaType) => {
    const { ask, entries } = await open({ options: { sparse: true } });
    const refused = await ask(put('app', '1', body, mediaType));
    expect(refused.status).toBe(400);
    expect(['MANIFEST_INVALID', 'DIGEST_INVALID']).toContain(codeOf(refused));
    expect(await entries.list('test', { prefix: '', limit: 1 })).toEqual([]);
  });

  it('nested as deeply as its size lets it is kept as it came', async () => {
    const { ask } = await open();
    const half = 2 * 1024 ** 2 - 50;
    const deep = `{"schemaVersion":2,"mediaType":"${MANIFEST}","x":${'['.repeat(half)}${']'.repeat(half)}}`;
    expect((await ask(put('app', '1', deep, MANIFEST))).status).toBe(201);
    expect((await ask('/app/manifests/1')).body.toString()).toBe(deep);
  });

  it('with one layer thousands of times asks for it once', async () => {
    const repository = await open();
    const { ask, entries } = repository;
    await pushBlob(repository, 'app', LAYER_BYTES);
    const layers = Array.from({ length: 10_000 }, () => ({ mediaType: LAYER, digest: DIGEST, size: 7 }));
    const image = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers });
    const find = vi.spyOn(entries, 'find');
    expect((await ask(put('app', '1', image, MANIFEST))).status).toBe(201);
    expect(find.mock.calls.filter(([, key]) => key.startsWith('blob/'))).toHaveLength(1);
  });

  it('with keys of its own, and twice the same one, is kept byte for byte', async () => {
    const { ask } = await open();
    const odd = `{"schemaVersion":2,"mediaType":"${INDEX}",\n\t"manifests":[],"__proto__":{"x":1},"x":1,"x":2,"constructor":{}}`;
    expect((await ask(put('app', '1', odd))).status).toBe(201);
    expect((await ask('/app/manifests/1')).body.toString()).toBe(odd);
  });
});

describe('long lists', () => {
  it('of 12,000 tags are given whole and in pages, every tag once', async () => {
    const { ask, entries } = await open();
    await ask(put('app', 'v0', indexOf()));
    const pattern = await entries.find('test', 'tag/app:/v0');
    const tags = Array.from({ length: 12_000 }, (_, at) => `v${at}`);
    await entries.change({
      repository: 'test',
      expect: [],
      put: tags.slice(1).map((tag) => ({ ...pattern!, key: `tag/app:/${tag}` })),
      remove: [],
    });
    const whole = JSON.parse((await ask('/app/tags/list')).body.toString()) as { tags: string[] };
    expect(whole.tags).toEqual(tags.toSorted());
    const paged: string[] = [];
    for (let next: string | undefined = '/app/tags/list?n=2999'; next !== undefined;) {
      const { body, headers } = await ask(next);
      paged.push(...(JSON.parse(body.toString()) as { tags: string[] }).tags);
      next = /<\/mount([^>]*)>/.exec(headers['link'] ?? '')?.[1];
    }
    expect(paged).toEqual(whole.tags);
    const clamped = JSON.parse((await ask('/app/tags/list?n=1000000000')).body.toString()) as { tags: string[] };
    expect(clamped.tags).toHaveLength(10_000);
  });

  it('of 5,000 referrers come in pages, filtered and not', async () => {
    const repository = await open();
    const { ask, entries } = repository;
    await pushBlob(repository, 'app', '{}');
    await pushBlob(repository, 'app', LAYER_BYTES);
    const subject = describeBytes(INDEX, indexOf());
    const signature = manifestOf('{}', LAYER_BYTES, { subject, artifactType: 'application/x.sig+json;v="1"' });
    await ask(put('app', digestOf(signature), signature, MANIFEST));
    const prefix = `referrer/app@${subject.digest}/`;
    const [pattern] = await entries.list('test', { prefix, limit: 1 });
    const digests = Array.from(
      { length: 4_999 },
      (_, at) => `sha256:${createHash('sha256').update(`${at}`).digest('hex')}`,
    );
    await entries.change({
      repository: 'test',
      expect: [],
      put: digests.map((digest, at) => {
        const artifactType = at % 2 === 0 ? 'application/x.sbom' : 'application/x.sig+json;v="1"';
        return { ...pattern!, key: prefix + digest, attributes: { ...pattern!.attributes, digest, artifactType } };
      }),
      remove: [],
    });
    const all = async (query: string) => {
      const found: string[] = [];
      for (let next: string | undefined = `/app/referrers/${subject.digest}${query}`; next !== undefined;) {
        const { body, headers } = await ask(next);
        found.push(
          ...(JSON.parse(body.toString()) as { manifests: { digest: string }[] }).manifests.map((one) => one.digest),
        );
        next = /<\/mount([^>]*)>/.exec(headers['link'] ?? '')?.[1];
      }
      return found;
    };
    expect(await all('')).toEqual([...digests, digestOf(signature)].toSorted());
    expect(await all(`?artifactType=${encodeURIComponent('application/x.sig+json;v="1"')}`)).toHaveLength(2_500);
  });
});
