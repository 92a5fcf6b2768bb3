import { createHash } from 'node:crypto';
import {
  artifactClass,
  defineProtocolPlugin,
  documentClass,
  type ArtifactDescription,
  type RequestHead,
} from '@entrepot/core';
import { openTestRepository, type FakeUpstream, type TestReply, type TestRepository } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { locateLayer } from '../src/registry-layer.js';

const INDEX = '/upstream/base/index.json';
const TYPE = 'application/vnd.test.chart';
const CHART = 'the chart';
const MANIFEST = '/v2/charts/app/manifests';
const BLOB = `/v2/charts/app/blobs/${digestOf(CHART)}`;

/** Charts that `/index.json` describes: it is the JSON of their descriptions, by key. */
const plugin = defineProtocolPlugin({
  id: 'charts',
  options: z.strictObject({}),
  inject: {},
  proxy: {
    classes: {
      chart: artifactClass({
        about: 'a chart',
        upstream: { accept: TYPE, locate: (resource, context) => locateLayer(resource, context, [TYPE]) },
        trust: { describedBy: () => ({ class: 'index', key: 'index.json', path: 'index.json' }) },
      }),
      index: documentClass({
        about: 'the index',
        async parse(content) {
          const said = JSON.parse(Buffer.from(await content.bytes(1e6)).toString()) as Record<
            string,
            ArtifactDescription
          >;
          return { weight: 0, describe: (key) => said[key] };
        },
      }),
    },
    create: () => ({
      route: ({ segments }: RequestHead) => ({ class: 'chart', key: segments.join('/'), path: segments.join('/') }),
    }),
  },
});

/** The digest of `bytes`, as a name. */
function digestOf(bytes: string): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

const layer = (body: string, mediaType: string) => ({ mediaType, digest: digestOf(body), size: body.length });
const manifest = (...layers: unknown[]): string => JSON.stringify({ schemaVersion: 2, layers });
const sha256 = (body: string) => ({ algorithm: 'sha256' as const, hex: digestOf(body).slice(7) });

interface Options {
  readonly reference?: string;
  readonly host?: (upstream: FakeUpstream) => string;
  readonly description?: Partial<ArtifactDescription>;
  readonly manifest?: string;
}

/** A repository whose index says that `app.tgz` is in a registry, which is on the upstream's own host. */
async function open(options: Options = {}): Promise<Opened> {
  const repository = await openTestRepository({ plugin });
  onTestFinished(() => repository.close());
  const { upstream } = repository;
  const host = options.host?.(upstream) ?? new URL(upstream.url).host;
  const location = `oci://${host}/charts/app${options.reference ?? ':1.2.3'}`;
  const said = { 'app.tgz': { integrity: [], location, ...options.description } };
  upstream.serve(INDEX, { body: JSON.stringify(said) });
  const body = options.manifest ?? manifest(layer(CHART, TYPE), layer('prov', `${TYPE}.prov`));
  upstream.serve(`${MANIFEST}/1.2.3`, { body });
  upstream.serve(`${MANIFEST}/${digestOf(body)}`, { body });
  upstream.serve(BLOB, { body: CHART });
  return { ...repository, get: (path) => repository.ask(path) };
}

interface Opened extends TestRepository {
  get(path: string): Promise<TestReply>;
}

/** The code of the error in a reply. */
const codeOf = ({ headers }: TestReply): string | undefined =>
  /detail="?([A-Z_]+)/.exec(headers['cache-status'] ?? '')?.[1];

describe('an artifact in a registry', () => {
  it('is the layer of its image that it accepts', async () => {
    const { upstream, get } = await open();
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
    expect(upstream.requests.map(({ path }) => path)).toEqual([INDEX, `${MANIFEST}/1.2.3`, BLOB]);
    expect(upstream.requests[1]?.headers['accept']).toContain('application/vnd.oci.image.manifest.v1+json');
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
    expect(upstream.requests).toHaveLength(3);
  });

  it.each([
    ['by digest', `@${digestOf(manifest(layer(CHART, TYPE), layer('prov', `${TYPE}.prov`)))}`, {}],
    ['by tag and digest', `:7@${digestOf(manifest(layer(CHART, TYPE), layer('prov', `${TYPE}.prov`)))}`, {}],
    ['by its version', '', { coordinates: { ecosystem: 'test', name: 'app', version: '1.2.3' } }],
  ])('is found %s', async (_name, reference, description) => {
    const { get } = await open({ reference, description });
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
  });

  it('is found by the tag that a version with a plus has', async () => {
    const { upstream, get } = await open({ reference: ':1.2.3+build' });
    upstream.serve(`${MANIFEST}/1.2.3_build`, { body: manifest(layer(CHART, TYPE)) });
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
  });

  it('is the only layer, whatever its media type', async () => {
    const { get } = await open({ manifest: manifest(layer(CHART, 'application/x-tar')) });
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
  });

  it.each([
    ['no media type', { mediaType: undefined }],
    ['a media type that is no text', { mediaType: 7 }],
    ['no size', { size: undefined }],
    ['a size that is no number', { size: 'large' }],
  ])('is the only layer, also with %s', async (_what, fields) => {
    const { get } = await open({ manifest: manifest({ ...layer(CHART, TYPE), ...fields }) });
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
  });

  it('is fetched with a token for its image', async () => {
    const { upstream, get } = await open();
    const realm = `Bearer realm="${upstream.url}/token",service=x`;
    upstream.serve('/token', { body: '{"token":"tok"}' });
    for (const [path, body] of [[`${MANIFEST}/1.2.3`, manifest(layer(CHART, TYPE))] as const, [BLOB, CHART] as const]) {
      upstream.handle(path, ({ headers }, response) => {
        if (headers['authorization'] === 'Bearer tok') response.end(body);
        else response.writeHead(401, { 'www-authenticate': realm }).end();
      });
    }
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
    expect(upstream.requests.filter(({ path }) => path.startsWith('/token')).map(({ path }) => path)).toEqual([
      '/token?service=x&scope=repository%3Acharts%2Fapp%3Apull',
    ]);
  });

  it('is described for HEAD without being fetched, also where the registry refuses HEAD', async () => {
    const { upstream, ask } = await open();
    const head = await ask({ method: 'HEAD', path: '/app.tgz' });
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': '9' } });
    upstream.serve(BLOB, { status: 401 });
    expect(await ask({ method: 'HEAD', path: '/app.tgz' })).toMatchObject({
      status: 200,
      headers: { 'content-length': '9' },
    });
  });

  it('is served by its last copy when the registry is down', async () => {
    const { upstream, get, clock } = await open();
    await get('/app.tgz');
    clock.advance(721 * 3_600_000);
    upstream.goOffline();
    expect((await get('/app.tgz')).body.toString()).toBe(CHART);
  });

  it('is what the index promises as well', async () => {
    const good = await open({ description: { integrity: [sha256(CHART)] } });
    expect((await good.get('/app.tgz')).body.toString()).toBe(CHART);
    const bad = await open({ description: { integrity: [sha256('another')] } });
    const reply = await bad.get('/app.tgz');
    expect([reply.status, codeOf(reply)]).toEqual([502, 'INTEGRITY']);
    expect(bad.upstream.count(BLOB)).toBe(0);
  });

  it('is what its layer says', async () => {
    const { upstream, get } = await open();
    upstream.serve(BLOB, { body: 'another' });
    const reply = await get('/app.tgz');
    expect([reply.status, codeOf(reply)]).toEqual([502, 'INTEGRITY']);
  });

  it('is refused when the manifest is not the one that was named', async () => {
    const named = digestOf('{}');
    const { upstream, get } = await open({ reference: `@${named}` });
    upstream.serve(`${MANIFEST}/${named}`, { body: manifest(layer(CHART, TYPE)) });
    expect(codeOf(await get('/app.tgz'))).toBe('INTEGRITY');
  });

  it.each([
    ['no JSON', '<html>'],
    ['null', 'null'],
    ['no layers', '{}'],
    ['none at all', manifest()],
    ['layers of other kinds', manifest('a', 7)],
    ['several that do not suit', manifest(layer('a', 'x'), layer('b', 'y'))],
    ['several that suit', manifest(layer('a', TYPE), layer('b', TYPE))],
    ['a layer without a digest', manifest({ mediaType: TYPE })],
    ['a digest that is none', manifest({ mediaType: TYPE, digest: 'sha256:../../x' })],
  ])('is out of order where the manifest has %s', async (_name, body) => {
    const { get } = await open({ manifest: body });
    const reply = await get('/app.tgz');
    expect([reply.status, codeOf(reply)]).toEqual([502, 'UPSTREAM_MALFORMED']);
  });

  it('is out of order where the manifest has no end', async () => {
    const { upstream, get } = await open();
    upstream.serve(`${MANIFEST}/1.2.3`, { fault: { kind: 'endless' } });
    const reply = await get('/app.tgz');
    expect([reply.status, codeOf(reply)]).toEqual([502, 'UPSTREAM_TOO_LARGE']);
  });

  it.each([':1.2.3/../x', '', ':', '?a=b', '#a', '@sha256:abc', '@md5:abc', ':a b'])(
    'is out of order where the index says %j',
    async (reference) => {
      const { upstream, get } = await open({ reference });
      expect(codeOf(await get('/app.tgz'))).toBe('UPSTREAM_MALFORMED');
      expect(upstream.requests).toHaveLength(1);
    },
  );

  it('is not found where the registry does not have it', async () => {
    const { upstream, get } = await open();
    upstream.remove(`${MANIFEST}/1.2.3`);
    upstream.serve('/upstream/base/app.tgz', { body: 'another' });
    expect((await get('/app.tgz')).status).toBe(404);
    expect(upstream.count('/upstream/base/app.tgz')).toBe(0);
  });

  it.each(['169.254.169.254', '10.0.0.1:5000', '[::ffff:169.254.169.254]'])(
    'is not looked for at %s',
    async (address) => {
      const { get } = await open({ host: () => address });
      expect(codeOf(await get('/app.tgz'))).toBe('PRIVATE_ADDRESS');
    },
  );
});
