import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as requestHttp } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openTestRepository } from '@entrepot/core/testing';
import { hasGitTools } from '@entrepot/fixtures/git-server';
import { GuardProxy, hasProxy } from '../src/guard-proxy.js';
import plugin from '../src/index.js';

const hasTools = await hasGitTools();
const NO_PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];

async function open(): Promise<{ readonly proxy: GuardProxy; readonly url: URL; readonly target: string }> {
  const server = createServer((request, response) => response.end(`${request.headers.host} ${request.url}`));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const proxy = new GuardProxy();
  onTestFinished(() => proxy.close());
  const { HTTPS_PROXY = '' } = await proxy.open();
  return { proxy, url: new URL(HTTPS_PROXY), target: `localhost:${(server.address() as AddressInfo).port}` };
}

function authorization({ username, password }: URL): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Reads the replies to a tunnel, and to a request through it where there is one. */
async function tunnelled(url: URL, target: string, credentials = authorization(url)): Promise<string> {
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${credentials}\r\n\r\n`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  if (!head.toString().startsWith('HTTP/1.1 200')) {
    socket.destroy();
    return head.toString().split('\r\n', 1)[0] as string;
  }
  socket.write(`GET /a HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`);
  return (await text(socket)).split('\r\n').at(-1) as string;
}

async function forwarded(url: URL, asked: string, credentials = authorization(url)): Promise<string> {
  const request = requestHttp({
    host: url.hostname,
    port: url.port,
    path: asked,
    headers: { host: new URL(asked).host, 'proxy-authorization': credentials },
  });
  const [answer] = await once(request.end(), 'response');
  const body = await text(answer);
  return answer.statusCode === 200 ? body : String(answer.statusCode);
}

describe('what go and git reach the network by', () => {
  it('leads to hosts, by tunnels and by plain http', async () => {
    const { url, target, proxy } = await open();
    expect(await tunnelled(url, target)).toContain('/a');
    expect(await forwarded(url, `http://${target}/b?c=d`)).toBe(`${target} /b?c=d`);
    expect(proxy.refused).toBeUndefined();
  });

  it.each([
    '169.254.169.254:443',
    '169.254.1.1:80',
    '[fe80::1]:443',
    '[::ffff:169.254.169.254]:443',
    '[64:ff9b::a9fe:a9fe]:443',
    '[fd00:ec2::254]:80',
    '0.0.0.0:443',
    '[::]:443',
    '224.0.0.1:443',
  ])('never leads to %s', async (target) => {
    const { url, proxy } = await open();
    expect(await tunnelled(url, target)).toBe('HTTP/1.1 403 Forbidden');
    expect(await forwarded(url, `http://${target}/latest/meta-data`)).toBe('403');
    expect(proxy.refused).toBeDefined();
  });

  it('is for the run that it was opened for', async () => {
    const { url, target } = await open();
    expect(await tunnelled(url, target, 'Basic YTpi')).toContain('407');
    expect(await forwarded(url, `http://${target}/`, 'Basic YTpi')).toBe('407');
  });

  it('stands back for a proxy of the environment', () => {
    expect([hasProxy({}), hasProxy({ HTTPS_PROXY: '' }), hasProxy({ https_proxy: 'http://a' })]).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe.skipIf(!hasTools)('a direct route', () => {
  it('has git reach its host through it', async () => {
    const seen: number[] = [];
    const host = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        seen.push(bytes[0] as number);
        socket.destroy();
      });
    });
    host.listen(0, '127.0.0.1');
    await once(host, 'listening');
    onTestFinished(() => void host.close());
    const proxy = new GuardProxy();
    onTestFinished(() => proxy.close());
    const env = { ...(await proxy.open()), PATH: process.env['PATH'], GIT_TERMINAL_PROMPT: '0' };
    const url = `https://localhost:${(host.address() as AddressInfo).port}/x.git`;
    await new Promise((resolve) => execFile('git', ['ls-remote', url], { env }, resolve));
    // The first record of a TLS handshake (RFC 8446 §5.1).
    expect(seen).toEqual([22]);
  });

  it('never leads to a link-local address', async () => {
    for (const name of NO_PROXIES) vi.stubEnv(name, '');
    onTestFinished(() => void vi.unstubAllEnvs());
    const repository = await openTestRepository({
      plugin,
      options: { sumdb: 'off', unverified: '', private: '', routes: [{ match: '169.254.169.254', direct: true }] },
    });
    onTestFinished(() => repository.close());
    const reply = await repository.ask({ path: '/169.254.169.254/team/lib/@v/list' });
    expect([reply.status, reply.body.toString()]).toEqual([
      403,
      expect.stringContaining('a link-local address, which is never asked'),
    ]);
  });
});
