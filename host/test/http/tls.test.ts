import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, type ConnectionOptions } from 'node:tls';
import { silentLogger } from '@entrepot/core';
import { afterAll, describe, expect, it } from 'vitest';
import { startHost } from '../access/server.js';
import { reply, repository, serve } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'entrepot-tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

function openssl(...words: string[]): void {
  execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];

function makeAuthority(name: string): void {
  openssl('req', '-x509', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`);
}

/** `name`.pem and `name`.key, for 127.0.0.1. */
function makeCertificate(name: string, authority: string): void {
  const extension = ['-addext', 'subjectAltName=IP:127.0.0.1'];
  const signing = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`];
  openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    ...extension,
    ...signing,
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
  );
}

makeAuthority('ours');
makeAuthority('theirs');
for (const name of ['server', 'renewed', 'client']) makeCertificate(name, 'ours');
makeCertificate('stranger', 'theirs');

const CA = readFileSync(at('ours.pem'));
const pair = (name: string) => ({ cert: readFileSync(at(`${name}.pem`)), key: readFileSync(at(`${name}.key`)) });
const tls = (more: string): string => `{ cert: "${at('server.pem')}", key: "${at('server.key')}"${more} }`;

async function get(url: string, options: ConnectionOptions = {}): Promise<{ status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    request(url, { ca: CA, agent: false, ...options }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, text: body }), reject);
    })
      .on('error', reject)
      .end();
  });
}

/** The common name of the certificate that a server on `port` shows. */
async function shownBy(port: number): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca: CA }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    }).on('error', reject);
  });
}

describe('HTTPS', () => {
  it('is what clients and documents see', async () => {
    const host = await startHost(`
server: { tls: ${tls('')} }
repositories:
  box: { type: files, kind: hosted }
  same: { type: files, kind: hosted, listen: "127.0.0.1:0" }
  plain: { type: files, kind: hosted, listen: "localhost:0", tls: false }`);
    const [main, same, plain] = host.urls as [string, string, string];

    expect([main, same, plain].map((url) => new URL(url).protocol)).toEqual(['https:', 'https:', 'http:']);
    const page = await get(main);
    expect(page.text).toContain(`<code>${main}/box/</code>`);
    expect(page.text).toContain(`<code>${same}/same/</code>`);
    expect(page.text).toContain(`<code>http://127.0.0.1:${new URL(plain).port}/plain/</code>`);
    expect((await get(`${same}/same/a`)).status).toBe(404);
    expect((await fetch(`${plain}/plain/a`)).status).toBe(404);
  });

  it('asks for certificates of clients', async () => {
    const ca = `, ca: "${at('ours.pem')}", clientCertificates: require`;
    const host = await startHost(`
server: { tls: ${tls(ca)} }
repositories: { box: { type: files, kind: hosted } }`);
    const url = `${host.urls[0]}/-/livez`;

    expect((await get(url, pair('client'))).status).toBe(200);
    await expect(get(url)).rejects.toThrow();
    await expect(get(url, pair('stranger'))).rejects.toThrow();
  });

  it('does not answer plain HTTP, nor old TLS', async () => {
    const host = await startHost(`server: { tls: ${tls('')} }\nrepositories: {}`);
    const [url = ''] = host.urls;

    await expect(fetch(url.replace('https', 'http'))).rejects.toThrow();
    await expect(get(url, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow();
    expect((await get(`${url}/-/livez`)).status).toBe(200);
  });

  it('takes new certificates without a restart, and keeps the old ones where the new are bad', async () => {
    for (const end of ['pem', 'key']) copyFileSync(at(`server.${end}`), at(`live.${end}`));
    const options = { cert: at('live.pem'), key: at('live.key'), clientCertificates: 'none' as const };
    let errors = 0;
    const logger = { ...silentLogger, error: () => void (errors += 1) };
    const server = await serve([repository('/files', () => reply(Buffer.from('x')))], {
      listener: { tls: options },
      certificatesInterval: 5,
      logger,
    });
    expect(await shownBy(server.port)).toBe('server');

    writeFileSync(at('live.pem'), 'nonsense');
    await expect.poll(() => errors, { timeout: 60_000 }).toBe(1);
    expect(await shownBy(server.port)).toBe('server');
    for (const end of ['key', 'pem']) copyFileSync(at(`renewed.${end}`), at(`live.${end}`));

    await expect.poll(() => shownBy(server.port), { timeout: 60_000 }).toBe('renewed');
    expect((await get(`${server.url}/files/a`)).text).toBe('x');
  });

  it.each<[string, string, string, RegExp]>([
    ['no such file', '{ cert: nothing.pem, key: nothing.key }', 'server.tls', /nothing\.pem cannot be read \(ENOENT\)/],
    [
      'a key of another certificate',
      `{ cert: "${at('server.pem')}", key: "${at('client.key')}" }`,
      'server.tls',
      /key values mismatch/,
    ],
    [
      'a key for a certificate',
      `{ cert: "${at('server.key')}", key: "${at('server.key')}" }`,
      'server.tls',
      /expected a PEM certificate/,
    ],
    [
      'no authority for clients',
      tls(', clientCertificates: require'),
      'server.tls',
      /ca and clientCertificates: require together/,
    ],
  ])('is refused with %s', async (_what, value, path, message) => {
    const started = startHost(`server: { tls: ${value} }\nrepositories: {}`);

    await expect(started).rejects.toMatchObject({ problems: [{ path, message: expect.stringMatching(message) }] });
  });

  it.each<[string, string, string]>([
    ['without a listener of its own', 'a: { type: files, kind: hosted, tls: false }', 'repositories.a.tls'],
    [
      'and another on the same listener without',
      `a: { type: files, kind: hosted, listen: "127.0.0.1:1" }, b: { type: files, kind: hosted, listen: "127.0.0.1:1", tls: ${tls('')} }`,
      'repositories.b.tls',
    ],
  ])('is refused for a repository %s', async (_what, repositories, path) => {
    await expect(startHost(`repositories: { ${repositories} }`)).rejects.toMatchObject({ problems: [{ path }] });
  });
});
