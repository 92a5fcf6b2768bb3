import type { Digest } from '@entrepot/core';
import {
  FixedPolicy,
  openTestRepository,
  type Fixture,
  type TestReply,
  type TestRepository,
} from '@entrepot/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import plugin from '../src/index.js';
import { ociOptions } from '../src/options.js';
import { OciProxy } from '../src/proxy-routes.js';
import { digestOf, INDEX, indexOf, describeBytes, MANIFEST, manifestOf } from './images.js';

const CONFIG = '{"architecture":"amd64","os":"linux"}';
const LAYER = 'a layer';
const IMAGE = manifestOf(CONFIG, LAYER);
const MINUTE = 60_000;
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
/** Of the URL of the upstream. */
const UPSTREAM_PATH = '/upstream/base';

let opened: TestRepository | undefined;

afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

async function open(options: Readonly<Record<string, unknown>> = {}): Promise<TestRepository> {
  opened = await openTestRepository({ plugin, options });
  return opened;
}

/** The path of a request to the upstream. */
function at(path: string): string {
  return `${UPSTREAM_PATH}/v2/${path}`;
}

/** Has the upstream name `body` by `tag` and by its digest. */
function tag({ upstream }: TestRepository, name: string, reference: string, body = IMAGE, mediaType = MANIFEST): void {
  const fixture = { body, mediaType, headers: { 'docker-content-digest': digestOf(body) } };
  upstream.serve(at(`${name}/manifests/${reference}`), fixture);
  upstream.serve(at(`${name}/manifests/${digestOf(body)}`), fixture);
}

function codeOf({ body }: TestReply): string {
  return (JSON.parse(body.toString()) as { errors: { code: string }[] }).errors[0]?.code as string;
}

/** A manifest of Docker's first schema, signed as libtrust does it, and the digest that registries call it by. */
function signedManifest(): { readonly body: string; readonly digest: string } {
  const payload = '{\n   "schemaVersion": 1,\n   "name": "old",\n   "fsLayers": []\n}';
  const formatLength = payload.length - '\n}'.length;
  const format = { formatLength, formatTail: Buffer.from('\n}').toString('base64url'), time: '2020-01-01T00:00:00Z' };
  const signature = { protected: Buffer.from(JSON.stringify(format)).toString('base64url'), signature: 'c2ln' };
  const body = `${payload.slice(0, formatLength)},\n   "signatures": [${JSON.stringify(signature)}]\n}`;
  return { body, digest: digestOf(payload) };
}

function tagsOf({ body }: TestReply): unknown {
  return JSON.parse(body.toString());
}

describe('for who judges', () => {
  it('the tags of a name are known', async () => {
    const { upstream, engine } = await open();
    const body = JSON.stringify({ name: 'app', tags: ['1', 'latest'] });
    upstream.serve(at('app/tags/list'), { body, mediaType: 'application/json' });
    const described = await engine.describe({ ecosystem: 'oci', name: 'app' });
    expect(described.map(({ coordinates: { version } }) => version)).toEqual(['1', 'latest']);
  });

  it('images are to be had piece by piece', async () => {
    const repository = await open();
    const { upstream, engine } = repository;
    tag(repository, 'team/app', 'latest');
    upstream.serve(at(`team/app/blobs/${digestOf(LAYER)}`), { body: LAYER });
    const whole = { ecosystem: 'oci', name: 'team/app' };
    const part = async (text: string, mediaType?: string): Promise<string | undefined> => {
      const content = await engine.part(whole, { digest: digestOf(text) as Digest, mediaType });
      return content && Buffer.from(await content.bytes(10_000)).toString();
    };
    expect(await part(LAYER, 'application/vnd.oci.image.layer.v1.tar')).toBe(LAYER);
    expect(await part(LAYER)).toBe(LAYER);
    expect(await part(IMAGE, MANIFEST)).toBe(IMAGE);
    expect(await part('nowhere')).toBeUndefined();
  });
});

describe('names', () => {
  it.each<[library: boolean | undefined, name: string, upstream: string]>([
    [true, 'alpine', 'library/alpine'],
    [true, 'library/alpine', 'library/alpine'],
    [true, 'library', 'library/library'],
    [true, 'team/app', 'team/app'],
    [false, 'alpine', 'alpine'],
    [undefined, 'alpine', 'alpine'],
  ])('with library: %s, %s is %s upstream', async (library, name, upstream) => {
    const repository = await open(library === undefined ? {} : { library });
    tag(repository, upstream, 'latest');
    repository.upstream.serve(at(`${upstream}/blobs/${digestOf(LAYER)}`), { body: LAYER });
    repository.upstream.serve(at(`${upstream}/tags/list`), {
      body: JSON.stringify({ name: upstream, tags: ['latest'] }),
      mediaType: 'application/json',
      headers: { link: `</v2/${upstream}/tags/list?last=latest&n=1>; rel="next"` },
    });
    const { ask } = repository;
    expect((await ask(`/${name}/manifests/latest`)).body.toString()).toBe(IMAGE);
    const layer = await ask(`/${name}/blobs/${digestOf(LAYER)}`);
    expect([layer.body.toString(), layer.headers['content-type']]).toEqual([LAYER, 'application/octet-stream']);
    const listed = await ask(`/${name}/tags/list?n=1`);
    expect(tagsOf(listed)).toEqual({ name, tags: ['latest'] });
    expect(listed.headers['link']).toBe(`</mount/${name}/tags/list?last=latest&n=1>; rel="next"`);
  });

  it('of Docker Hub are known by its address', () => {
    const options = ociOptions.parse({});
    const of = (url: string) => new OciProxy(options, { name: 'hub', kind: 'proxy', upstreams: [{ url }] });
    const head = { method: 'GET', segments: ['alpine', 'manifests', '3'], query: new URLSearchParams() };
    for (const [url, path] of [
      ['https://registry-1.docker.io', 'v2/library/alpine/manifests/3'],
      ['https://quay.io', 'v2/alpine/manifests/3'],
    ] as const) {
      expect(of(url).route(head as never)).toMatchObject({ class: 'tag', path });
    }
  });

  it.each<[name: string, status: number]>([
    ['team/app', 200],
    ['team/deep/app', 200],
    ['team/secret/app', 403],
    ['other/app', 403],
    ['alpine', 200],
    ['library/alpine', 200],
  ])('that patterns let through are pulled: %s is %i', async (name, status) => {
    const repository = await open({ allow: ['team/**', 'library/*'], deny: ['team/secret/**'], library: true });
    for (const known of ['team/app', 'team/deep/app', 'team/secret/app', 'other/app', 'library/alpine'])
      tag(repository, known, '1');
    const { ask, upstream } = repository;
    for (const path of [`/${name}/manifests/1`, `/${name}/manifests/${digestOf(IMAGE)}`]) {
      const reply = await ask(path);
      expect(reply.status).toBe(status);
      if (status === 403) expect(codeOf(reply)).toBe('DENIED');
    }
    if (status === 200) return;
    for (const path of [`blobs/${digestOf(LAYER)}`, 'tags/list', `referrers/${digestOf(IMAGE)}`])
      expect((await ask(`/${name}/${path}`)).status).toBe(403);
    expect(upstream.requests).toEqual([]);
  });
});

describe('rules for images', () => {
  const RULES = [
    { match: 'team/secret/**', policy: 'deny' },
    { match: { regex: '^team/(?!live)' }, policy: 'immutable' },
    { match: 'team/live', policy: 'bypass' },
    { match: 'slow', freshFor: '1h', expireAfter: '2h' },
  ];

  /** Pulls an image `times` times, an hour apart, and counts what the upstream was asked. */
  async function asked(name: string, times: number): Promise<number> {
    const repository = await open({ rules: RULES, tags: [{ match: 'edge', freshFor: '0' }] });
    tag(repository, name, '1');
    for (let pull = 0; pull < times; pull += 1) {
      expect((await repository.ask(`/${name}/manifests/1`)).status).toBe(200);
      repository.clock.advance(60 * MINUTE - 1);
    }
    return repository.upstream.requests.length;
  }

  it('say what is kept for how long', async () => {
    const once = await asked('team/app', 1);
    expect(await asked('team/app', 100)).toBe(once);
    expect(await asked('team/live', 3)).toBeGreaterThanOrEqual(3 * once);
    expect(await asked('slow', 2)).toBe(once);
    expect(await asked('slow', 3)).toBe(once + 1);
    expect(await asked('other', 3)).toBeGreaterThan(once);
  });

  it('keep nothing of an image whose policy is bypass', async () => {
    const { ask, upstream } = await open({ rules: RULES });
    upstream.serve(at(`team/live/blobs/${digestOf(LAYER)}`), { body: LAYER });
    for (let pull = 0; pull < 2; pull += 1)
      expect((await ask(`/team/live/blobs/${digestOf(LAYER)}`)).body.toString()).toBe(LAYER);
    expect(upstream.requests).toHaveLength(2);
  });

  it('stand behind those for a tag', async () => {
    const repository = await open({ rules: RULES, tags: [{ match: 'edge', freshFor: '0' }] });
    tag(repository, 'team/app', 'edge');
    await repository.ask('/team/app/manifests/edge');
    const before = repository.upstream.requests.length;
    repository.clock.advance(1);
    await repository.ask('/team/app/manifests/edge');
    expect(repository.upstream.requests.length).toBe(before + 1);
  });

  it('refuse an image, and name themselves', async () => {
    const { ask, upstream } = await open({ rules: RULES });
    const reply = await ask('/team/secret/app/manifests/1');
    expect([reply.status, codeOf(reply)]).toEqual([403, 'DENIED']);
    expect(reply.body.toString()).toContain('option rules');
    expect(upstream.requests).toEqual([]);
  });

  it('and lists of names take regular expressions', async () => {
    const repository = await open({
      allow: [{ regex: '^team/' }, 'library/*'],
      deny: [{ regex: '-internal$' }],
      library: true,
    });
    for (const known of ['team/app', 'team/deep/app', 'team/app-internal', 'library/alpine'])
      tag(repository, known, '1');
    const statuses = ['team/app', 'team/deep/app', 'team/app-internal', 'alpine', 'myteam/app'].map(
      async (name) => (await repository.ask(`/${name}/manifests/1`)).status,
    );
    expect(await Promise.all(statuses)).toEqual([200, 200, 403, 200, 403]);
  });

  it.each([[{ regex: '(a)\\1' }], [{ regex: '(?!a)b' }], [{ regex: '(' }], [{ rege: 'a' }]])(
    'refuse %j',
    async (match) => {
      await expect(open({ rules: [{ match }] })).rejects.toThrow(/rules/);
    },
  );
});

describe('tags', () => {
  it('are fresh as long as the first rule that matches says', async () => {
    const rules = [
      { match: 'latest', freshFor: '0' },
      { match: 'v*', freshFor: 'forever' },
    ];
    const repository = await open({ tags: rules });
    const { ask, upstream, clock } = repository;
    const asked = (reference: string) => upstream.count(at(`app/manifests/${reference}`));
    for (const reference of ['latest', 'v1', 'other']) tag(repository, 'app', reference);
    const pullAll = async () => {
      for (const reference of ['latest', 'v1', 'other'])
        expect((await ask(`/app/manifests/${reference}`)).status).toBe(200);
    };
    await pullAll();
    const before = asked('latest');
    clock.advance(1);
    await pullAll();
    expect(asked('latest')).toBeGreaterThan(before);
    const [v1, other] = [asked('v1'), asked('other')];
    clock.advance(4 * MINUTE);
    await pullAll();
    expect([asked('v1'), asked('other')]).toEqual([v1, other]);
    clock.advance(365 * 24 * 60 * MINUTE);
    await pullAll();
    expect(asked('v1')).toBe(v1);
    expect(asked('other')).toBeGreaterThan(other);
  });

  it('have one digest, whatever a client accepts', async () => {
    const repository = await open();
    const { ask, upstream } = repository;
    const index = indexOf(describeBytes(MANIFEST, IMAGE));
    tag(repository, 'app', '1', index, INDEX);
    for (const accept of [MANIFEST, INDEX, '*/*', 'application/vnd.docker.distribution.manifest.v1+json', '']) {
      const reply = await ask({ path: '/app/manifests/1', headers: accept === '' ? {} : { accept } });
      expect([reply.body.toString(), reply.headers['content-type'], reply.headers['docker-content-digest']]).toEqual([
        index,
        INDEX,
        digestOf(index),
      ]);
    }
    const accepted = new Set(upstream.requests.map(({ headers }) => headers['accept']));
    expect(accepted.size).toBe(1);
    expect([...accepted][0]).not.toMatch(/v1\+prettyjws|\*/);
  });

  it('are asked for by HEAD alone while they stay, and moved by digest', async () => {
    const repository = await open();
    const { ask, upstream, clock } = repository;
    tag(repository, 'app', '1');
    await ask('/app/manifests/1');
    const seen = upstream.requests.length;
    clock.advance(6 * MINUTE);
    expect((await ask('/app/manifests/1')).outcome).toBe('revalidated');
    expect(upstream.requests.slice(seen).map(({ method }) => method)).toEqual(['HEAD']);
    tag(repository, 'app', '1', indexOf(), INDEX);
    clock.advance(6 * MINUTE);
    expect((await ask('/app/manifests/1')).body.toString()).toBe(indexOf());
    expect(upstream.requests.slice(seen + 1).map(({ method, path }) => [method, path])).toEqual([
      ['HEAD', at('app/manifests/1')],
      ['GET', at(`app/manifests/${digestOf(indexOf())}`)],
    ]);
    expect((await ask(`/app/manifests/${digestOf(IMAGE)}`)).outcome).toBe('hit');
  });

  it.each([
    ['application/vnd.docker.distribution.manifest.v1+prettyjws', '{"schemaVersion":1,"signatures":[{"x":1}]}'],
    ['application/vnd.docker.distribution.manifest.v1+json', '{"schemaVersion":1}'],
  ])('of the first schema (%s) are passed on as they are', async (mediaType, body) => {
    const repository = await open();
    repository.upstream.serve(at('old/manifests/1'), { body, mediaType });
    const reply = await repository.ask('/old/manifests/1');
    expect([reply.status, reply.body.toString(), reply.headers['content-type']]).toEqual([200, body, mediaType]);
  });

  it.each<[sent: string | undefined, body: string, expected: string]>([
    ['application/json', IMAGE, MANIFEST],
    ['text/plain; charset=utf-8', indexOf(), INDEX],
    [undefined, IMAGE, MANIFEST],
    ['application/octet-stream', '{"schemaVersion":2,"manifests":[],"layers":[]}', MANIFEST],
  ])('are of the type that they say themselves where the upstream says %s', async (sent, body, expected) => {
    const { ask, upstream } = await open();
    upstream.serve(at('app/manifests/1'), { body, ...(sent !== undefined && { mediaType: sent }) });
    expect((await ask('/app/manifests/1')).headers['content-type']).toBe(expected);
  });

  it('of the first schema are pulled by the digest of what was signed', async () => {
    const { ask, upstream, clock } = await open();
    const { body, digest } = signedManifest();
    const fixture = { body, mediaType: SCHEMA_1, headers: { 'docker-content-digest': digest } };
    for (const reference of ['1', digest]) upstream.serve(at(`old/manifests/${reference}`), fixture);
    for (const reference of ['1', digest, '1', digest]) {
      const reply = await ask(`/old/manifests/${reference}`);
      expect([reply.status, reply.body.toString()]).toEqual([200, body]);
      expect([reply.headers['docker-content-digest'], reply.headers['content-type']]).toEqual([digest, SCHEMA_1]);
    }
    clock.advance(6 * MINUTE);
    expect((await ask('/old/manifests/1')).outcome).toBe('revalidated');
    expect(upstream.requests.filter(({ method }) => method === 'GET')).toHaveLength(1);
  });

  it('of the first schema are not taken when what was signed has another digest', async () => {
    const { ask, upstream } = await open();
    const { body } = signedManifest();
    const digest = digestOf('another');
    const fixture = { body, mediaType: SCHEMA_1, headers: { 'docker-content-digest': digest } };
    for (const reference of ['1', digest]) upstream.serve(at(`old/manifests/${reference}`), fixture);
    for (const reference of ['1', digest]) expect((await ask(`/old/manifests/${reference}`)).status).toBe(502);
  });

  it.each([
    ['application/vnd.oci.artifact.manifest.v1+json', '{"mediaType":"application/vnd.oci.artifact.manifest.v1+json"}'],
    ['application/vnd.example.manifest.v9+json', '{"schemaVersion":9,"parts":[]}'],
  ])('of a type that nobody knows (%s) are passed on as they are', async (mediaType, body) => {
    const repository = await open();
    tag(repository, 'app', '1', body, mediaType);
    for (const reference of ['1', digestOf(body)]) {
      const reply = await repository.ask(`/app/manifests/${reference}`);
      expect([reply.status, reply.body.toString(), reply.headers['content-type']]).toEqual([200, body, mediaType]);
    }
  });

  it.each(['', IMAGE.slice(0, 50), 'hello', '{"message":"try later"}', '[]', 'null', '{"errors":[]}'])(
    'without a digest are looked at: %j is an outage, and replaces nothing',
    async (body) => {
      const repository = await open();
      const { ask, upstream, clock } = repository;
      tag(repository, 'app', '1');
      await ask('/app/manifests/1');
      clock.advance(6 * MINUTE);
      for (const reference of ['1', '2'])
        upstream.serve(at(`app/manifests/${reference}`), { body, mediaType: MANIFEST });
      const kept = await ask('/app/manifests/1');
      expect([kept.status, kept.outcome, kept.body.toString()]).toEqual([200, 'stale', IMAGE]);
      expect((await ask('/app/manifests/2')).status).toBe(502);
    },
  );

  it('that turn out to be a page of HTML are an outage', async () => {
    const { ask, upstream, entries } = await open();
    upstream.serve(at('app/manifests/1'), { body: '<!doctype html>', mediaType: 'text/html' });
    const reply = await ask('/app/manifests/1');
    expect([reply.status, codeOf(reply)]).toEqual([502, 'UNAVAILABLE']);
    expect(await entries.list('test', { prefix: '', limit: 1 })).toEqual([]);
  });
});

describe('what the upstream refuses', () => {
  it.each<[status: number, told: number, code: string]>([
    [401, 404, 'MANIFEST_UNKNOWN'],
    [403, 404, 'MANIFEST_UNKNOWN'],
    [404, 404, 'MANIFEST_UNKNOWN'],
    [429, 429, 'TOOMANYREQUESTS'],
    [500, 502, 'UNAVAILABLE'],
    [503, 502, 'UNAVAILABLE'],
  ])('%i is told as %i %s, and never as a challenge of ours', async (status, told, code) => {
    const { ask, upstream } = await open();
    const headers = { 'www-authenticate': 'Basic realm="upstream"' };
    for (const reference of ['1', digestOf(IMAGE)])
      upstream.serve(at(`app/manifests/${reference}`), { status, headers, body: 'refused' });
    for (const reference of ['1', digestOf(IMAGE)]) {
      const reply = await ask(`/app/manifests/${reference}`);
      expect([reply.status, codeOf(reply)]).toEqual([told, code]);
      expect(reply.headers['www-authenticate']).toBeUndefined();
      expect(reply.body.toString()).toContain(String(status));
    }
  });

  it.each<[status: number, told: number]>([
    [401, 404],
    [403, 404],
    [404, 404],
    [429, 200],
    [500, 200],
  ])('%i of a tag that is kept is told as %i', async (status, told) => {
    const repository = await open();
    const { ask, upstream, clock } = repository;
    tag(repository, 'app', '1');
    await ask('/app/manifests/1');
    upstream.serve(at('app/manifests/1'), { status, body: 'refused' });
    clock.advance(6 * MINUTE);
    const reply = await ask('/app/manifests/1');
    expect(reply.status).toBe(told);
    expect(reply.headers['warning']?.startsWith('299 ') ?? false).toBe(told === 200);
    expect((await ask(`/app/manifests/${digestOf(IMAGE)}`)).outcome).toBe('hit');
  });

  it('HEAD of a blob is answered with the size in its manifest, also by digest', async () => {
    const repository = await open();
    const { ask, upstream } = repository;
    tag(repository, 'app', '1', indexOf(describeBytes(MANIFEST, IMAGE)), INDEX);
    tag(repository, 'app', '1-amd64');
    upstream.handle(at(`app/blobs/${digestOf(LAYER)}`), (request, response) => {
      if (request.method === 'HEAD') response.writeHead(401).end();
      else response.end(LAYER);
    });
    for (const reference of ['1', digestOf(IMAGE)]) await ask(`/app/manifests/${reference}`);
    const head = await ask({ method: 'HEAD', path: `/app/blobs/${digestOf(LAYER)}` });
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': `${LAYER.length}` } });
    expect(head.headers['docker-content-digest']).toBe(digestOf(LAYER));
    expect((await ask(`/app/blobs/${digestOf(LAYER)}`)).body.toString()).toBe(LAYER);
  });

  it('is a push', async () => {
    const { ask, upstream } = await open();
    for (const [method, path] of [
      ['POST', '/app/blobs/uploads/'],
      ['PUT', '/app/manifests/1'],
      ['DELETE', '/app/manifests/1'],
      ['PATCH', '/app/blobs/uploads/1'],
      ['GET', '/app/blobs/uploads/1'],
    ] as const) {
      const reply = await ask({ method, path });
      expect([reply.status, codeOf(reply), reply.headers['allow']]).toEqual([405, 'UNSUPPORTED', 'GET, HEAD']);
    }
    expect(upstream.requests).toEqual([]);
  });
});

describe('?ns=', () => {
  it('is said again in replies, and not sent on', async () => {
    const repository = await open();
    tag(repository, 'app', '1');
    const reply = await repository.ask('/app/manifests/1?ns=registry.example.com');
    expect([reply.status, reply.headers['oci-namespace']]).toEqual([200, 'registry.example.com']);
    expect(repository.upstream.requests.every(({ path }) => !path.includes('?'))).toBe(true);
  });

  it.each(['a%0D%0Ab', '%C4%80', 'a%20b', ''])('is not said again where it is no registry (%s)', async (namespace) => {
    const repository = await open();
    tag(repository, 'app', '1');
    const reply = await repository.ask(`/app/manifests/1?ns=${namespace}`);
    expect([reply.status, reply.headers['oci-namespace']]).toEqual([200, undefined]);
  });
});

describe('bytes', () => {
  it('that are others than the digest says are not passed on whole, and not kept', async () => {
    const { ask, upstream, entries } = await open();
    const digest = digestOf('x'.repeat(200_000));
    upstream.serve(at(`app/blobs/${digest}`), { body: 'y'.repeat(200_000) });
    const broken = await ask(`/app/blobs/${digest}`);
    expect(broken.error ?? broken.status).not.toBe(200);
    expect(await entries.list('test', { prefix: '', limit: 1 })).toEqual([]);
    upstream.serve(at(`app/blobs/${digest}`), { body: 'x'.repeat(200_000) });
    expect((await ask(`/app/blobs/${digest}`)).body.toString()).toBe('x'.repeat(200_000));
  });

  it('are checked by SHA-512 where they are named by it', async () => {
    const { ask, upstream } = await open();
    const digest = digestOf(LAYER, 'sha512');
    upstream.serve(at(`app/blobs/${digest}`), { body: LAYER });
    const pulled = await ask(`/app/blobs/${digest}`);
    expect([pulled.body.toString(), pulled.headers['docker-content-digest']]).toEqual([LAYER, digest]);
    const other = digestOf('other', 'sha512');
    upstream.serve(at(`app/blobs/${other}`), { body: LAYER });
    expect((await ask(`/app/blobs/${other}`)).status).toBe(502);
  });

  it('that another name brought are given only where the upstream has them under this one, too', async () => {
    const { ask, upstream } = await open();
    const digest = digestOf(LAYER);
    upstream.serve(at(`one/blobs/${digest}`), { body: LAYER });
    upstream.serve(at(`two/blobs/${digest}`), { body: LAYER });
    for (const name of ['one', 'two']) expect((await ask(`/${name}/blobs/${digest}`)).status).toBe(200);
    expect((await ask(`/three/blobs/${digest}`)).status).toBe(404);
    const fetched = upstream.requests.filter(({ method, path }) => method === 'GET' && path.includes(digest));
    expect(fetched.map(({ path }) => path)).toEqual(['one', 'three'].map((name) => at(`${name}/blobs/${digest}`)));
  });
});

describe('lists of tags', () => {
  const json = 'application/json';

  it.each<[link: string, expected: string | undefined]>([
    ['</v2/app/tags/list?last=b&n=2>; rel="next"', '</mount/app/tags/list?last=b&n=2>; rel="next"'],
    [
      '<https://elsewhere.example.com/v2/x/tags/list?last=b&n=2>; rel=next',
      '</mount/app/tags/list?last=b&n=2>; rel="next"',
    ],
    ['<?last=b&n=2>; rel="next"', '</mount/app/tags/list?last=b&n=2>; rel="next"'],
    ['</v2/app/tags/list?last=b>; rel="prev"', undefined],
    ['nonsense', undefined],
  ])('lead on to us: %s', async (link, expected) => {
    const { ask, upstream } = await open();
    upstream.serve(at('app/tags/list?n=2'), {
      body: '{"name":"x","tags":["a","b"]}',
      mediaType: json,
      headers: { link },
    });
    const reply = await ask('/app/tags/list?n=2');
    expect([tagsOf(reply), reply.headers['link']]).toEqual([{ name: 'app', tags: ['a', 'b'] }, expected]);
  });

  it.each([
    ['of tags', '/app/tags/list', 'app/tags/list', 'tags'],
    ['of names', '/_catalog', '_catalog', 'repositories'],
  ])('that are paged by tokens are followed to their end: %s', async (_, path, below, member) => {
    const { ask, upstream } = await open();
    const all = Array.from({ length: 12 }, (__, index) => `v${index}`);
    // As a registry does it whose link says neither `last` nor where it goes on.
    upstream.handle(at(below), ({ path: asked }, response) => {
      const { searchParams } = new URL(asked, 'http://localhost');
      const token = searchParams.get('next_page');
      const start = token === null ? 0 : Number(Buffer.from(token, 'base64').toString());
      const next = encodeURIComponent(Buffer.from(String(start + 5)).toString('base64'));
      const link = `</v2/${below}?next_page=${next}&n=5>; title="a, b"; rel="last next"`;
      response.writeHead(200, { 'content-type': json, ...(start + 5 < all.length && { link }) });
      response.end(JSON.stringify({ [member]: all.slice(start, start + 5) }));
    });
    const seen: string[] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const reply = await ask(next);
      seen.push(...((JSON.parse(reply.body.toString()) as Record<string, string[]>)[member] ?? []));
      next = /<\/mount([^>]*)>/.exec(reply.headers['link'] ?? '')?.[1];
    }
    expect(seen).toEqual(all);
    const none = await ask(`${path}?n=0`);
    expect((JSON.parse(none.body.toString()) as Record<string, string[]>)[member]).toEqual([]);
    expect(none.headers['link']).toBeUndefined();
  });

  it('do not begin anew when the upstream of a page in the middle is down', async () => {
    const repository = await open();
    tag(repository, 'app', '1');
    await repository.ask('/app/manifests/1');
    repository.upstream.goOffline();
    expect((await repository.ask('/app/tags/list?next_page=abc')).status).toBe(502);
    expect((await repository.ask('/app/tags/list?n=1')).status).toBe(200);
  });

  it('of n=0 exist where the list does', async () => {
    const { ask } = await open();
    expect((await ask('/app/tags/list?n=0')).status).toBe(404);
  });

  it('take no query of any length', async () => {
    const { ask, upstream } = await open();
    expect((await ask(`/app/tags/list?next_page=${'a'.repeat(5000)}`)).status).toBe(400);
    expect(upstream.requests).toEqual([]);
  });

  it('are cut here where the upstream takes no notice of n and last', async () => {
    const { ask, upstream } = await open();
    upstream.serve(at('app/tags/list'), {
      body: '{"name":"app","tags":["c","a","b","1","1.2","1-rc"]}',
      mediaType: json,
    });
    const seen: string[] = [];
    for (let next: string | undefined = '/app/tags/list?n=2'; next !== undefined;) {
      const reply = await ask(next);
      seen.push(...(tagsOf(reply) as { tags: string[] }).tags);
      next = /<\/mount([^>]*)>/.exec(reply.headers['link'] ?? '')?.[1];
    }
    expect(seen).toEqual(['1', '1-rc', '1.2', 'a', 'b', 'c']);
    const none = await ask('/app/tags/list?n=0');
    expect([tagsOf(none), none.headers['link']]).toEqual([{ name: 'app', tags: [] }, undefined]);
  });

  it('keep the order of an upstream that pages', async () => {
    const { ask, upstream } = await open();
    const link = '</v2/app/tags/list?last=b&n=2>; rel="next"';
    upstream.serve(at('app/tags/list?n=2'), { body: '{"tags":["A","b"]}', mediaType: json, headers: { link } });
    upstream.serve(at('app/tags/list?last=b&n=2'), { body: '{"tags":["C","d"]}', mediaType: json });
    expect(tagsOf(await ask('/app/tags/list?n=2'))).toMatchObject({ tags: ['A', 'b'] });
    const last = await ask('/app/tags/list?last=b&n=2');
    expect([tagsOf(last), last.headers['link']]).toEqual([{ name: 'app', tags: ['C', 'd'] }, undefined]);
  });

  it.each(['{"name":"app","tags":null}', '{"name":"app"}'])(
    'hold an array also where the upstream says %s',
    async (body) => {
      const { ask, upstream } = await open();
      upstream.serve(at('app/tags/list'), { body, mediaType: json });
      expect(tagsOf(await ask('/app/tags/list'))).toEqual({ name: 'app', tags: [] });
    },
  );

  it('that are none are an outage, and what is kept is listed in one', async () => {
    const repository = await open();
    const { ask, upstream } = repository;
    upstream.serve(at('app/tags/list'), { body: '["a"]', mediaType: json });
    expect((await ask('/app/tags/list')).status).toBe(502);
    for (const reference of ['2', '1']) {
      tag(repository, 'app', reference);
      await ask(`/app/manifests/${reference}`);
    }
    upstream.goOffline();
    expect(tagsOf(await ask('/app/tags/list?n=10'))).toEqual({ name: 'app', tags: ['1', '2'] });
    expect((await ask('/none/tags/list')).status).toBe(502);
  });

  it.each(['-1', 'abc', '1e3', ''])('of n=%s are refused before the upstream is asked', async (n) => {
    const { ask, upstream } = await open();
    const reply = await ask(`/app/tags/list?n=${n}`);
    expect([reply.status, codeOf(reply)]).toEqual([400, 'PAGINATION_NUMBER_INVALID']);
    expect(upstream.requests).toEqual([]);
  });
});

describe('referrers', () => {
  const subject = digestOf(IMAGE);
  const list = indexOf(describeBytes(MANIFEST, 'a signature'));
  const schema = `sha256-${subject.slice('sha256:'.length)}`;
  const html = '<!doctype html><html>Sign in</html>';

  describe.each<[name: string, unknown: Fixture]>([
    ['a page of HTML', { body: html, mediaType: 'text/html; charset=utf-8' }],
    ['a redirect to one', { status: 307, headers: { location: '/login' } }],
    ['no list', { body: '{"errors":[]}', mediaType: 'application/json' }],
    ['an image', { body: IMAGE, mediaType: MANIFEST }],
    ['400', { status: 400 }],
    ['405', { status: 405 }],
    ['406', { status: 406 }],
    ['501', { status: 501 }],
  ])('where an upstream without the API answers %s', (_, unknown) => {
    it.each<[name: string, tagged: Fixture | undefined, expected: string]>([
      ['those under a tag', { body: list, mediaType: INDEX }, list],
      ['none where the tag names an image', { body: IMAGE, mediaType: MANIFEST }, indexOf()],
      ['none where the tag is a page of HTML', { body: html, mediaType: 'text/html' }, indexOf()],
      ['none where there is no tag', undefined, indexOf()],
    ])('are %s', async (__, tagged, expected) => {
      const { ask, upstream } = await open();
      upstream.serve('/login', { body: html, mediaType: 'text/html' });
      upstream.serve(at(`app/referrers/${subject}`), unknown);
      if (tagged !== undefined) upstream.serve(at(`app/manifests/${schema}`), tagged);
      const reply = await ask(`/app/referrers/${subject}`);
      expect([reply.status, reply.headers['content-type']]).toEqual([200, INDEX]);
      expect(JSON.parse(reply.body.toString())).toMatchObject({
        manifests: (JSON.parse(expected) as { manifests: unknown[] }).manifests,
      });
    });
  });

  it('that are kept stay when a page of HTML comes instead', async () => {
    const { ask, upstream, clock } = await open();
    upstream.serve(at(`app/referrers/${subject}`), { body: list, mediaType: INDEX });
    await ask(`/app/referrers/${subject}`);
    upstream.serve(at(`app/referrers/${subject}`), { body: html, mediaType: 'text/html' });
    clock.advance(10 * MINUTE);
    const reply = await ask(`/app/referrers/${subject}`);
    expect([reply.status, reply.outcome, reply.body.toString()]).toEqual([200, 'stale', list]);
  });
  const bodyOf = async ({ ask }: TestRepository, query = '') => {
    const reply = await ask(`/app/referrers/${subject}${query}`);
    return [reply.status, reply.headers['content-type'], reply.body.toString()];
  };

  it('are those of the API, with its filter and its pages', async () => {
    const repository = await open();
    const { ask, upstream } = repository;
    upstream.serve(at(`app/referrers/${subject}?artifactType=a%2Fb%2Bc`), {
      body: list,
      mediaType: INDEX,
      headers: { 'oci-filters-applied': 'artifactType', link: '<?artifactType=a%2Fb%2Bc&last=x>; rel="next"' },
    });
    const reply = await ask(`/app/referrers/${subject}?artifactType=a%2Fb%2Bc`);
    expect(reply.body.toString()).toBe(list);
    expect(reply.headers).toMatchObject({
      'content-type': INDEX,
      'oci-filters-applied': 'artifactType',
      link: `</mount/app/referrers/${subject}?artifactType=a%2Fb%2Bc&last=x>; rel="next"`,
    });
  });

  it('are those of the tag where there is no API, and none where there is no tag', async () => {
    const repository = await open();
    expect(await bodyOf(repository)).toEqual([200, INDEX, indexOf()]);
    repository.upstream.serve(at(`app/manifests/${schema}`), { body: list, mediaType: INDEX });
    repository.clock.advance(6_000);
    expect(await bodyOf(repository)).toEqual([200, INDEX, list]);
  });

  it('of a tag are one page, whatever the upstream links to', async () => {
    const { ask, upstream } = await open();
    const headers = { link: '<?last=x>; rel="next"' };
    upstream.serve(at(`app/manifests/${schema}`), { body: list, mediaType: INDEX, headers });
    const reply = await ask(`/app/referrers/${subject}`);
    expect([reply.status, reply.headers['link'], reply.body.toString()]).toEqual([200, undefined, list]);
  });

  it('appear soon after they were not there', async () => {
    const repository = await open();
    expect(await bodyOf(repository)).toEqual([200, INDEX, indexOf()]);
    repository.upstream.serve(at(`app/referrers/${subject}`), { body: list, mediaType: INDEX });
    expect(await bodyOf(repository)).toEqual([200, INDEX, indexOf()]);
    repository.clock.advance(6_000);
    expect(await bodyOf(repository)).toEqual([200, INDEX, list]);
  });

  it.each<[what: string, serve: (repository: TestRepository) => void, expected: string]>([
    [
      'of the API',
      ({ upstream }) => upstream.serve(at(`app/referrers/${subject}`), { body: list, mediaType: INDEX }),
      list,
    ],
    [
      'of the tag',
      ({ upstream }) => upstream.serve(at(`app/manifests/${schema}`), { body: list, mediaType: INDEX }),
      list,
    ],
    ['that there are none', () => {}, indexOf()],
  ])('are known in an outage, also after a restart: %s', async (_what, serve, expected) => {
    const repository = await open();
    serve(repository);
    expect(await bodyOf(repository)).toEqual([200, INDEX, expected]);
    const restarted = await openTestRepository({ plugin, stores: repository });
    try {
      restarted.upstream.goOffline();
      restarted.clock.advance(60 * MINUTE);
      expect(await bodyOf(restarted)).toEqual([200, INDEX, expected]);
      const unknown = await restarted.ask(`/app/referrers/${digestOf('other')}`);
      expect(unknown.status).toBe(502);
    } finally {
      await restarted.close();
    }
  });
});

describe('policy', () => {
  it('refuses a digest only when all names under which it is kept are refused', async () => {
    const refused = new Set<string>();
    const policy = new FixedPolicy();
    const repository = await openTestRepository({ plugin, policy });
    opened = repository;
    const body = indexOf(describeBytes(MANIFEST, IMAGE));
    tag(repository, 'app', 'bad', body, INDEX);
    tag(repository, 'app', 'good', body, INDEX);
    repository.upstream.serve(at(`app/manifests/${digestOf(IMAGE)}`), { body: IMAGE, mediaType: MANIFEST });
    const statuses = async (...names: string[]): Promise<number[]> => {
      refused.clear();
      for (const name of names) refused.add(name);
      policy.setRules([
        { id: 'r', action: 'deny', reason: 'x', matches: ({ coordinates: { version = '' } }) => refused.has(version) },
      ]);
      const paths = [digestOf(body), digestOf(IMAGE)].map((reference) => `/app/manifests/${reference}`);
      return (await Promise.all(paths.map((path) => repository.ask(path)))).map(({ status }) => status);
    };
    for (const name of ['bad', 'good']) expect((await repository.ask(`/app/manifests/${name}`)).status).toBe(200);
    expect(await statuses('bad')).toEqual([200, 200]);
    expect(await statuses('bad', 'good')).toEqual([403, 403]);
    expect(await statuses(digestOf(IMAGE))).toEqual([200, 403]);
    expect(await statuses()).toEqual([200, 200]);
  });

  it('refuses all that is under a name that it refuses', async () => {
    const matches = ({ coordinates: { name } }: { coordinates: { name: string } }): boolean => name === 'ours/app';
    const policy = new FixedPolicy([{ id: 'r', action: 'deny', reason: 'x', matches }]);
    const { ask, upstream } = (opened = await openTestRepository({
      plugin,
      policy,
    }));
    for (const path of ['tags/list', 'manifests/latest', `manifests/${digestOf(IMAGE)}`, `blobs/${digestOf(LAYER)}`])
      expect([path, (await ask(`/ours/app/${path}`)).status]).toEqual([path, 403]);
    expect(upstream.requests).toEqual([]);
  });
});
