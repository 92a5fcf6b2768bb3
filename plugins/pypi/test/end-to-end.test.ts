import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EntrepotError, type PolicyInput } from '@entrepot/core';
import { FakeUpstream, FixedPolicy, openTestRepository, type TestRepository } from '@entrepot/core/testing';
import { renderError } from '../src/errors.js';
import plugin from '../src/index.js';
import { HTML_TYPE, JSON_TYPE, sha256 } from './fixtures.js';

const BASE = '/upstream/base';
const WHEEL = Buffer.alloc(300_000, 'the wheel ');
const METADATA = 'Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n';
const WHEEL_HASH = sha256(WHEEL.toString());
const NAME = 'demo-1.0-py3-none-any.whl';
const PATH = `/files/demo/${WHEEL_HASH.slice(0, 16)}/${NAME}`;

let repository: TestRepository;
/** Another host, where the files are. */
let files: FakeUpstream;

beforeEach(async () => {
  files = await FakeUpstream.start();
  repository = await open();
});

afterEach(async () => {
  await repository.close();
  await files.close();
});

async function open(policy?: FixedPolicy, more: object = {}): Promise<TestRepository> {
  const opened = await openTestRepository({
    plugin,
    ...(policy !== undefined && { policy }),
    ...more,
  });
  opened.upstream.serve(`${BASE}/simple/demo/`, { body: page(), mediaType: JSON_TYPE, etag: '"page-1"' });
  files.serve(`/f/${NAME}`, { body: WHEEL, mediaType: 'application/zip', etag: '"wheel"' });
  files.serve(`/f/${NAME}.metadata`, { body: METADATA, mediaType: 'binary/octet-stream' });
  return opened;
}

function page(hash = WHEEL_HASH, more: object = {}): string {
  const file = {
    filename: NAME,
    url: `${files.url}/f/${NAME}`,
    hashes: { sha256: hash },
    'core-metadata': { sha256: sha256(METADATA) },
    'upload-time': '2020-01-01T00:00:00Z',
    ...more,
  };
  return JSON.stringify({ meta: { 'api-version': '1.1' }, name: 'demo', versions: ['1.0'], files: [file] });
}

describe('a page', () => {
  it('is fetched once for all its forms, each with its own tag and type', async () => {
    const forms = [JSON_TYPE, HTML_TYPE, 'text/html'];
    const replies = [];
    for (const accept of forms) replies.push(await repository.ask({ path: '/simple/demo/', headers: { accept } }));
    expect(replies.map(({ headers }) => headers['content-type'])).toEqual([
      JSON_TYPE,
      HTML_TYPE,
      'text/html; charset=utf-8',
    ]);
    expect(new Set(replies.map(({ headers }) => headers['etag'])).size).toBe(3);
    for (const { headers } of replies) {
      expect(headers).toMatchObject({ vary: 'Accept, Accept-Encoding', 'cache-control': 'public, max-age=600' });
    }
    expect(repository.upstream.requests).toHaveLength(1);
    expect(repository.upstream.requests[0]?.headers['accept']).toMatch(/^application\/vnd\.pypi\.simple\.v1\+json, /);
    const [json] = replies;
    const crossed = { accept: 'text/html', 'if-none-match': json?.headers['etag'] ?? '' };
    expect((await repository.ask({ path: '/simple/demo/', headers: crossed })).status).toBe(200);
  });

  it.each([
    ['/simple//demo/', '../../../simple/demo/'],
    ['//simple/demo//?x=1', '../../../../simple/demo/?x=1'],
    ['/simple//', '../../simple/'],
  ])('asked for as %s is where its relative links are right: %s', async (path, location) => {
    const reply = await repository.ask({ path });
    expect([reply.status, reply.headers['location']]).toEqual([308, location]);
    const target = new URL(location, `https://packages.example.com/mount${path}`);
    expect(target.pathname.replace('/mount', '')).toBe((path.split('?', 1)[0] as string).replace(/\/+/g, '/'));
    expect((await repository.ask({ path: '/simple//%2e%2e/' })).status).toBe(400);
  });

  it('of thousands of files describes each of them, and leaves out those that policy refuses', async () => {
    const matches = ({ coordinates }: PolicyInput): boolean => coordinates.version === '9.7';
    const policy = new FixedPolicy([{ id: 'r', action: 'deny', reason: 'bad', matches }]);
    const opened = await open(policy);
    const others = Array.from({ length: 12_000 }, (_, at) => ({
      filename: `demo-9.${at}.tar.gz`,
      url: `${files.url}/f/demo-9.${at}.tar.gz`,
      hashes: { sha256: sha256(String(at)) },
      'upload-time': '2020-01-01T00:00:00Z',
    }));
    const large = JSON.parse(page()) as { files: object[] };
    large.files.push(...others);
    const body = JSON.stringify(large);
    expect(body.length).toBeGreaterThan(2 * 1024 * 1024);
    opened.upstream.serve(`${BASE}/simple/demo/`, { body, mediaType: JSON_TYPE });
    const reply = await opened.ask({ path: '/simple/demo/', headers: { accept: JSON_TYPE } });
    const listed = JSON.parse(reply.body.toString()) as { files: { filename: string }[] };
    const names = [NAME, ...others.map(({ filename }) => filename)].filter((name) => name !== 'demo-9.7.tar.gz');
    expect(listed.files.map(({ filename }) => filename)).toEqual(names);
    expect((await opened.ask(PATH)).body.equals(WHEEL)).toBe(true);
    expect((await opened.ask(`${PATH}.metadata`)).body.toString()).toBe(METADATA);
    const denied = `/files/demo/${sha256('7').slice(0, 16)}/demo-9.7.tar.gz`;
    expect((await opened.ask(denied)).status).toBe(403);
    await opened.close();
  });

  it('survives an outage, and a login page', async () => {
    const request = { path: '/simple/demo/', headers: { accept: JSON_TYPE } };
    const first = await repository.ask(request);
    repository.clock.advance(300_001);
    repository.upstream.serve(`${BASE}/simple/demo/`, { body: '<title>Welcome</title><form>', mediaType: 'text/html' });
    const second = await repository.ask(request);
    expect([second.status, second.outcome]).toEqual([200, 'stale']);
    expect(second.body.equals(first.body)).toBe(true);
  });
});

describe('a file', () => {
  it('on another host is fetched from there, once, and named by its hash', async () => {
    const replies = await Promise.all(Array.from({ length: 10 }, () => repository.ask(PATH)));
    for (const { status, body } of replies) expect([status, body.equals(WHEEL)]).toEqual([200, true]);
    expect(files.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([`GET /f/${NAME}`]);
    const { headers } = await repository.ask(PATH);
    expect(headers).toMatchObject({
      etag: `"sha256:${WHEEL_HASH}"`,
      'content-type': 'application/octet-stream',
      'cache-control': 'public, max-age=365000000, immutable',
      'accept-ranges': 'bytes',
    });
    expect(headers['content-encoding']).toBeUndefined();
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=-1', WHEEL.length - 1, WHEEL.length],
    ['bytes=-70000', WHEEL.length - 70_000, WHEEL.length],
    [`bytes=-${WHEEL.length * 2}`, 0, WHEEL.length],
    ['bytes=299990-', 299_990, WHEEL.length],
    ['bytes=100-199', 100, 200],
  ])('that is not kept yet is served in parts: %s', async (range, start, end) => {
    const reply = await repository.ask({ path: PATH, headers: { range } });
    expect(reply.status).toBe(206);
    expect(reply.headers).toMatchObject({
      'content-range': `bytes ${start}-${end - 1}/${WHEEL.length}`,
      'content-length': String(end - start),
    });
    expect(reply.body.equals(WHEEL.subarray(start, end))).toBe(true);
  });

  it.each([
    [{ range: 'bytes=300000-' }, 416],
    [{ range: 'bytes=0-1,5-6' }, 200],
    [{ range: 'bytes=x' }, 200],
    [{ range: 'bytes=0-1', 'if-range': '"other"' }, 200],
    [{ range: 'bytes=0-1', 'if-range': `W/"sha256:${WHEEL_HASH}"` }, 200],
    [{ range: 'bytes=0-1', 'if-range': `"sha256:${WHEEL_HASH}"` }, 206],
  ])('that is not kept yet answers %j with %d', async (headers, status) => {
    const reply = await repository.ask({ path: PATH, headers });
    expect(reply.status).toBe(status);
    if (status === 416) expect(reply.headers['content-range']).toBe(`bytes */${WHEEL.length}`);
  });

  it('that is not kept yet answers HEAD with its size, without being fetched', async () => {
    const { status, headers } = await repository.ask({ method: 'HEAD', path: PATH });
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'content-length': String(WHEEL.length), 'accept-ranges': 'bytes' });
    expect(files.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });

  it('with other bytes than its page promises is not completed and not kept', async () => {
    files.serve(`/f/${NAME}`, { body: Buffer.alloc(WHEEL.length, 'poison '), mediaType: 'application/zip' });
    const { status, error } = await repository.ask(PATH);
    expect(status >= 500 || error !== undefined).toBe(true);
    files.serve(`/f/${NAME}`, { body: WHEEL, mediaType: 'application/zip' });
    expect((await repository.ask(PATH)).body.equals(WHEEL)).toBe(true);
  });

  it('that a page lists twice is fetched from the second place when the first is out of reach', async () => {
    const listed = (JSON.parse(page()) as { files: object[] }).files[0] as object;
    const files = ['http://127.0.0.1:1/f/', '../../f/'].map((place) => ({ ...listed, url: `${place}${NAME}` }));
    const body = JSON.stringify({ meta: { 'api-version': '1.1' }, name: 'demo', versions: ['1.0'], files });
    repository.upstream.serve(`${BASE}/simple/demo/`, { body, mediaType: JSON_TYPE });
    repository.upstream.serve(`${BASE}/f/${NAME}`, { body: WHEEL });
    const reply = await repository.ask({ path: PATH });
    expect([reply.status, reply.body.equals(WHEEL)]).toEqual([200, true]);
  });

  it('that is replaced upstream is another one; the first stays what it was', async () => {
    await repository.ask(PATH);
    const other = Buffer.from('other bytes under the same name');
    repository.upstream.serve(`${BASE}/simple/demo/`, { body: page(sha256(other.toString())), mediaType: JSON_TYPE });
    files.serve(`/f/${NAME}`, { body: other });
    repository.clock.advance(300_001);
    const listed = (await repository.ask('/simple/demo/')).body.toString();
    const url = /href="\.\.\/\.\.([^"#]+)#/.exec(listed)?.[1] ?? '';
    expect(url).not.toBe(PATH);
    expect((await repository.ask(url)).body.equals(other)).toBe(true);
    expect((await repository.ask(PATH)).body.equals(WHEEL)).toBe(true);
  });

  it('that no page lists is not asked for', async () => {
    expect((await repository.ask(`/files/demo/${'0'.repeat(16)}/${NAME}`)).status).toBe(404);
    expect((await repository.ask(`/files/other/${WHEEL_HASH.slice(0, 16)}/other-1.0.tar.gz`)).status).toBe(404);
    expect(files.requests).toEqual([]);
  });
});

describe('a metadata sidecar', () => {
  it('is served byte for byte, and verified', async () => {
    const reply = await repository.ask(`${PATH}.metadata`);
    expect([reply.status, reply.body.toString()]).toEqual([200, METADATA]);
    expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  it('that lies is refused', async () => {
    files.serve(`/f/${NAME}.metadata`, { body: `${METADATA}Requires-Dist: evil\n` });
    const { status, error } = await repository.ask(`${PATH}.metadata`);
    expect(status >= 500 || error !== undefined).toBe(true);
  });

  it('that comes compressed although nobody asked is not kept as that', async () => {
    files.serve(`/f/${NAME}.metadata`, { body: METADATA, fault: { kind: 'gzip' } });
    const reply = await repository.ask(`${PATH}.metadata`);
    if (reply.status === 200 && reply.error === undefined) expect(reply.body.toString()).toBe(METADATA);
    else
      expect(
        await repository.entries.find('test', `file/demo/${WHEEL_HASH.slice(0, 16)}/${NAME}.metadata`),
      ).toBeUndefined();
  });

  it('that is not advertised is not asked for', async () => {
    repository.upstream.serve(`${BASE}/simple/demo/`, {
      body: page(WHEEL_HASH, { 'core-metadata': false }),
      mediaType: JSON_TYPE,
    });
    expect((await repository.ask(`${PATH}.metadata`)).status).toBe(404);
    expect(files.requests).toEqual([]);
  });
});

describe('policy', () => {
  const isOld = ({ coordinates, facts: { publishedAt } }: PolicyInput): boolean =>
    coordinates.version === '1.0' && (publishedAt === undefined || publishedAt < Date.UTC(2021));
  const denied = new FixedPolicy([{ id: 'old', action: 'deny', reason: 'too old', matches: isOld }]);

  it.each([PATH, `${PATH}.metadata`])('that denies a version denies %s', async (path) => {
    const guarded = await open(denied);
    const reply = await guarded.ask(path);
    expect(reply.status).toBe(403);
    expect(reply.body.toString()).toMatch(/pkg:pypi\/demo@1\.0 is denied: too old/);
    expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8');
    await guarded.close();
  });

  it.each([
    [JSON_TYPE, '{"meta":{"api-version":"1.0"},"name":"demo","files":[]}'],
    ['text/html', '<title>Links for demo</title>'],
  ])('that refuses a name gives a page without files, and asks nobody: %s', async (accept, text) => {
    const matches = ({ coordinates }: PolicyInput): boolean => coordinates.name === 'demo';
    const guarded = await open(new FixedPolicy([{ id: 'ours', action: 'deny', reason: 'ours', matches }]));
    const reply = await guarded.ask({ path: '/simple/demo/', headers: { accept } });
    expect([reply.status, reply.headers['cache-control']]).toEqual([200, 'no-store']);
    expect(reply.body.toString()).toContain(text);
    expect(reply.body.toString()).not.toContain('.whl');
    expect((await guarded.ask(PATH)).status).toBe(403);
    expect(guarded.upstream.requests).toEqual([]);
    await guarded.close();
  });

  it('that denies everything leaves an empty page', async () => {
    const guarded = await open(denied);
    const { body } = await guarded.ask({ path: '/simple/demo/', headers: { accept: JSON_TYPE } });
    expect(JSON.parse(body.toString())).toMatchObject({ files: [], versions: [] });
    await guarded.close();
  });
});

describe('a name that an upstream owns', () => {
  it('is never asked of another one, also not in an outage or when it is not there', async () => {
    const owner = await FakeUpstream.start();
    const upstreams = [{ url: repository.upstreamUrl }, { url: owner.url, scope: 'acme' }];
    const owners = [{ match: ['acme-*'], upstream: 'acme' }];
    const guarded = await open(undefined, { options: { owners, deriveMetadata: false }, definition: { upstreams } });
    const attack = JSON.stringify({ meta: {}, files: [{ filename: 'acme_sdk-9.tar.gz', url: '/x', hashes: {} }] });
    repository.upstream.serve(`${BASE}/simple/acme-sdk/`, { body: attack, mediaType: JSON_TYPE });
    const paths = ['/simple/acme-sdk/', '/pypi/acme-sdk/json', `/files/acme-sdk/${'0'.repeat(16)}/acme_sdk-9.tar.gz`];
    for (const path of paths) expect((await guarded.ask(path)).status, path).toBe(404);
    owner.goOffline();
    guarded.clock.advance(3_600_000);
    for (const path of paths) expect((await guarded.ask(path)).status, path).toBeGreaterThanOrEqual(500);
    expect(repository.upstream.requests).toEqual([]);
    expect((await guarded.ask('/simple/demo/')).status).toBe(200);
    expect(owner.requests.every(({ path }) => path.includes('acme'))).toBe(true);
    await guarded.close();
    await owner.close();
  });
});

describe('errors', () => {
  it('are plain text, and hide what is not for clients', () => {
    expect(renderError(new EntrepotError('conflict', 'File already exists')).status).toBe(400);
    expect(renderError(new EntrepotError('storage', 'at /srv/secret')).body).not.toContain('secret');
  });
});
