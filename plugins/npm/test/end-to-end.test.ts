import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeUpstream, FixedPolicy } from '@entrepot/core/testing';
import { BASE_URL, startRepository, type TestRepository } from './repository.js';

const INSTALL = { accept: 'application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*' };
const TARBALL = 'the bytes of a tarball';
const INTEGRITY = `sha512-${createHash('sha512').update(TARBALL).digest('base64')}`;

let upstream: FakeUpstream;
let repository: TestRepository;
let policy: FixedPolicy;

beforeEach(async () => {
  upstream = await FakeUpstream.start();
  policy = new FixedPolicy();
  repository = await startRepository([{ url: upstream.url }, { url: `${upstream.url}/acme`, scope: '@acme' }], policy);
});

afterEach(async () => {
  await repository.dispose();
  await upstream.close();
});

/** Serves a package at the upstream, as a registry at `prefix` does. */
function publish(
  name: string,
  versions: readonly string[],
  prefix = '',
  dist: object = { integrity: INTEGRITY },
): void {
  const unscoped = name.slice(name.indexOf('/') + 1);
  const place = (version: string): string => `${prefix}/${name}/-/${unscoped}-${version}.tgz`;
  const packument = {
    readme: 'only in the full form',
    name,
    'dist-tags': { latest: versions.at(-1) },
    versions: Object.fromEntries(
      versions.map((version) => [
        version,
        { name, version, dist: { ...dist, tarball: `${upstream.url}${place(version)}` } },
      ]),
    ),
    time: Object.fromEntries(versions.map((version) => [version, '2020-01-01T00:00:00.000Z'])),
  };
  upstream.serve(`${prefix}/${name.replace('/', '%2f')}`, {
    body: JSON.stringify(packument),
    mediaType: 'application/json',
    etag: '"1"',
  });
  for (const version of versions)
    upstream.serve(place(version), { body: TARBALL, mediaType: 'application/octet-stream' });
}

describe('a package through the pipeline', () => {
  it('is installed by packument and tarball, again while the upstream is down', async () => {
    publish('@s/p', ['1.0.0', '2.0.0']);
    for (const round of ['cold', 'offline']) {
      if (round === 'offline') {
        upstream.goOffline();
        repository.clock.advance(3_600_000);
      }
      const packument = await repository.get('/@s%2fp');
      expect(packument, round).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
      const { versions } = JSON.parse(packument.body) as { versions: Record<string, { dist: { tarball: string } }> };
      const tarball = versions['2.0.0']?.dist.tarball ?? '';
      expect(tarball).toBe(`${BASE_URL}/@s/p/-/p-2.0.0.tgz`);
      const fetched = await repository.get(tarball.slice(BASE_URL.length));
      expect(fetched, round).toMatchObject({
        status: 200,
        body: TARBALL,
        headers: { 'content-type': 'application/octet-stream', 'cache-control': 'public, max-age=31536000, immutable' },
      });
    }
    expect(upstream.requests.map(({ path }) => path)).toStrictEqual(['/@s%2fp', '/@s/p/-/p-2.0.0.tgz']);
  });

  it('is one entry in every spelling and form', async () => {
    publish('@s/p', ['1.0.0']);
    const targets = [
      '/@s/p',
      '/@s%2fp',
      '/@s%2Fp',
      '/@s/p/latest',
      '/@s%2fp/1.0.0',
      '/-/package/@s%2fp/dist-tags',
      '/@s/p/-/p-1.0.0.tgz',
      '/@s%2fp/-/p-1.0.0.tgz',
      '/@s/p/-/@s/p-1.0.0.tgz',
    ];
    for (const target of targets) expect(await repository.get(target), target).toMatchObject({ status: 200 });
    expect(await repository.get('/@s/p', INSTALL)).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/vnd.npm.install-v1+json' },
    });
    expect(upstream.requests).toHaveLength(2);
    expect(upstream.requests[0]?.headers['accept']).toBe('application/json');
  });

  it('has one ETag for each form, and says what it varies by', async () => {
    publish('pkg', ['1.0.0']);
    const full = await repository.get('/pkg');
    const abbreviated = await repository.get('/pkg', INSTALL);
    expect(full.headers['vary']).toContain('Accept');
    expect(full.headers['etag']).not.toBe(abbreviated.headers['etag']);
    const condition = { 'if-none-match': full.headers['etag'] ?? '' };
    expect(await repository.get('/pkg', condition)).toMatchObject({ status: 304 });
    expect(await repository.get('/pkg', { ...INSTALL, ...condition })).toMatchObject({ status: 200 });
  });

  it('whose tarball is not what its packument promises is never complete', async () => {
    publish('pkg', ['1.0.0'], '', { integrity: `sha512-${Buffer.alloc(64).toString('base64')}` });
    const reply = await repository.get('/pkg/-/pkg-1.0.0.tgz');
    expect(reply.status === 502 || reply.error !== undefined).toBe(true);
    expect(reply.body).not.toBe(TARBALL);
  });

  it('is fetched from where the upstream says, and under the file name of the upstream', async () => {
    publish('pkg', ['1.0.0']);
    const packument = {
      name: 'pkg',
      versions: { '1.0.0': { dist: { integrity: INTEGRITY, tarball: `${upstream.url}/download/odd.tgz` } } },
    };
    upstream.serve('/pkg', { body: JSON.stringify(packument), mediaType: 'application/json' });
    upstream.serve('/download/odd.tgz', { body: TARBALL });
    expect(await repository.get('/pkg/-/pkg-1.0.0.tgz')).toMatchObject({ status: 200, body: TARBALL });
    expect(await repository.get('/pkg/-/odd.tgz')).toMatchObject({ status: 200, body: TARBALL });
    expect(upstream.count('/pkg/-/pkg-1.0.0.tgz')).toBe(0);
  });

  it('in a scope with its own upstream comes from there, or not at all', async () => {
    publish('@acme/p', ['1.0.0'], '/acme');
    publish('@acme/absent', ['1.0.0']);
    expect(await repository.get('/@acme%2fp')).toMatchObject({ status: 200 });
    expect(await repository.get('/@acme/p/-/p-1.0.0.tgz')).toMatchObject({ status: 200, body: TARBALL });
    expect(await repository.get('/@acme%2fabsent')).toMatchObject({ status: 404 });
    expect(upstream.requests.every(({ path }) => path.startsWith('/acme/'))).toBe(true);
  });

  it('that does not exist is a JSON error', async () => {
    publish('pkg', ['1.0.0']);
    for (const target of ['/absent', '/pkg/9.9.9', '/pkg/-/pkg-9.9.9.tgz', '/node_modules', '/-/all']) {
      const reply = await repository.get(target);
      expect(reply, target).toMatchObject({ status: 404, headers: { 'content-type': 'application/json' } });
      expect(JSON.parse(reply.body), target).toStrictEqual({ error: expect.any(String) as string });
    }
  });

  it('that a sign-in page stands for is an outage, or the kept copy', async () => {
    upstream.serve('/pkg', { fault: { kind: 'captive-portal' } });
    expect(await repository.get('/pkg')).toMatchObject({
      status: 502,
      headers: { 'content-type': 'application/json' },
    });
    publish('pkg', ['1.0.0']);
    expect(await repository.get('/pkg')).toMatchObject({ status: 200, outcome: 'miss' });
    upstream.serve('/pkg', { fault: { kind: 'captive-portal' } });
    repository.clock.advance(3_600_000);
    expect(await repository.get('/pkg')).toMatchObject({ status: 200, outcome: 'stale' });
  });

  it('that policy refuses is gone from lists and at its own URL', async () => {
    publish('pkg', ['1.0.0', '2.0.0']);
    policy.setRules([
      {
        id: 'malware',
        action: 'deny',
        reason: 'it steals',
        matches: ({ coordinates: { name, version } }) => name === 'pkg' && version === '2.0.0',
      },
    ]);
    const { versions, 'dist-tags': tags } = JSON.parse((await repository.get('/pkg')).body) as {
      versions: object;
      'dist-tags': object;
    };
    expect([Object.keys(versions), tags]).toStrictEqual([['1.0.0'], { latest: '1.0.0' }]);
    for (const target of ['/pkg/2.0.0', '/pkg/-/pkg-2.0.0.tgz', '/-/npm/v1/attestations/pkg@2.0.0']) {
      expect(await repository.get(target), target).toMatchObject({
        status: 403,
        headers: { 'content-type': 'application/json' },
      });
    }
    expect(upstream.count('/pkg/-/pkg-2.0.0.tgz')).toBe(0);
  });
});

describe('the other routes through the pipeline', () => {
  it.each(['/-/npm/v1/security/advisories/bulk', '/-/npm/v1/security/audits/quick'])(
    'audit by %s, with a body as npm sends it',
    async (target) => {
      const advisory = {
        id: 1,
        title: 'bad',
        severity: 'high',
        vulnerable_versions: '<2',
        url: 'https://x.example.com',
      };
      let asked = '';
      upstream.handle('/-/npm/v1/security/advisories/bulk', ({ body, headers }, response) => {
        asked = `${headers['content-encoding'] ?? 'plain'} ${body.toString()}`;
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ pkg: [advisory] }));
      });
      const isBulk = target.endsWith('bulk');
      const sent = isBulk
        ? { pkg: ['1.0.0'], '@acme/p': ['1.0.0'] }
        : { dependencies: { pkg: { version: '1.0.0' }, '@acme/p': { version: '1.0.0' } } };
      const headers = { 'content-encoding': 'gzip', 'content-type': 'application/json' };
      const reply = await repository.ask('POST', target, headers, gzipSync(JSON.stringify(sent)));
      expect(asked).toBe('plain {"pkg":["1.0.0"]}');
      expect(reply.status).toBe(200);
      expect(JSON.parse(reply.body)).toMatchObject(
        isBulk ? { pkg: [advisory] } : { metadata: { vulnerabilities: { high: 1 } } },
      );
    },
  );

  it('refuse a body that is no audit', async () => {
    expect(await repository.ask('POST', '/-/npm/v1/security/advisories/bulk', {}, Buffer.from('[]'))).toMatchObject({
      status: 400,
    });
    expect(upstream.requests).toHaveLength(0);
  });

  it('serve keys and attestations, also from a kept copy', async () => {
    upstream.serve('/-/npm/v1/keys', { body: '{"keys":[]}', mediaType: 'application/json' });
    upstream.serve('/-/npm/v1/attestations/@s%2fp@1.0.0', {
      body: '{"attestations":[]}',
      mediaType: 'application/json',
    });
    expect(await repository.get('/-/npm/v1/keys')).toMatchObject({ status: 200, body: '{"keys":[]}' });
    expect(await repository.get('/-/npm/v1/attestations/@s/p@1.0.0')).toMatchObject({
      status: 200,
      body: '{"attestations":[]}',
    });
    upstream.goOffline();
    expect(await repository.get('/-/npm/v1/keys')).toMatchObject({ status: 200 });
    expect(await repository.get('/-/npm/v1/attestations/@s%2fp@1.0.0')).toMatchObject({ status: 200 });
  });

  it.each(['<html>Sign in</html>', '[]', '{"error":"x"}', '{"keys":{},"attestations":""}'])(
    'refuse %s in the place of keys and attestations, with the reason',
    async (body) => {
      for (const path of ['/-/npm/v1/keys', '/-/npm/v1/attestations/pkg@1.0.0']) {
        upstream.serve(path, { body, mediaType: 'text/html', chunked: true });
        const reply = await repository.get(path);
        expect([reply.status, reply.body]).toEqual([502, expect.stringContaining('is malformed')]);
      }
    },
  );

  it.each(['//pkg', '/pkg//', '//-//npm//v1//keys'])('take %s for the path without empty segments', async (path) => {
    upstream.serve('/pkg', { body: JSON.stringify({ name: 'pkg', versions: {} }), mediaType: 'application/json' });
    upstream.serve('/-/npm/v1/keys', { body: '{"keys":[]}', mediaType: 'application/json' });
    const [direct, found] = [await repository.get(path.replace(/\/+/g, '/')), await repository.get(path)];
    expect([found.status, found.body]).toEqual([direct.status, direct.body]);
    expect(upstream.requests.every((request) => !request.path.includes('//'))).toBe(true);
  });

  it('search at the upstream', async () => {
    upstream.serve('/-/v1/search?text=x&size=250', { body: '{"objects":[]}', mediaType: 'application/json' });
    expect(await repository.get('/-/v1/search?size=1000&text=x')).toMatchObject({
      status: 200,
      body: '{"objects":[]}',
    });
    expect(await repository.ask('HEAD', '/-/v1/search?size=1000&text=x')).toMatchObject({ status: 200, body: '' });
  });

  it.each([
    ['PUT', '/pkg', 405],
    ['PUT', '/-/package/pkg/dist-tags/latest', 405],
    ['GET', '/-/whoami', 401],
    ['POST', '/-/v1/login', 404],
    ['PUT', '/-/user/org.couchdb.user:joe', 404],
  ])('answer %s %s with %i and JSON', async (method, target, status) => {
    const reply = await repository.ask(method, target, {}, Buffer.from('{}'));
    expect(reply).toMatchObject({ status, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(reply.body)).toStrictEqual({ error: expect.any(String) as string });
  });

  it.each(['/a/%2e%2e/b', '/a%00b', '/a%5cb', '/%zz'])('refuse the path %s', async (target) => {
    expect(await repository.get(target)).toMatchObject({
      status: 400,
      headers: { 'content-type': 'application/json' },
    });
  });
});
