import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  FixedPolicy,
  openTestRepository,
  type TestRepository,
  type TestRepositoryOptions,
} from '@entrepot/core/testing';
import { load } from 'js-yaml';
import { afterEach, describe, expect, it } from 'vitest';
import plugin from '../src/index.js';
import { chart } from './fixtures.js';

const BASE = '/upstream/base';
const opened: TestRepository[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((repository) => repository.close()));
});

async function open(options: unknown = {}, more: Partial<TestRepositoryOptions> = {}): Promise<TestRepository> {
  const repository = await openTestRepository({ plugin, options, ...more });
  opened.push(repository);
  return repository;
}

const pack = (version: string): Buffer => chart({ 'Chart.yaml': `apiVersion: v2\nname: app\nversion: ${version}\n` });
const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const one = pack('1.0.0');
const two = pack('2.0.0');

interface Version {
  readonly version: string;
  readonly urls: readonly string[];
  readonly digest?: string;
  readonly created?: string;
}

/** An index as helm writes it. */
function indexOf(...versions: Version[]): string {
  const lines = versions.map(
    ({ version, urls, digest, created }) =>
      `  - apiVersion: v2\n    name: app\n    version: ${version}\n    urls: ${JSON.stringify(urls)}\n` +
      (digest === undefined ? '' : `    digest: ${digest}\n`) +
      (created === undefined ? '' : `    created: "${created}"\n`),
  );
  return `apiVersion: v1\nentries:\n  app:\n${lines.join('')}generated: "2024-01-01T00:00:00Z"\n`;
}

interface Index {
  readonly entries: Record<string, Version[]>;
  readonly generated: string;
}

async function read({ ask }: TestRepository): Promise<Index> {
  const { status, body } = await ask('/index.yaml');
  expect(status, body.toString()).toBe(200);
  return load(body.toString()) as Index;
}

describe('the index of an upstream', () => {
  const body = indexOf(
    { version: '1.0.0', urls: ['dl/one.tgz?x=1'], digest: sum(one), created: '2024-02-01T00:00:00Z' },
    { version: '2.0.0', urls: ['/other/two.tgz'], digest: sum(two), created: '2024-03-01T00:00:00Z' },
  );

  it('names our paths alone, as YAML and as JSON', async () => {
    for (const [index, mediaType] of [
      ['yaml', 'application/x-yaml'],
      ['json', 'application/json'],
    ]) {
      const repository = await open({ index });
      repository.upstream.serve(`${BASE}/index.yaml`, { body, mediaType: 'text/plain' });
      const { entries, generated } = await read(repository);
      expect(entries['app']?.map(({ urls }) => urls)).toEqual([['charts/app-2.0.0.tgz'], ['charts/app-1.0.0.tgz']]);
      expect(generated).toBe('2024-03-01T00:00:00Z');
      expect((await repository.ask('/index.yaml')).headers['content-type']).toBe(mediaType);
      if (index === 'json') expect(JSON.parse((await repository.ask('/index.yaml')).body.toString())).toBeTruthy();
    }
  });

  it('may be JSON, and gzipped though nobody asked', async () => {
    const repository = await open();
    const json = JSON.stringify(load(body));
    repository.upstream.serve(`${BASE}/index.yaml`, {
      body: gzipSync(json),
      mediaType: 'application/json',
      headers: { 'content-encoding': 'gzip' },
    });
    expect(Object.keys((await read(repository)).entries)).toEqual(['app']);
  });

  it('stays as it was while the new one is none', async () => {
    const repository = await open();
    const { upstream, clock, ask } = repository;
    upstream.serve(`${BASE}/index.yaml`, { body, mediaType: 'text/yaml' });
    const before = await ask('/index.yaml');
    for (const bad of ['<html>log in</html>', 'entries: [', '{"apiVersion":"v1","entries":[]}']) {
      clock.advance(300_001);
      upstream.serve(`${BASE}/index.yaml`, { body: bad, mediaType: 'text/yaml' });
      const reply = await ask('/index.yaml');
      expect([reply.status, reply.outcome, reply.body.equals(before.body)]).toEqual([200, 'stale', true]);
    }
    const fresh = await open();
    fresh.upstream.serve(`${BASE}/index.yaml`, { body: '<html>log in</html>', mediaType: 'text/html' });
    expect((await fresh.ask('/index.yaml')).status).toBe(502);
  });

  it('lists a chart under the name that its upstream lists it under, whatever it is called', async () => {
    const { ask, upstream } = await open();
    const list = body.slice(body.indexOf('  app:'), body.indexOf('generated:'));
    upstream.serve(`${BASE}/index.yaml`, {
      body: body.replace('generated:', `${list.replace('  app:', '  alias:')}generated:`),
    });
    const { entries } = load((await ask('/index.yaml')).body.toString()) as Index;
    expect(Object.keys(entries)).toEqual(['app', 'alias']);
    expect(entries['alias']).toEqual(entries['app']);
    expect(entries['alias']?.map(({ urls }) => urls)).toEqual([['charts/app-2.0.0.tgz'], ['charts/app-1.0.0.tgz']]);
    upstream.serve('/other/two.tgz', { body: two });
    expect((await ask('/charts/app-2.0.0.tgz')).body).toEqual(two);
  });

  it.each(['app', 'alias'])('keeps a chart of two names back that policy denies as %s', async (name) => {
    const matches = ({ coordinates }: { coordinates: { name: string } }): boolean => coordinates.name === name;
    const policy = new FixedPolicy([{ id: 'r', action: 'deny', reason: 'bad', matches }]);
    const repository = await open({}, { policy });
    repository.upstream.serve(`${BASE}/index.yaml`, { body: body.replace('  app:', '  alias:') });
    expect((await read(repository)).entries).toEqual({});
  });

  it.each([
    ['an icon in it', 'icon', 'A'.repeat(700_000)],
    ['annotations', 'annotations', { changes: 'x'.repeat(600_000) }],
  ])('shows a version that is large by %s', async (_what, field, value) => {
    const repository = await open();
    const large = { apiVersion: 'v2', name: 'app', version: '1.0.0', urls: ['app.tgz'], [field]: value };
    repository.upstream.serve(`${BASE}/index.yaml`, {
      body: JSON.stringify({ apiVersion: 'v1', entries: { app: [large] } }),
    });
    const [shown] = (await read(repository)).entries['app'] ?? [];
    expect(shown).toMatchObject({ version: '1.0.0', [field]: value });
  });

  it('shows a version that is too large without what decorates it', async () => {
    const repository = await open();
    const version = (more: object): object => ({ apiVersion: 'v2', name: 'app', urls: ['app.tgz'], ...more });
    const list = [
      version({ version: '1.0.0', icon: 'A'.repeat(3_000_000) }),
      version({ version: '0.9.0', icon: 'small' }),
    ];
    repository.upstream.serve(`${BASE}/index.yaml`, {
      body: JSON.stringify({ apiVersion: 'v1', entries: { app: list } }),
    });
    const shown = (await read(repository)).entries['app'];
    expect(shown?.map(({ version: one }) => one)).toEqual(['1.0.0', '0.9.0']);
    expect(shown?.[0]).not.toHaveProperty('icon');
    expect(shown?.[1]).toHaveProperty('icon', 'small');
  });

  it.each([
    ['what its upstream says, where it lists nothing', 'generated: "2020-01-02T03:04:05Z"\n', '2020-01-02T03:04:05Z'],
    ['nothing where nobody says it', '', undefined],
  ])('was made at a time that is %s', async (_what, line, expected) => {
    for (const index of ['yaml', 'json']) {
      const repository = await open({ index });
      repository.upstream.serve(`${BASE}/index.yaml`, { body: `apiVersion: v1\nentries: {}\n${line}` });
      expect(await read(repository)).toEqual({
        apiVersion: 'v1',
        entries: {},
        ...(expected && { generated: expected }),
      });
    }
  });

  it('leaves out what policy denies, which cannot be had by any other way', async () => {
    const denies = { id: 'r', action: 'deny', reason: 'bad' } as const;
    const matches = ({ coordinates }: { coordinates: { version?: string | undefined } }): boolean =>
      coordinates.version === '2.0.0';
    const repository = await open({}, { policy: new FixedPolicy([{ ...denies, matches }]) });
    repository.upstream.serve(`${BASE}/index.yaml`, { body, mediaType: 'text/yaml' });
    repository.upstream.serve('/other/two.tgz', { body: two });
    expect((await read(repository)).entries['app']?.map(({ version }) => version)).toEqual(['1.0.0']);
    for (const path of ['/charts/app-2.0.0.tgz', '/charts/app-2.0.0.tgz.prov']) {
      for (const method of ['GET', 'HEAD']) {
        expect(await repository.ask({ path, method })).toMatchObject({ status: 403, outcome: 'denied' });
      }
    }
    expect(repository.upstream.requests.map(({ path }) => path)).toEqual([`${BASE}/index.yaml`]);
  });
});

describe('a chart of an upstream', () => {
  it.each([
    ['beside the index', 'app.tgz', `${BASE}/app.tgz`],
    ['above it', '../app.tgz', '/upstream/app.tgz'],
    ['at the root', '/a%2Bb.tgz', '/a%2Bb.tgz'],
    ['with a query', 'app.tgz?token=a%2Bb', `${BASE}/app.tgz?token=a%2Bb`],
  ])('is fetched where its index says: %s', async (_where, url, path) => {
    const repository = await open();
    const { upstream, ask } = repository;
    upstream.serve(`${BASE}/index.yaml`, { body: indexOf({ version: '1.0.0', urls: [url], digest: sum(one) }) });
    upstream.serve(path, { body: one });
    upstream.serve(path.replace('.tgz', '.tgz.prov'), { body: '-----BEGIN PGP SIGNED MESSAGE-----\n' });
    expect((await ask('/charts/app-1.0.0.tgz')).body).toEqual(one);
    expect((await ask('/charts/app-1.0.0.tgz.prov')).status).toBe(200);
  });

  it.each(['with a digest', 'without'])('is asked for as helm asks, %s in its index', async (how) => {
    const { ask, upstream } = await open();
    const promised = how === 'without' ? {} : { digest: sum(one) };
    upstream.serve(`${BASE}/index.yaml`, {
      body: indexOf({ version: '1.0.0', urls: ['assets/1'], ...promised }, { version: '2.0.0', urls: ['assets/2'] }),
    });
    upstream.handle(`${BASE}/assets/1`, ({ headers: { accept = '' } }, response) => {
      // As the API of a forge does it: JSON for who does not ask for the file.
      if (accept.includes('application/octet-stream')) response.end(one);
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{"name":"app-1.0.0.tgz"}');
    });
    upstream.handle(`${BASE}/assets/2`, ({ headers: { accept = '' } }, response) => {
      response.writeHead(/octet-stream|\*\/\*/.test(accept) ? 200 : 406).end(two);
    });
    expect((await ask('/charts/app-1.0.0.tgz')).body).toEqual(one);
    expect((await ask('/charts/app-2.0.0.tgz')).body).toEqual(two);
  });

  it('is no page of another kind, also where its index says no digest', async () => {
    const { ask, upstream } = await open();
    upstream.serve(`${BASE}/index.yaml`, { body: indexOf({ version: '1.0.0', urls: ['app.tgz'] }) });
    upstream.serve(`${BASE}/app.tgz`, { body: '{"name":"app-1.0.0.tgz"}', mediaType: 'application/json' });
    expect((await ask('/charts/app-1.0.0.tgz')).status).toBe(502);
    upstream.serve(`${BASE}/app.tgz`, { body: one });
    expect((await ask('/charts/app-1.0.0.tgz')).body).toEqual(one);
  });

  it('is tried at its other places, and so is its provenance', async () => {
    const repository = await open();
    const { upstream, ask } = repository;
    const urls = ['gone/app.tgz', 'oci://registry.example.com/app:1.0.0', 'mirror/app.tgz'];
    upstream.serve(`${BASE}/index.yaml`, { body: indexOf({ version: '1.0.0', urls, digest: sum(one) }) });
    upstream.serve(`${BASE}/mirror/app.tgz`, { body: one });
    expect((await ask('/charts/app-1.0.0.tgz')).body).toEqual(one);
    expect((await ask('/charts/app-1.0.0.tgz.prov')).status).toBe(404);
    expect(upstream.requests.map(({ path }) => path.slice(BASE.length))).toEqual([
      '/index.yaml',
      '/gone/app.tgz',
      '/mirror/app.tgz',
      '/gone/app.tgz.prov',
      '/mirror/app.tgz.prov',
      '/charts/app-1.0.0.tgz.prov',
    ]);
  });

  it('is a layer of an image where its index says so', async () => {
    const repository = await open();
    const { upstream, ask } = repository;
    const { host } = new URL(upstream.url);
    const urls = [`oci://${host}/charts/app:1.0.0`];
    upstream.serve(`${BASE}/index.yaml`, { body: indexOf({ version: '1.0.0', urls, digest: sum(one) }) });
    const layer = (mediaType: string, bytes: Uint8Array): object => ({
      mediaType,
      digest: `sha256:${sum(bytes)}`,
      size: bytes.length,
    });
    const layers = [
      layer('application/vnd.cncf.helm.chart.provenance.v1.prov', Buffer.from('prov')),
      layer('application/vnd.cncf.helm.chart.content.v1.tar+gzip', one),
    ];
    upstream.serve('/v2/charts/app/manifests/1.0.0', { body: JSON.stringify({ schemaVersion: 2, layers }) });
    upstream.serve(`/v2/charts/app/blobs/sha256:${sum(one)}`, { body: one });
    expect((await ask('/charts/app-1.0.0.tgz')).body).toEqual(one);
    expect((await ask('/charts/app-1.0.0.tgz.prov')).status).toBe(404);
  });

  it('is never another than its index says, which is asked once more', async () => {
    const repository = await open();
    const { upstream, ask } = repository;
    const say = (bytes: Uint8Array): void =>
      upstream.serve(`${BASE}/index.yaml`, {
        body: indexOf({ version: '1.0.0', urls: ['app.tgz'], digest: sum(bytes) }),
        etag: `"${sum(bytes)}"`,
      });
    say(one);
    upstream.serve(`${BASE}/app.tgz`, { body: two });
    const refused = await ask('/charts/app-1.0.0.tgz');
    expect(refused.status >= 400 || refused.error !== undefined).toBe(true);
    say(two);
    await ask('/charts/app-1.0.0.tgz');
    expect((await ask('/charts/app-1.0.0.tgz')).body).toEqual(two);
  });

  it('has no provenance in a login page', async () => {
    const repository = await open();
    const { upstream, ask } = repository;
    upstream.serve(`${BASE}/index.yaml`, { body: indexOf({ version: '1.0.0', urls: ['app.tgz'], digest: sum(one) }) });
    upstream.serve(`${BASE}/app.tgz.prov`, { body: '<html>' });
    const reply = await ask('/charts/app-1.0.0.tgz.prov');
    expect(reply.status >= 500 || reply.error !== undefined).toBe(true);
    expect(await repository.entries.find('test', 'charts/app-1.0.0.tgz.prov')).toBeUndefined();
  });
});
