import { describe, expect, it } from 'vitest';
import { EntrepotError, type RepositoryFacts } from '@entrepot/core';
import type { BoundResource } from '@entrepot/core/engine';
import { createProtocol } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { request } from './fixtures.js';

const REPOSITORY: RepositoryFacts = {
  name: 'npm',
  kind: 'proxy',
  upstreams: [
    { url: 'https://registry.example.com' },
    { url: 'https://acme.example.com/npm', scope: '@acme' },
    { url: 'https://bare.example.com', scope: 'bare' },
  ],
};
const protocol = await createProtocol({ plugin, options: { audit: 'forward' } }, REPOSITORY);
const route = protocol.route.bind(protocol);
const INSTALL = 'application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*';

/** The resource in one line: what matters of it for this table. */
function print(resource: BoundResource | undefined): string {
  switch (resource?.kind) {
    case undefined:
      return 'nothing';
    case 'document':
      return ['document', resource.key, resource.variant, `<- ${resource.upstreamPath}`, resource.upstreamScope]
        .filter(Boolean)
        .join(' ');
    case 'artifact':
      return ['artifact', resource.key, `<- ${resource.upstreamPath}`, resource.upstreamScope]
        .filter(Boolean)
        .join(' ');
    case 'passthrough':
      return `${resource.method} ${resource.name} -> ${resource.upstreamPath}`;
    case 'local':
      return `local ${resource.status}`;
    default:
      return resource?.kind ?? '';
  }
}

function answer(path: string, options?: { method?: string; accept?: string }): string {
  try {
    return print(route(request(path, options)));
  } catch (error) {
    if (!(error instanceof EntrepotError)) throw error;
    return `error ${(error as EntrepotError).status}`;
  }
}

describe('reading', () => {
  it.each([
    ['/lodash', 'document packument/lodash full <- lodash'],
    ['/lodash/', 'document packument/lodash full <- lodash'],
    ['/lodash?write=true', 'document packument/lodash full <- lodash'],
    ['/JSONStream', 'document packument/JSONStream full <- JSONStream'],
    ['/jsonstream', 'document packument/jsonstream full <- jsonstream'],
    ['/npm', 'document packument/npm full <- npm'],
    ['/package', 'document packument/package full <- package'],
    ['/constructor', 'document packument/constructor full <- constructor'],
    ['/hasOwnProperty', 'document packument/hasOwnProperty full <- hasOwnProperty'],
    ['/@s/p', 'document packument/@s/p full <- @s%2fp'],
    ['/@s%2fp', 'document packument/@s/p full <- @s%2fp'],
    ['/@s%2Fp', 'document packument/@s/p full <- @s%2fp'],
    ['/@acme%2fp', 'document packument/@acme/p full <- @acme%2fp @acme'],
    ['/@bare/p', 'document packument/@bare/p full <- @bare%2fp bare'],
    ['/lodash/4.0.0', 'document packument/lodash version:4.0.0 <- lodash'],
    ['/lodash/latest', 'document packument/lodash version:latest <- lodash'],
    ['/lodash/1.0.0+build', 'document packument/lodash version:1.0.0+build <- lodash'],
    ['/lodash/1.0.0%2Bbuild', 'document packument/lodash version:1.0.0+build <- lodash'],
    ['/lodash/%5E1.0.0', 'document packument/lodash version:^1.0.0 <- lodash'],
    ['/lodash/__proto__', 'document packument/lodash version:__proto__ <- lodash'],
    ['/@s/p/1.0.0', 'document packument/@s/p version:1.0.0 <- @s%2fp'],
    ['/@s%2fp/1.0.0', 'document packument/@s/p version:1.0.0 <- @s%2fp'],
    ['/-/package/lodash/dist-tags', 'document packument/lodash dist-tags <- lodash'],
    ['/-/package/@s%2fp/dist-tags', 'document packument/@s/p dist-tags <- @s%2fp'],
    ['/-/package/@s/p/dist-tags', 'document packument/@s/p dist-tags <- @s%2fp'],
    ['/lodash/-/lodash-4.0.0.tgz', 'artifact tarball/lodash/-/lodash-4.0.0.tgz <- lodash/-/lodash-4.0.0.tgz'],
    ['/lodash/-/lodash-1.0.0+b.tgz', 'artifact tarball/lodash/-/lodash-1.0.0+b.tgz <- lodash/-/lodash-1.0.0+b.tgz'],
    ['/lodash/-/lodash-1.0.0%2Bb.tgz', 'artifact tarball/lodash/-/lodash-1.0.0+b.tgz <- lodash/-/lodash-1.0.0+b.tgz'],
    ['/lodash/-/other.tgz', 'artifact tarball/lodash/-/other.tgz <- lodash/-/other.tgz'],
    ['/@s/p/-/p-1.0.0.tgz', 'artifact tarball/@s/p/-/p-1.0.0.tgz <- @s/p/-/p-1.0.0.tgz'],
    ['/@s%2fp/-/p-1.0.0.tgz', 'artifact tarball/@s/p/-/p-1.0.0.tgz <- @s/p/-/p-1.0.0.tgz'],
    ['/@s%2Fp/-/p-1.0.0.tgz', 'artifact tarball/@s/p/-/p-1.0.0.tgz <- @s/p/-/p-1.0.0.tgz'],
    ['/@s/p/-/@s/p-1.0.0.tgz', 'artifact tarball/@s/p/-/p-1.0.0.tgz <- @s/p/-/p-1.0.0.tgz'],
    ['/@s%2fp/-/@s/p-1.0.0.tgz', 'artifact tarball/@s/p/-/p-1.0.0.tgz <- @s/p/-/p-1.0.0.tgz'],
    ['/@s%2fp/-/@s%2fp-1.0.0.tgz', 'artifact tarball/@s/p/-/p-1.0.0.tgz <- @s/p/-/p-1.0.0.tgz'],
    ['/@acme/p/-/p-1.0.0.tgz', 'artifact tarball/@acme/p/-/p-1.0.0.tgz <- @acme/p/-/p-1.0.0.tgz @acme'],
    ['/mdurl/-/mdurl-2.0.0.tgz', 'artifact tarball/mdurl/-/mdurl-2.0.0.tgz <- mdurl/-/mdurl-2.0.0.tgz'],
    [
      '/@types/mdurl/-/mdurl-2.0.0.tgz',
      'artifact tarball/@types/mdurl/-/mdurl-2.0.0.tgz <- @types/mdurl/-/mdurl-2.0.0.tgz',
    ],
    ['/-/npm/v1/attestations/p@1.0.0', 'document attestations/p@1.0.0 <- -/npm/v1/attestations/p@1.0.0'],
    ['/-/npm/v1/attestations/@s%2fp@1.0.0', 'document attestations/@s/p@1.0.0 <- -/npm/v1/attestations/@s%2fp@1.0.0'],
    [
      '/-/npm/v1/attestations/@s/p@1.0.0+b',
      'document attestations/@s/p@1.0.0+b <- -/npm/v1/attestations/@s%2fp@1.0.0+b',
    ],
    [
      '/-/npm/v1/attestations/@acme/p@1.0.0',
      'document attestations/@acme/p@1.0.0 <- -/npm/v1/attestations/@acme%2fp@1.0.0 @acme',
    ],
    ['/-/npm/v1/keys', 'document keys <- -/npm/v1/keys'],
    ['/-/ping', 'local 200'],
    ['/-/whoami', 'local 401'],
    [
      '/-/v1/search?text=a+b&size=20&from=0&quality=0.65',
      'GET search -> -/v1/search?text=a+b&from=0&quality=0.65&size=20',
    ],
    ['/-/v1/search?text=x&size=9999', 'GET search -> -/v1/search?text=x&size=250'],
    ['/-/v1/search?text=x&size=-9999', 'GET search -> -/v1/search?text=x&size=1'],
    ['/-/v1/search?text=x&size=many&evil=1', 'GET search -> -/v1/search?text=x&size=20'],
    ['/-/v1/search', 'GET search -> -/v1/search'],
  ])('%s is %s', (path, expected) => {
    expect(answer(path)).toBe(expected);
    expect(answer(path, { method: 'HEAD' })).toBe(expected);
  });

  it.each([
    ['/lodash', INSTALL, 'abbreviated', 'application/vnd.npm.install-v1+json'],
    ['/lodash', 'Application/Vnd.Npm.Install-v1+JSON', 'abbreviated', 'application/vnd.npm.install-v1+json'],
    ['/lodash', 'application/json, */*', 'full', 'application/json'],
    ['/lodash', '*/*', 'full', 'application/json'],
    ['/lodash', undefined, 'full', 'application/json'],
  ])('%s with Accept %s is the %s form', (path, accept, variant, mediaType) => {
    const resource = route(request(path, accept === undefined ? {} : { accept }));
    expect(resource).toMatchObject({
      variant,
      mediaType,
      vary: ['Accept'],
      isRendered: true,
      accept: 'application/json',
    });
  });

  it('does not negotiate tarballs', () => {
    const path = '/lodash/-/lodash-4.0.0.tgz';
    expect(route(request(path, { accept: INSTALL }))).toStrictEqual(route(request(path)));
  });

  it('ties a tarball to its packument and its version', () => {
    expect(route(request('/@acme/p/-/p-1.0.0-rc.1.tgz'))).toMatchObject({
      kind: 'artifact',
      class: 'tarball',
      filename: 'p-1.0.0-rc.1.tgz',
      mediaType: 'application/octet-stream',
      coordinates: { ecosystem: 'npm', name: '@acme/p', version: '1.0.0-rc.1' },
      describedBy: [{ key: 'packument/@acme/p', upstreamScope: '@acme' }],
    });
    expect(route(request('/p/-/other.tgz'))).toMatchObject({ coordinates: { ecosystem: 'npm', name: 'p' } });
  });

  it('uses only classes that the plugin declares', () => {
    for (const path of ['/a', '/a/-/a-1.tgz', '/-/npm/v1/keys', '/-/npm/v1/attestations/a@1.0.0']) {
      expect(Object.keys(plugin.proxy?.classes ?? {})).toContain((route(request(path)) as { class: string }).class);
    }
  });
});

describe('paths that name nothing', () => {
  it.each([
    '/',
    '/node_modules',
    '/favicon.ico',
    '/__proto__',
    '/.hidden',
    '/_users',
    '/lodash%20',
    '/%20lodash',
    '/lo%0Adash',
    '/l%00dash',
    '/lod%5Cash',
    '/lod;ash',
    '/@s%252fp',
    '/%2540s%252fp',
    '/@s',
    '/@s/',
    '/@/p',
    '/@s%2f',
    '/@s%2fp%2fq',
    '/@s/..',
    '/@../p',
    '/@s%2f..',
    '/a%2fb',
    '/lod%D0%B0sh',
    '/%25',
    `/${'a'.repeat(513)}`,
    `/@s/${'a'.repeat(510)}`,
    '/lodash/1.0.0/extra',
    `/lodash/${'1'.repeat(300)}`,
    '/lodash/-',
    '/lodash/-/',
    '/lodash/-/x.zip',
    '/lodash/-/.tgz',
    '/lodash/-/a%2fb.tgz',
    '/lodash/-/..%2f..%2fx.tgz',
    '/lodash/-/a/b.tgz',
    '/lodash/-/lodash-4.0.0.tgz/',
    '/lodash/-/lodash-4.0.0.tgz.',
    '/lodash/-/lodash-4.0.0.tgz%20',
    '/lodash/-/l%D0%BEdash-4.0.0.tgz',
    `/lodash/-/${'a'.repeat(801)}.tgz`,
    '/@s/p/-/@t/p-1.0.0.tgz',
    '/lodash/-rev/1-abc',
    '/-/npm/v1/attestations/lodash',
    '/-/npm/v1/attestations/@1.0.0',
    '/-/npm/v1/attestations/lodash@',
    '/-/npm/v1/attestations/lodash@1%2f2',
    '/-/npm/v1/attestations/..@1.0.0',
    '/-/package/lodash/dist-tags/latest',
  ])('%s', (path) => {
    expect(answer(path)).toBe('nothing');
  });

  it.each([
    '/-',
    '/-/all',
    '/-/all/since',
    '/-/_view/byUser',
    '/-/pnpr',
    '/-/stage',
    '/-/stage/x',
    '/-/package/lodash/trust',
    '/-/package/lodash/collaborators',
    '/-/package/..%2f/dist-tags',
    '/-/npm/v1/oidc/token/exchange/package/x',
    '/-/unknown',
    '/-/v1/login',
    '/-/v1/login/cli/x',
    '/-/npm/v1/tokens',
    '/-/npm/v1/tokens/token/x',
    '/-/npm/v1/user',
    '/-/user/org.couchdb.user:joe',
    '/-/user/token/x',
    '/-/v1/done',
  ])('%s is answered as JSON for every method', (path) => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      const resource = route(request(path, { method }));
      expect(resource).toMatchObject({ kind: 'local', status: 404, headers: { 'Content-Type': 'application/json' } });
      expect(JSON.parse((resource as { body: string }).body)).toStrictEqual({ error: expect.any(String) as string });
    }
  });
});

describe('writing', () => {
  it.each([
    ['PUT', '/lodash'],
    ['PUT', '/@s%2fp'],
    ['PUT', '/lodash/-rev/1-a'],
    ['DELETE', '/lodash/-rev/1-a'],
    ['DELETE', '/lodash/-/lodash-4.0.0.tgz/-rev/1-a'],
    ['PUT', '/lodash/latest'],
    ['POST', '/lodash'],
    ['PUT', '/-/package/lodash/dist-tags/latest'],
    ['DELETE', '/-/package/@s%2fp/dist-tags/latest'],
    ['POST', '/-/npm/v1/keys'],
    ['POST', '/-/v1/search'],
    ['PUT', '/-/npm/v1/attestations/a@1.0.0'],
    ['POST', '/-/ping'],
    ['PATCH', '/lodash'],
    ['OPTIONS', '/lodash'],
  ])('%s %s is refused: a proxy is read-only', (method, path) => {
    expect(() => route(request(path, { method }))).toThrow(
      expect.objectContaining({
        kind: 'method-not-allowed',
        status: 405,
        headers: { Allow: 'GET, HEAD' },
        message: expect.stringContaining('read-only') as string,
      }) as Error,
    );
  });
});

describe('audits', () => {
  it.each([
    ['/-/npm/v1/security/advisories/bulk', 'audit'],
    ['/-/npm/v1/security/audits', 'legacy-audit'],
    ['/-/npm/v1/security/audits/quick', 'legacy-audit'],
  ])('%s goes to the bulk route', (path, name) => {
    expect(route(request(path, { method: 'POST' }))).toMatchObject({
      kind: 'passthrough',
      method: 'POST',
      name,
      upstreamPath: '-/npm/v1/security/advisories/bulk',
      forAnyName: true,
      accept: 'application/json',
      adapt: { answerPath: '/-/npm/v1/security/advisories/bulk' },
      shareFor: 300_000,
    });
    expect(() => route(request(path))).toThrow(
      expect.objectContaining({ status: 405, headers: { Allow: 'POST' } }) as Error,
    );
  });

  it('can be switched off', async () => {
    const off = await createProtocol({ plugin, options: { audit: 'off' } }, REPOSITORY);
    expect(off.route(request('/-/npm/v1/security/advisories/bulk', { method: 'POST' }))).toMatchObject({
      kind: 'local',
      status: 404,
    });
  });
});
