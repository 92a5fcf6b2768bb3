import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { checkConfiguration } from '../../src/create-host.js';
import { silentLogger } from '@entrepot/core';
import { basic, startHost, testFolder, type TestHost } from './server.js';

const ANN = basic('ann', 'of ann');

/** An upstream of every kind: what it is asked for by path, and 404 for the rest. */
async function upstreamOf(documents: Readonly<Record<string, string>>, status = 200): Promise<string> {
  const server = createServer((request, response) => {
    const body = documents[decodeURIComponent(request.url ?? '').replace(/\/$/, '')];
    if (status !== 200)
      response.writeHead(status, { 'www-authenticate': 'Bearer realm="https://elsewhere.example.com"' }).end();
    else if (body === undefined) response.writeHead(404).end();
    else
      response.writeHead(200, { 'content-type': body.startsWith('{') ? 'application/json' : 'text/plain' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function open(repository: string, names: string): Promise<TestHost> {
  const access = `access: { users: { ann: { password: "\${env:ANN}", names: ${names} } } }`;
  return await startHost(`repositories: { r: { ${repository}, ${access} } }`, {}, { ANN: 'of ann' });
}

function packument(name: string): string {
  return JSON.stringify({ name, 'dist-tags': {}, versions: {} });
}

function project(name: string): string {
  return JSON.stringify({ meta: { 'api-version': '1.1' }, name, files: [], versions: [] });
}

describe('a grant that is bound to names', () => {
  it('holds for packages of a scope', async () => {
    const documents = {
      '/@acme/tool': packument('@acme/tool'),
      '/acme-x': packument('acme-x'),
      '/other': packument('other'),
      '/-/npm/v1/keys': '{"keys":[]}',
    };
    const { get } = await open(`type: npm, upstream: "${await upstreamOf(documents)}"`, '["@acme/*", "acme-*"]');
    for (const path of ['@acme/tool', '@acme%2ftool', 'acme-x', '-/npm/v1/keys'])
      expect([path, (await get(`/r/${path}`, ANN)).status]).toEqual([path, 200]);
    for (const path of ['other', '@acme-x/tool', 'other/-/other-1.0.0.tgz', '-/v1/search?text=a'])
      expect([path, (await get(`/r/${path}`, ANN)).status]).toEqual([path, 403]);
    expect((await get('/r/@acme/tool')).status).toBe(401);
    expect((await get('/r/other', ANN)).text).toContain('ann may not read from other in repository r');
  });

  it('holds for Python projects, however they are spelt', async () => {
    const documents = { '/simple/acme-tool': project('acme-tool'), '/simple/other': project('other') };
    const { get } = await open(`type: pypi, upstream: "${await upstreamOf(documents)}/simple"`, '["Acme_*"]');
    const accept = { headers: { accept: 'application/vnd.pypi.simple.v1+json' } };
    expect((await get('/r/simple/acme-tool/', ANN, accept)).status).toBe(200);
    expect((await get('/r/simple/other/', ANN, accept)).status).toBe(403);
    expect((await get('/r/simple/', ANN, accept)).status).toBe(403);
  });

  it('holds for modules by globs as GOPRIVATE has them', async () => {
    const list = (module: string) => [`/${module}/@v/list`, 'v1.0.0\n'];
    const modules = [
      'corp.example.com/team/a',
      'corp.example.com/team',
      'corp.example.com/teams',
      'other.example.com/a',
    ];
    const upstream = await upstreamOf(Object.fromEntries(modules.map(list)) as Record<string, string>);
    const settings = 'sumdb: "off", unverified: "", private: ""';
    const { get } = await open(`type: go, ${settings}, upstream: "${upstream}"`, '["*.example.com/team"]');
    const seen = await Promise.all(modules.map(async (module) => (await get(`/r/${module}/@v/list`, ANN)).status));
    expect(seen).toEqual([200, 200, 403, 403]);
  });

  it('holds for files below a folder', async () => {
    const { get } = await open(
      `type: files, upstream: "${await upstreamOf({ '/a/b/c': 'c', '/b': 'b' })}"`,
      '["a/**"]',
    );
    expect([(await get('/r/a/b/c', ANN)).status, (await get('/r/b', ANN)).status]).toEqual([200, 403]);
  });

  it('is refused before anything starts where its pattern is none', async () => {
    const env = {
      ENTREPOT_REPOSITORIES_GO_TYPE: 'go',
      ENTREPOT_REPOSITORIES_GO_UPSTREAM: 'https://proxy.example.com',
      ENTREPOT_REPOSITORIES_GO_ACCESS_USERS: '{ ann: { password: a, names: ["a["] } }',
    };
    const { problems } = await checkConfiguration(await loadConfig({ env, cwd: testFolder() }), {
      logger: silentLogger,
    });
    expect(problems).toMatchObject([{ path: 'repositories.go.access.users.ann.names' }]);
  });
});

describe('a 401 of an upstream', () => {
  it.each(['files', 'npm'])('reaches clients of %s with a challenge that leads nowhere else', async (type) => {
    const upstream = await upstreamOf({}, 401);
    const { get } = await startHost(`repositories: { r: { type: ${type}, upstream: "${upstream}" } }`);
    const path = type === 'npm' ? '/r/demo' : '/r/a.txt';
    const { status, challenge, text } = await get(path);
    expect([status, challenge]).toEqual([401, 'Basic realm="127.0.0.1"']);
    expect(text).toContain('credentials that this server has for it are missing or wrong');
  });
});

describe('a token of ChartMuseum', () => {
  it('is taken without issuer and audience where the configuration says so', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const jwt = (keys: string): string => `access: { jwt: { keyFile: ./key.pem, ${keys} } }`;
    const { get } = await startHost(
      `repositories:
  lax: { type: helm, kind: hosted, ${jwt('issuer: false, audience: false')} }
  strict: { type: helm, kind: hosted, ${jwt('issuer: me, audience: charts')} }
  files: { type: files, kind: hosted, ${jwt('issuer: me, audience: charts')} }`,
      { 'key.pem': pem },
    );
    const access = [{ type: 'artifact-repository', name: 'repo', actions: ['pull'] }];
    const token = new SignJWT({ access }).setProtectedHeader({ alg: 'RS256' }).setIssuedAt().setExpirationTime('5m');
    const authorization = `Bearer ${await token.sign(privateKey)}`;
    expect((await get('/lax/index.yaml', authorization)).status).toBe(200);
    expect((await get('/strict/index.yaml', authorization)).status).toBe(401);
    const told = await get('/files/a.txt', authorization);
    expect([told.status, told.text]).toEqual([401, expect.stringContaining('access.jwt.issuer: false')]);
    expect(told.challenge).toContain(
      'Bearer realm="Entrepot",error="invalid_token",error_description="The token is refused',
    );
  });

  it('needs a key of its own for that', async () => {
    const env = {
      ENTREPOT_REPOSITORIES_C_TYPE: 'helm',
      ENTREPOT_REPOSITORIES_C_KIND: 'hosted',
      ENTREPOT_REPOSITORIES_C_ACCESS_JWT: '{ keysUrl: "https://id.example.com/keys", issuer: false, audience: charts }',
    };
    await expect(loadConfig({ env, cwd: testFolder() })).rejects.toThrow('expected keyFile beside issuer: false');
  });
});
