import { existsSync, readFileSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { checkConfiguration } from '../../src/create-host.js';
import { TestProcess } from '../cli/test-context.js';
import { basic, startHost, testFolder, type TestHost } from './server.js';

const HOSTED = `
repositories:
  store: { type: files, kind: hosted }
  open: { type: files, kind: hosted, access: { anonymous: write } }
  named: { type: files, kind: hosted, access: { users: { ann: { password: "\${env:ANN}", may: write } } } }
  charts: { type: helm, kind: hosted }
  images: { type: oci, kind: hosted }
`;
const POLICY = '/-/api/v1/policy';
const ANN = { authorization: basic('ann', 'of ann') };

async function open(more = '', env: Readonly<Record<string, string>> = {}): Promise<TestHost> {
  return await startHost(HOSTED + more, {}, { ANN: 'of ann', ...env });
}

/** Sends a request with any headers, `Host` and `Origin` included. */
async function send(
  host: TestHost,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const body = method === 'GET' || method === 'DELETE' ? undefined : 'x';
  return await new Promise((resolve, reject) => {
    const request = httpRequest(host.urls[0] + path, { method, headers: { ...headers } }, async (response) => {
      resolve({ status: response.statusCode ?? 0, text: await text(response) });
    });
    request.on('error', reject).end(body);
  });
}

/** As nginx passes a request on that is told nothing but `proxy_pass`. */
async function throughNginx(host: TestHost, method: string, path: string): Promise<string> {
  const { port } = new URL(host.urls[0] as string);
  const length = method === 'PUT' ? 'Content-Length: 1\r\n' : '';
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(`${method} ${path} HTTP/1.0\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n${length}\r\n`);
  if (method === 'PUT') socket.write('x');
  return (await text(socket)).split(' ', 2)[1] as string;
}

describe('who is on this machine', () => {
  it('may administer and publish, and nobody else while nobody is named', async () => {
    const host = await open();
    expect((await send(host, 'GET', POLICY)).status).toBe(200);
    expect((await send(host, 'PUT', '/store/a')).status).toBe(201);
    for (const headers of [{ via: '1.1 a' }, { 'x-real-ip': '192.0.2.1' }, { host: 'packages.example.com' }]) {
      expect([headers, (await send(host, 'GET', POLICY, headers)).status]).toEqual([headers, 401]);
      const put = await send(host, 'PUT', '/store/b', headers);
      expect([headers, put.status, put.text]).toEqual([headers, 403, expect.stringContaining('users of this machine')]);
      expect((await send(host, 'DELETE', '/store/a', headers)).status).toBe(403);
      expect((await send(host, 'DELETE', '/open/b', headers)).status).toBeLessThan(500);
      // Access rules hold for callers on this machine, too.
      expect((await send(host, 'PUT', '/open/b', headers)).status).toBeLessThan(300);
      expect((await send(host, 'GET', '/store/a', headers)).status).toBe(200);
    }
    expect(await throughNginx(host, 'GET', POLICY)).toBe('401');
    expect(await throughNginx(host, 'PUT', '/store/c')).toBe('403');
    expect(await throughNginx(host, 'GET', '/store/a')).toBe('200');
  });

  it('is nobody where the configuration says that proxies stand in front', async () => {
    for (const env of [
      { ENTREPOT_SERVER_PUBLIC_URL: 'https://packages.example.com' },
      { ENTREPOT_SERVER_TRUST_PROXY: '[127.0.0.1]' },
    ]) {
      const host = await open('', env as unknown as Record<string, string>);
      expect((await send(host, 'GET', POLICY)).status).toBe(401);
      expect((await send(host, 'PUT', '/store/a')).status).toBe(403);
    }
  });
});

describe('the token of the administration', () => {
  it('is made at the first start, for nobody else to read, and holds from elsewhere', async () => {
    const host = await open();
    const file = join(host.folder, 'data/admin.token');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const token = readFileSync(file, 'utf8').trim();
    const elsewhere = { 'x-forwarded-for': '192.0.2.1' };
    const status = async (authorization: string): Promise<number> =>
      (await send(host, 'GET', POLICY, { ...elsewhere, authorization })).status;
    expect(await status(`Bearer ${token}`)).toBe(200);
    expect(await status(`Bearer ${token}0`)).toBe(401);
    const { text: said } = await send(host, 'GET', POLICY, elsewhere);
    expect(said).not.toContain(host.folder);
  });

  it('is not made where somebody is named, nor by a mere check', async () => {
    const host = await open('admin: { token: "${env:ADMIN}" }', { ADMIN: 'a-token-of-some-length' });
    expect(existsSync(join(host.folder, 'data/admin.token'))).toBe(false);
    const cwd = testFolder();
    const env = { ENTREPOT_REPOSITORIES_A_TYPE: 'files', ENTREPOT_REPOSITORIES_A_KIND: 'hosted' };
    const { problems } = await checkConfiguration(await loadConfig({ env, cwd }), { logger: silentLogger });
    expect(problems).toEqual([]);
    expect(existsSync(join(cwd, 'data'))).toBe(false);
  });

  it('is taken by commands on the machine of the server, where it trusts nobody else', async () => {
    const { urls, folder } = await open('', { ENTREPOT_SERVER_PUBLIC_URL: 'https://packages.example.com' });
    const process = new TestProcess(folder);
    process.env = { ANN: 'of ann', ENTREPOT_SERVER_LISTEN: (urls[0] as string).slice('http://'.length) };
    expect(await process.run('exceptions', 'list')).toBe(0);
    // Not to a server that is named: it may be somebody else's.
    expect(await process.run('exceptions', 'list', '--server', urls[0] as string)).toBe(1);
    expect(process.errors.join()).toContain('the token that was made');
  });
});

describe('a page of another site', () => {
  const CHANGES = [
    ['PUT', '/store/a'],
    ['DELETE', '/store/kept'],
    ['PUT', '/open/a'],
    ['DELETE', '/open/kept'],
    ['PUT', '/named/a'],
    ['DELETE', '/named/kept'],
    ['POST', '/charts/api/charts'],
    ['POST', '/v2/images/x/blobs/uploads/'],
    ['PUT', '/v2/images/x/manifests/latest'],
    ['DELETE', '/v2/images/x/manifests/latest'],
    ['POST', '/-/api/v1/exceptions'],
    ['DELETE', '/-/api/v1/exceptions/e1'],
  ] as const;

  it.each<[string, (port: string) => Readonly<Record<string, string>>]>([
    ['in a browser', () => ({ origin: 'https://evil.test' })],
    ['in a browser that tells no origin', () => ({ 'sec-fetch-site': 'cross-site' })],
    ['in a frame', () => ({ origin: 'null' })],
    ['on a name that was led here', (port) => ({ host: `evil.test:${port}`, origin: `http://evil.test:${port}` })],
  ])('changes nothing: %s', async (_what, headersFor) => {
    const host = await open();
    const { port } = new URL(host.urls[0] as string);
    for (const place of ['store', 'open', 'named'])
      expect((await send(host, 'PUT', `/${place}/kept`, ANN)).status).toBe(201);
    for (const [method, path] of CHANGES) {
      const headers = { ...headersFor(port), ...ANN, 'content-type': 'text/plain' };
      const { status } = await send(host, method, path, headers);
      expect([method, path, status]).toEqual([method, path, path.startsWith('/-/') ? 401 : 403]);
    }
    for (const place of ['store', 'open', 'named']) {
      expect((await send(host, 'GET', `/${place}/kept`, ANN)).status).toBe(200);
      expect((await send(host, 'GET', `/${place}/a`, ANN)).status).toBe(404);
    }
  });

  it('is none of this server', async () => {
    const host = await open();
    const origin = host.urls[0] as string;
    expect((await send(host, 'PUT', '/store/a', { origin, 'sec-fetch-site': 'same-origin' })).status).toBe(201);
    expect((await send(host, 'PUT', '/named/a', { ...ANN, origin })).status).toBe(201);
  });
});
