import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import type { Digest, Entry } from '@entrepot/core';
import {
  FixedPolicy,
  MemoryBlobStore,
  MemoryEntryIndex,
  hostedProtocolSuite,
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
  type TestRequest,
} from '@entrepot/core/testing';
import { load } from 'js-yaml';
import { afterEach, describe, expect, it } from 'vitest';
import plugin from '../src/index.js';
import { chart } from './fixtures.js';

/** Blobs on a disk that has flipped a bit of some of them. */
class RottingBlobStore extends MemoryBlobStore {
  readonly damaged = new Set<Digest>();

  override async open(...given: Parameters<MemoryBlobStore['open']>): Promise<Readable | undefined> {
    const stream = await super.open(...given);
    if (stream === undefined || !this.damaged.has(given[0])) return stream;
    const bytes = Buffer.concat(await (stream as AsyncIterable<Buffer> & Readable).toArray());
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    return Readable.from([bytes], { objectMode: false });
  }
}

/** A packed chart; another `description` is another archive. */
function pack(name: string, version: string, description = 'a chart'): Buffer {
  return chart({
    'Chart.yaml': `apiVersion: v2\nname: ${JSON.stringify(name)}\nversion: ${JSON.stringify(version)}\ndescription: ${description}\n`,
    'values.yaml': `name: ${name}\n`,
    'templates/a.yaml': 'kind: ConfigMap\n',
  });
}

function provenance(name: string, version: string, archive: Uint8Array): string {
  const sum = createHash('sha256').update(archive).digest('hex');
  return `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

name: ${name}
version: ${version}

...
files:
  ${name}-${version}.tgz: sha256:${sum}
-----BEGIN PGP SIGNATURE-----

wsBcBAEBCgAQ
-----END PGP SIGNATURE-----
`;
}

function post(body: string | Uint8Array, path = '/api/charts', mediaType = 'application/gzip'): TestRequest {
  return { method: 'POST', path, body, headers: { 'content-type': mediaType } };
}

function form(parts: Record<string, string | Uint8Array>, path = '/api/charts'): TestRequest {
  const pieces = Object.entries(parts).flatMap(([field, body]) => [
    `--b\r\nContent-Disposition: form-data; name="${field}"; filename="f"\r\n\r\n`,
    body,
    '\r\n',
  ]);
  const body = Buffer.concat([...pieces, '--b--\r\n'].map((piece) => Buffer.from(piece as string)));
  return post(body, path, 'multipart/form-data; boundary=b');
}

const first = pack('app', '1.0.0');
const other = pack('app', '1.0.0', 'another');
const second = pack('app', '1.1.0');
const dashed = pack('my-app-2', '1.0.0-12');

hostedProtocolSuite(
  { describe, it },
  {
    plugin,
    uploads: [
      {
        put: post(first),
        get: '/charts/app-1.0.0.tgz',
        bytes: first,
        again: post(other),
        againBytes: other,
        remove: { method: 'DELETE', path: '/api/charts/app/1.0.0' },
        listed: { in: '/index.yaml', as: 'app-1.0.0.tgz' },
      },
      {
        put: form({ chart: second }),
        get: '/charts/app-1.1.0.tgz',
        bytes: second,
        remove: { method: 'DELETE', path: '/api/charts/app/1.1.0' },
        listed: { in: '/api/charts', as: 'app-1.1.0.tgz' },
      },
      {
        put: post(dashed),
        get: '/charts/my-app-2-1.0.0-12.tgz',
        bytes: dashed,
        remove: { method: 'DELETE', path: '/api/charts/my-app-2/1.0.0-12' },
        listed: { in: '/index.yaml', as: 'my-app-2-1.0.0-12.tgz' },
      },
      {
        put: post(provenance('app', '1.0.0', first), '/api/prov'),
        get: '/charts/app-1.0.0.tgz.prov',
        bytes: provenance('app', '1.0.0', first),
      },
    ],
  },
);

const opened: TestRepository[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((repository) => repository.close()));
});

async function open(options: unknown = {}, more: Partial<TestRepositoryOptions> = {}): Promise<TestRepository> {
  const repository = await openTestRepository({ plugin, options, ...more, definition: { kind: 'hosted' } });
  opened.push(repository);
  return repository;
}

async function taken({ ask }: TestRepository, ...requests: TestRequest[]): Promise<void> {
  for (const request of requests) expect(await told(ask(request))).toEqual([201, { saved: true }]);
}

async function told(reply: Promise<TestReply>): Promise<[number, unknown]> {
  const { status, body } = await reply;
  return [status, JSON.parse(body.toString())];
}

interface Index {
  readonly entries: Record<string, { version: string; urls: string[]; digest: string }[]>;
  readonly generated: string;
}

async function indexOf({ ask }: TestRepository, path = '/index.yaml'): Promise<Index> {
  const { status, body } = await ask(path);
  expect(status).toBe(200);
  return load(body.toString()) as Index;
}

const versionsIn = ({ entries }: Index): Record<string, string[]> =>
  Object.fromEntries(Object.entries(entries).map(([name, list]) => [name, list.map(({ version }) => version)]));

describe('an index', () => {
  it('is the same as YAML and as JSON', async () => {
    const [yaml, json] = [await open(), await open({ index: 'json' })];
    for (const repository of [yaml, json]) await taken(repository, post(first), post(second), post(dashed));
    expect((await json.ask('/index.yaml')).headers['content-type']).toBe('application/json');
    expect(JSON.parse((await json.ask('/index.yaml')).body.toString())).toEqual(await indexOf(yaml));
    expect(versionsIn(await indexOf(yaml))).toEqual({ 'my-app-2': ['1.0.0-12'], app: ['1.1.0', '1.0.0'] });
  });

  it('changes with its content alone', async () => {
    const repository = await open();
    const { ask, clock } = repository;
    await taken(repository, post(first));
    const before = await ask('/index.yaml');
    clock.advance(60_000);
    expect((await ask('/index.yaml')).headers['etag']).toBe(before.headers['etag']);
    await taken(repository, post(second));
    const grown = await indexOf(repository);
    clock.advance(60_000);
    for (const version of ['1.0.0', '1.1.0']) await ask({ method: 'DELETE', path: `/api/charts/app/${version}` });
    const empty = await indexOf(repository);
    expect([empty.entries, Date.parse(empty.generated)]).toEqual([{}, Date.parse(grown.generated) + 60_000]);
  });

  it('says where charts are now, also of those that were pushed under other options', async () => {
    const before = await open();
    await taken(before, post(first), post(provenance('app', '1.0.0', first), '/api/prov'));
    const chartUrl = 'https://cdn.example.com/charts/';
    for (const index of ['yaml', 'json']) {
      const after = await open({ chartUrl, index }, { stores: before });
      const { urls } = (await indexOf(after)).entries['app']?.[0] ?? {};
      expect(urls).toEqual(['https://cdn.example.com/charts/charts/app-1.0.0.tgz']);
      expect(await told(after.ask('/api/charts/app'))).toMatchObject([200, [{ urls }]]);
    }
  });

  it('leaves out what policy denies', async () => {
    const matches = ({ coordinates }: { coordinates: { version?: string | undefined } }): boolean =>
      coordinates.version === '1.0.0';
    const before = await open();
    await taken(before, post(first), post(second));
    const rule = { id: 'r', action: 'deny', reason: 'bad', matches } as const;
    const repository = await open({}, { stores: before, policy: new FixedPolicy([rule]) });
    expect(versionsIn(await indexOf(repository))).toEqual({ app: ['1.1.0'] });
    for (const path of ['/charts/app-1.0.0.tgz', '/api/charts/app/1.0.0', '/api/charts/app/1.0.0/values'])
      expect((await repository.ask(path)).status).toBe(403);
    expect(await told(repository.ask('/api/charts/app/latest'))).toMatchObject([200, { version: '1.1.0' }]);
  });

  it('keeps tenants apart, whatever they are called', async () => {
    const repository = await open({ depth: 'dynamic' });
    const tenants = ['', 'a', 'a/b', 'charts', 'api', 'index.yaml'];
    for (const [at, tenant] of tenants.entries()) {
      const path = `/api/${tenant === '' ? '' : `${tenant}/`}charts`;
      await taken(repository, post(pack('app', `1.0.${at}`), path));
    }
    for (const [at, tenant] of tenants.entries()) {
      const index = await indexOf(repository, `${tenant === '' ? '' : `/${tenant}`}/index.yaml`);
      expect(versionsIn(index)).toEqual({ app: [`1.0.${at}`] });
    }
  });

  it('has tenants of as many segments as it is told, and of no other number', async () => {
    const repository = await open({ depth: 5 });
    await taken(repository, post(pack('app', '1.0.0'), '/api/a/b/c/d/e/charts'));
    expect(versionsIn(await indexOf(repository, '/a/b/c/d/e/index.yaml'))).toEqual({ app: ['1.0.0'] });
    expect((await repository.ask('/a/b/c/d/e/charts/app-1.0.0.tgz')).status).toBe(200);
    for (const tenant of ['a/b/c/d', 'a/b/c/d/e/f'])
      expect((await repository.ask(`/${tenant}/charts/app-1.0.0.tgz`)).status).toBe(404);
    for (const depth of [-1, 17, 1.5, 'deep']) await expect(open({ depth })).rejects.toThrow('depth');
  });

  it('loses nothing of many uploads of one chart at once, and names each once', async () => {
    const repository = await open();
    const replica = await open({}, { stores: repository });
    const versions = Array.from({ length: 12 }, (_, minor) => `1.${minor}.0`);
    const uploads = versions.flatMap((version) => [post(pack('app', version)), post(pack('app', version))]);
    const replies = await Promise.all(uploads.map((upload, at) => (at % 3 === 0 ? replica : repository).ask(upload)));
    expect(replies.map(({ status }) => status).sort()).toEqual([
      ...versions.map(() => 201),
      ...versions.map(() => 409),
    ]);
    repository.clock.advance(1_000);
    expect(versionsIn(await indexOf(repository))['app']?.sort()).toEqual(versions.sort());
  });
});

describe('an upload', () => {
  it.each<[what: string, request: TestRequest, status: number, error: RegExp]>([
    ['no archive', post('junk'), 400, /gzipped archive/],
    ['no chart', post(chart({ a: 'b' })), 400, /Chart.yaml/],
    ['a name that leads out', post(pack('../../x', '1.0.0')), 400, /name of a chart/],
    ['no version', post(pack('app', 'one')), 400, /version/],
    ['no provenance', post('junk', '/api/prov'), 400, /PGP/],
    ['too large a provenance', post(Buffer.alloc(300_000), '/api/prov'), 413, /at most/],
    ['a form that is cut', post('--b\r\nContent-Disp', '/api/charts', 'multipart/form-data; boundary=b'), 400, /form/],
    [
      'a form that is cut in a file',
      post(
        '--b\r\nContent-Disposition: form-data; name="chart"; filename="f"\r\n\r\nabc',
        '/api/charts',
        'multipart/form-data; boundary=b',
      ),
      400,
      /form/,
    ],
    ['a form without a boundary', post('--b--', '/api/charts', 'multipart/form-data'), 400, /form/],
    ['a form of other things', form({ other: first }), 400, /no package or provenance/],
    ['a provenance of other bytes', form({ chart: first, prov: provenance('app', '1.0.0', other) }), 400, /speaks of/],
  ])('of %s is refused', async (_what, request, status, error) => {
    const repository = await open();
    const [found, body] = await told(repository.ask(request));
    expect([found, (body as { error: string }).error]).toEqual([status, expect.stringMatching(error)]);
    expect((await indexOf(repository)).entries).toEqual({});
  });

  it('never replaces the archive of another chart that has the same file name', async () => {
    const repository = await open({ allowOverwrite: true });
    await taken(repository, post(pack('a', '1-2')));
    expect(await told(repository.ask(post(pack('a-1', '2'))))).toEqual([
      409,
      { error: 'a-1-2.tgz is the archive of the chart a 1-2' },
    ]);
    expect(await told(repository.ask({ method: 'DELETE', path: '/api/charts/a-1/2' }))).toMatchObject([404, {}]);
    expect(versionsIn(await indexOf(repository))).toEqual({ a: ['1-2'] });
  });

  it('makes the oldest versions go where there may be no more', async () => {
    const repository = await open({ perChartLimit: 2 });
    for (const version of ['3.0.0', '1.0.0', '2.0.0']) {
      await taken(repository, post(pack('app', version)));
      repository.clock.advance(1_000);
    }
    expect(versionsIn(await indexOf(repository))).toEqual({ app: ['2.0.0', '1.0.0'] });
    expect((await repository.ask('/charts/app-3.0.0.tgz')).status).toBe(404);
    const kept = await repository.entries.list('test', { prefix: '', limit: 1_000 });
    expect(kept.filter(({ key }) => key.includes('3.0.0'))).toEqual([]);
  });

  it('writes as much for the last of many versions of a chart as for the first of them', async () => {
    const repository = await open();
    const written = async (): Promise<number> => {
      let bytes = 0;
      for await (const { size } of repository.blobs.list()) bytes += size;
      return bytes;
    };
    const growths: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const before = await written();
      for (let at = 0; at < 80; at += 1) await taken(repository, post(pack('app', `1.${round}.${at}`)));
      growths.push((await written()) - before);
    }
    expect(growths[3]).toBeLessThan(1.2 * (growths[1] as number));
    const expected = [3, 2, 1, 0].flatMap((minor) => Array.from({ length: 80 }, (_, at) => `1.${minor}.${79 - at}`));
    expect(versionsIn(await indexOf(repository))).toEqual({ app: expected });
    const listed = JSON.parse((await repository.ask('/api/charts/app')).body.toString()) as { version: string }[];
    expect(listed.map(({ version }) => version)).toEqual(expected);
    expect(await told(repository.ask('/api/charts/app/1.1.7'))).toMatchObject([200, { version: '1.1.7' }]);
    expect(await told(repository.ask('/api/charts/app/latest'))).toMatchObject([200, { version: '1.3.79' }]);
  });

  it.each(['', 'yaml'])('is no less an index because a part of it is lost (%s)', async (form) => {
    const options = form === '' ? {} : { index: form };
    const repository = await open(options);
    for (let at = 0; at < 40; at += 1) await taken(repository, post(pack('app', `1.${at}.0`)));
    await taken(repository, post(pack('other', '1.0.0')));
    const before = await indexOf(repository);
    const parts = (await repository.entries.list('test', { prefix: '', limit: 1_000 })).filter(({ key }) =>
      /^(?:versions|yaml)\/\/\/?app/.test(key),
    );
    expect(parts).toHaveLength(4);
    for (const { digest } of parts) await repository.blobs.delete(digest);
    const restarted = await open(options, { stores: repository });
    expect((await indexOf(restarted)).entries).toEqual(before.entries);
    expect((await restarted.ask('/api/charts')).status).toBe(200);
    expect(await told(restarted.ask('/api/charts/app/1.7.0'))).toMatchObject([200, { version: '1.7.0' }]);
    await taken(restarted, post(pack('app', '2.0.0')), post(pack('other', '1.1.0')));
    expect((await restarted.ask({ method: 'DELETE', path: '/api/charts/app/1.0.0' })).status).toBe(200);
    const now = versionsIn(await indexOf(restarted));
    expect(now).toEqual({
      app: ['2.0.0', ...Array.from({ length: 39 }, (_, at) => `1.${39 - at}.0`)],
      other: ['1.1.0', '1.0.0'],
    });
  });

  it.each([
    ['json', 'little', 'a chart'],
    ['yaml', 'little', 'a chart'],
    ['json', 'much', 'a chart that says much of itself '.repeat(600)],
    ['yaml', 'much', 'a chart that says much of itself '.repeat(600)],
  ])('answers at once when a bit of a part of it is flipped (%s, %s)', async (form, _, description) => {
    const options = { index: form };
    const blobs = new RottingBlobStore();
    const stores = { blobs, entries: new MemoryEntryIndex() };
    const repository = await open(options, { stores });
    for (let at = 0; at < 40; at += 1) await taken(repository, post(pack('app', `1.${at}.0`, description)));
    const before = await indexOf(repository);
    for (const { key, digest, attributes } of await stores.entries.list('test', { prefix: 'versions/', limit: 9 })) {
      blobs.damaged.add(form === 'yaml' ? (attributes as { yaml: Pick<Entry, 'digest'> }).yaml.digest : digest);
      const headers = { 'accept-encoding': key.length % 2 === 0 ? 'gzip' : 'identity' };
      const restarted = await open(options, { stores });
      const { status, body } = await restarted.ask({ path: '/index.yaml', headers });
      expect(status).toBe(200);
      const text = headers['accept-encoding'] === 'gzip' ? gunzipSync(body) : body;
      expect((load(text.toString()) as Index).entries).toEqual(before.entries);
    }
  });

  it('leaves nothing behind when all is deleted, but when that was', async () => {
    const repository = await open();
    await taken(
      repository,
      form({ chart: first, prov: provenance('app', '1.0.0', first) }),
      post(other, '/api/charts?force'),
    );
    await repository.ask({ method: 'DELETE', path: '/api/charts/app/1.0.0' });
    const kept = await repository.entries.list('test', { prefix: '', limit: 1_000 });
    expect(kept.map(({ key }) => key)).toEqual(['versions///']);
  });
});

describe('a chart as an image', () => {
  const image = ({ ask }: TestRepository, path: string, method = 'GET'): Promise<TestReply> =>
    ask({ path, method, mount: '/v2' });

  it('is what was pushed, with its provenance', async () => {
    const repository = await open();
    const archive = pack('app', '1.0.0+b.1');
    const proof = provenance('app', '1.0.0+b.1', archive);
    await taken(repository, post(archive), post(proof, '/api/prov'));
    const manifest = await image(repository, '/app/manifests/1.0.0_b.1');
    const digest = `sha256:${createHash('sha256').update(manifest.body).digest('hex')}`;
    expect(manifest.headers).toMatchObject({
      'content-type': 'application/vnd.oci.image.manifest.v1+json',
      'docker-content-digest': digest,
    });
    expect((await image(repository, `/app/manifests/${digest}`)).body).toEqual(manifest.body);
    const { config, layers } = JSON.parse(manifest.body.toString()) as Record<string, { digest: string }[]> & {
      config: { digest: string };
    };
    const blobs = await Promise.all(
      [config, ...(layers ?? [])].map(async (blob) => (await image(repository, `/app/blobs/${blob.digest}`)).body),
    );
    expect(blobs.slice(1)).toEqual([archive, Buffer.from(proof)]);
    expect(JSON.parse(String(blobs[0]))).toMatchObject({ name: 'app', version: '1.0.0+b.1' });
    expect(await told(image(repository, '/app/tags/list'))).toEqual([200, { name: 'app', tags: ['1.0.0_b.1'] }]);
  });

  it('has the provenance only while that speaks of it', async () => {
    const repository = await open();
    const layers = async (): Promise<number> => {
      const { body } = await image(repository, '/app/manifests/1.0.0');
      return (JSON.parse(body.toString()) as { layers: unknown[] }).layers.length;
    };
    await taken(repository, form({ chart: first, prov: provenance('app', '1.0.0', first) }));
    expect(await layers()).toBe(2);
    await taken(repository, post(other, '/api/charts?force'));
    expect(await layers()).toBe(1);
    await taken(repository, post(first, '/api/charts?force'));
    expect(await layers()).toBe(2);
  });

  it.each([
    ['/app/manifests/1.0.0', 'MANIFEST_UNKNOWN'],
    [`/app/manifests/sha256:${'0'.repeat(64)}`, 'MANIFEST_UNKNOWN'],
    [`/app/blobs/sha256:${'0'.repeat(64)}`, 'BLOB_UNKNOWN'],
    ['/app/tags/list', 'NAME_UNKNOWN'],
  ])('is not found: %s', async (path, code) => {
    const repository = await open();
    expect(await told(image(repository, path))).toMatchObject([404, { errors: [{ code }] }]);
  });

  it('cannot be pushed', async () => {
    const repository = await open();
    expect((await image(repository, '/app/manifests/1.0.0', 'PUT')).status).toBe(405);
    expect((await image(repository, '/index.yaml')).status).toBe(404);
  });
});
