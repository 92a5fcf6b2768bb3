import { describe, expect, it } from 'vitest';
import type { ArtifactResource, BoundResource, DocumentResource, Protocol } from '@entrepot/core/engine';
import { CLASSES } from '../src/proxy.js';
import { headOf, protocolOf } from './fixtures.js';

const SUM = 'a'.repeat(64);

const RULES = {
  rules: [
    { match: 'private/**', policy: 'deny' },
    { match: 'live/**', policy: 'bypass' },
    { match: '**/*.zip', policy: 'immutable' },
    { match: 'pinned.bin', policy: 'immutable', checksum: { sha256: SUM } },
    { match: '**/*.tgz', policy: 'immutable', checksum: { sidecar: '.sha256', required: false } },
    { match: '**/*.iso', policy: 'immutable', checksum: { sidecar: 'SHA256SUMS' } },
    { match: '**/*.json', policy: 'revalidate', freshFor: '30s', onGone: 'keep' },
  ],
};

async function errorOf(action: () => BoundResource | undefined) {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

describe('a proxy repository', () => {
  const proxy = (written: Record<string, unknown> = RULES) => protocolOf(written, 'proxy');

  it.each<[string, object]>([
    [
      '/v1/a.zip',
      {
        kind: 'artifact',
        class: 'artifact',
        key: 'v1/a.zip',
        upstreamPath: 'v1/a.zip',
        filename: 'a.zip',
        coordinates: { ecosystem: 'generic', name: 'v1/a.zip' },
        freshness: { policy: 'immutable' },
      },
    ],
    [
      '/v1/index.json',
      {
        kind: 'document',
        class: 'document',
        key: 'v1/index.json',
        upstreamPath: 'v1/index.json',
        freshness: { policy: 'revalidate', freshFor: 30_000, onGone: 'keep' },
      },
    ],
    [
      '/v1/',
      {
        kind: 'document',
        class: 'document',
        key: 'v1/',
        upstreamPath: 'v1/',
        freshness: { policy: 'revalidate' },
      },
    ],
    ['/', { kind: 'document', class: 'document', key: '/', upstreamPath: '', freshness: { policy: 'revalidate' } }],
    [
      '/live/now',
      {
        kind: 'document',
        class: 'document',
        key: 'live/now',
        upstreamPath: 'live/now',
        freshness: { policy: 'bypass' },
      },
    ],
    ['/x.tgz.sha256', { kind: 'document', class: 'checksum', key: 'x.tgz.sha256', upstreamPath: 'x.tgz.sha256' }],
    [
      '/d/SHA256SUMS',
      { kind: 'document', class: 'checksum', key: 'd/SHA256SUMS', upstreamPath: 'd/SHA256SUMS', freshness: {} },
    ],
    [
      // No rule names a sum file for .json files: this is a file like others.
      '/x.json.sha256',
      {
        kind: 'document',
        class: 'document',
        key: 'x.json.sha256',
        upstreamPath: 'x.json.sha256',
        freshness: { policy: 'revalidate' },
      },
    ],
  ])('GET %s', async (target, expected) => {
    const { route } = await proxy();
    expect(route(headOf(target))).toMatchObject(expected);
    expect(route(headOf(target, 'HEAD'))).toEqual(route(headOf(target)));
  });

  it('promises what a pinned sum says', async () => {
    const { route } = await proxy();
    expect(route(headOf('/pinned.bin'))).toMatchObject({ integrity: [{ algorithm: 'sha256', hex: SUM }] });
  });

  it.each([
    ['/d/x.tgz', 'd/x.tgz.sha256', true],
    ['/d/x.iso', 'd/SHA256SUMS', false],
    ['/x.iso', 'SHA256SUMS', false],
    ['/d/x.tgz?token=1', 'd/x.tgz.sha256?token=1', true],
  ])('%s is described by %s', async (target, key, optional) => {
    const { route } = await proxy();
    expect(route(headOf(target))).toMatchObject({
      kind: 'artifact',
      describedBy: [{ kind: 'document', class: 'checksum', key, upstreamPath: key }],
      descriptionOptional: optional,
    });
  });

  it('makes one resource of a sum file, whoever asks for it', async () => {
    const { route } = await proxy({
      rules: [
        { match: '**/*.sha256', policy: 'immutable' },
        { match: '**/*.tgz', policy: 'immutable', checksum: { sidecar: '.sha256' } },
      ],
    });
    const artifact = route(headOf('/d/x.tgz')) as ArtifactResource;
    const named = artifact.describedBy.map((document) => document.named);
    expect(named).toEqual([(route(headOf('/d/x.tgz.sha256')) as DocumentResource).named]);
  });

  it('never takes a directory index as immutable', async () => {
    const { route } = await proxy({ rules: [{ match: '**', policy: 'immutable' }] });
    expect(route(headOf('/v1/'))).toMatchObject({ kind: 'document', freshness: { policy: 'revalidate' } });
    expect(route(headOf('/v1'))).toMatchObject({ kind: 'artifact' });
  });

  it.each([
    ['/a%20b.zip', 'a b.zip', 'a%20b.zip'],
    ['/a+b.zip', 'a+b.zip', 'a%2Bb.zip'],
    ['/a%2Bb.zip', 'a+b.zip', 'a%2Bb.zip'],
    ['/a~b.zip', 'a~b.zip', 'a~b.zip'],
    ['/a%7eb.zip', 'a~b.zip', 'a~b.zip'],
    ['/a%253ab.zip', 'a%253ab.zip', 'a%253ab.zip'],
    ['/a:b@c=d,e.zip', 'a:b@c=d,e.zip', 'a:b@c=d,e.zip'],
    ['/a;b.zip', 'a;b.zip', 'a%3Bb.zip'],
    ['/%C3%A4.zip', 'ä.zip', '%C3%A4.zip'],
    ['/group%2Fproject/a.zip', 'group%2Fproject/a.zip', 'group%2Fproject/a.zip'],
    ['/group/project/a.zip', 'group/project/a.zip', 'group/project/a.zip'],
    ['/a%3Fb.zip', 'a%3Fb.zip', 'a%3Fb.zip'],
    ['/a%23b.zip', 'a#b.zip', 'a%23b.zip'],
    ['/%252e%252e/a.zip', '%252e%252e/a.zip', '%252e%252e/a.zip'],
  ])('%s has the key %s and the upstream path %s', async (target, key, upstreamPath) => {
    const { route } = await proxy();
    expect(route(headOf(target))).toMatchObject({ key, upstreamPath });
  });

  it('never gives two targets one key that are two files', async () => {
    const { route } = await proxy({});
    const targets = [
      '/',
      '/a',
      '/a/',
      '/a/b',
      '/a%2Fb',
      '/a%252Fb',
      '/a?b',
      '/a?b=',
      '/a%3Fb',
      '/a%253Fb',
      '/a?b=1',
      '/a/?b=1',
    ];
    const keys = targets.map((target) => (route(headOf(target)) as { key: string }).key);
    expect(new Set(keys).size).toBe(targets.length);
  });

  it('keeps the query in key and upstream path, unless told to ignore it', async () => {
    const target = '/a.zip?b=1&a=x%20y';
    expect((await proxy()).route(headOf(target))).toMatchObject({
      key: 'a.zip?b=1&a=x%20y',
      upstreamPath: 'a.zip?b=1&a=x%20y',
    });
    expect((await proxy({ query: 'ignore' })).route(headOf(target))).toMatchObject({
      key: 'a.zip',
      upstreamPath: 'a.zip',
    });
  });

  it.each([
    ['/private/a.zip', 'forbidden', /^the path "private\/a\.zip" is not served here: rules\[0\] "private\/\*\*"$/],
    ['/private%2Fa.zip', 'forbidden', /rules\[0\]/],
    ['/private/', 'forbidden', /rules\[0\]/],
    ['/%70rivate/a.zip', 'forbidden', /rules\[0\]/],
    ['/public/..%2Fprivate/a.zip', 'bad-request', /"\.\."/],
    ['/public%2F..%2Fprivate/a.zip', 'bad-request', /"\.\."/],
    ['/public%2F%2Fa.zip', 'bad-request', /empty/],
    ['/./a.zip', 'bad-request', /segment/],
    ['/a%00.zip', 'bad-request', /control/],
    ['/a%0a.zip', 'bad-request', /control/],
    ['/a%5c..%5cb.zip', 'bad-request', /backslash/],
  ])('refuses %s: %s', async (target, kind, message) => {
    const { route } = await proxy();
    expect(await errorOf(() => route(headOf(target)))).toMatchObject({ kind, message: expect.stringMatching(message) });
  });

  it('names the missing pattern when nothing matches', async () => {
    const { route } = await proxy({ immutablePatterns: ['\\.rpm$'] });
    expect(await errorOf(() => route(headOf('/a.zip')))).toMatchObject({
      kind: 'forbidden',
      code: 'PATH_REFUSED',
      message: 'the path "a.zip" is not served here: no pattern of immutablePatterns',
    });
  });

  it.each(['PUT', 'POST', 'DELETE', 'PATCH'])('refuses %s', async (method) => {
    const { route } = await proxy();
    expect(await errorOf(() => route(headOf('/a.zip', method)))).toMatchObject({
      kind: 'method-not-allowed',
      headers: { Allow: 'GET, HEAD' },
    });
  });

  it('parses documents only where a rule names them as sidecars', async () => {
    expect(CLASSES.checksum.parse).toBeTypeOf('function');
    expect(CLASSES.document.parse).toBeUndefined();
    expect((await proxy({})).route(headOf('/x.tgz.sha256'))).toMatchObject({ class: 'document' });
  });
});

describe('a hosted repository', () => {
  const hosted = (written: Record<string, unknown> = {}): Promise<Pick<Protocol, 'route'>> =>
    protocolOf(written, 'hosted');

  it.each<[string, string, object]>([
    ['GET', '/d/a.zip', { kind: 'artifact', class: 'hosted', key: 'd/a.zip', filename: 'a.zip' }],
    ['HEAD', '/d/a.zip', { kind: 'artifact', class: 'hosted', key: 'd/a.zip', filename: 'a.zip' }],
    [
      'GET',
      '/d/',
      {
        kind: 'listing',
        class: 'listing',
        key: 'd/',
        selection: { prefix: 'd/' },
        variant: 'html',
        vary: ['accept'],
      },
    ],
    ['GET', '/', { kind: 'listing', class: 'listing', key: '/', selection: { prefix: '' }, variant: 'html' }],
    [
      'PUT',
      '/d/a.zip',
      {
        kind: 'upload',
        action: 'put',
        class: 'hosted',
        key: 'd/a.zip',
        mediaType: 'application/zip',
        overwrite: false,
        maxBytes: 5 * 1024 ** 3,
      },
    ],
    ['DELETE', '/d/a.zip', { kind: 'upload', action: 'delete', class: 'hosted', key: 'd/a.zip' }],
  ])('%s %s', async (method, target, expected) => {
    const { route } = await hosted();
    expect(route(headOf(target, method))).toMatchObject(expected);
  });

  it('lists as JSON when asked for it', async () => {
    const { route } = await hosted();
    expect(route(headOf('/d/', 'GET', { accept: 'application/json' }))).toMatchObject({
      key: 'd/',
      variant: 'json',
      mediaType: 'application/json',
    });
    expect(route(headOf('/d/', 'GET', { accept: 'text/html,application/json;q=0.9,*/*' }))).toMatchObject({
      variant: 'html',
    });
  });

  it.each([
    [undefined, '/a.txt', 'text/plain'],
    [undefined, '/a.unknown-kind', 'application/octet-stream'],
    ['image/svg+xml', '/a', 'image/svg+xml'],
    ['text/plain; charset=utf-8', '/a.zip', 'text/plain; charset=utf-8'],
    ['application/x-www-form-urlencoded', '/a.zip', 'application/zip'],
    ['no media type', '/a.zip', 'application/zip'],
  ])('takes Content-Type %s of %s as %s', async (type, target, expected) => {
    const { route } = await hosted();
    const headers = type === undefined ? {} : { 'content-type': type };
    expect(route(headOf(target, 'PUT', headers))).toMatchObject({ mediaType: expected });
  });

  it('replaces only where the option says so and the client does not forbid it', async () => {
    const { route } = await hosted({ overwrite: true, maxBytes: '1MiB' });
    expect(route(headOf('/a', 'PUT'))).toMatchObject({ overwrite: true, maxBytes: 1024 ** 2 });
    expect(route(headOf('/a', 'PUT', { 'if-none-match': '*' }))).toMatchObject({ overwrite: false });
  });

  it.each([
    ['PUT', '/d/', 'bad-request'],
    ['DELETE', '/', 'bad-request'],
    ['PUT', '/a%2Fb', 'bad-request'],
    ['GET', '/a%2Fb', 'bad-request'],
    ['PUT', '/a/..%2Fb', 'bad-request'],
    ['PUT', '/a%0ab', 'bad-request'],
    ['POST', '/a', 'method-not-allowed'],
  ])('refuses %s %s: %s', async (method, target, kind) => {
    const { route } = await hosted();
    expect(await errorOf(() => route(headOf(target, method)))).toMatchObject({ kind });
  });

  it('serves no DELETE with allowDelete: false', async () => {
    const { route } = await hosted({ allowDelete: false });
    expect(await errorOf(() => route(headOf('/a', 'DELETE')))).toMatchObject({
      kind: 'method-not-allowed',
      headers: { Allow: 'GET, HEAD, PUT' },
    });
  });
});
