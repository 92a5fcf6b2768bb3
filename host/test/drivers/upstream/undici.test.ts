import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server as TcpServer,
  type Socket,
} from 'node:net';
import { EntrepotError, type TransportRequest } from '@entrepot/core';
import { FakeUpstream, readStream, sampleBytes, transportSuite } from '@entrepot/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_TRANSPORT } from '../../../src/config/schema.js';
import { openTransport } from '../../../src/drivers/upstream/open-transport.js';
import { UndiciTransport, type UndiciTransportOptions } from '../../../src/drivers/upstream/undici.js';

const timeouts = { connect: 5000, headers: 10_000, body: 10_000 };

transportSuite(
  { describe, it },
  ({ headTimeout = 10_000, idleTimeout = 10_000 }) =>
    new UndiciTransport({ timeouts: { connect: 5000, headers: headTimeout, body: idleTimeout } }),
  { timeouts: true },
);

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function open(options: Partial<UndiciTransportOptions> = {}): UndiciTransport {
  const transport = new UndiciTransport({ timeouts, ...options });
  cleanups.push(() => transport.dispose());
  return transport;
}

async function fakeUpstream(): Promise<FakeUpstream> {
  const upstream = await FakeUpstream.start();
  cleanups.push(() => upstream.close());
  return upstream;
}

/** @returns the port. */
async function listen(server: Server | TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

function get(url: string, more: Partial<TransportRequest> = {}): TransportRequest {
  const { signal } = new AbortController();
  return { method: 'GET', url: new URL(url), headers: {}, allowPrivate: true, signal, ...more };
}

describe('failures have codes', () => {
  it('of a connection that is refused', async () => {
    const server = createTcpServer();
    const port = await listen(server);
    const closed = once(server, 'close');
    server.close();
    await closed;
    cleanups.pop();
    await expect(open().send(get(`http://127.0.0.1:${port}/a`))).rejects.toMatchObject({
      code: 'UPSTREAM_REFUSED',
      message: `GET http://127.0.0.1:${port}/a: the connection was refused`,
    });
  });

  it.each([
    ['no HTTP', '220 mail.example.com ESMTP\r\n\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nx-large: ${'x'.repeat(200_000)}`],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
  ])('of %s', async (_, reply) => {
    const port = await listen(createTcpServer((socket) => void socket.once('data', () => socket.end(reply))));
    await expect(open().send(get(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({
      kind: 'upstream-unavailable',
      code: 'UPSTREAM_PROTOCOL',
    });
  });

  it('of TLS where there is none', async () => {
    const upstream = await fakeUpstream();
    await expect(open().send(get(upstream.url.replace('http:', 'https:')))).rejects.toMatchObject({
      code: 'UPSTREAM_TLS',
    });
  });

  it('of another scheme', async () => {
    await expect(open().send(get('ftp://127.0.0.1/a'))).rejects.toMatchObject({ code: 'UPSTREAM_PROTOCOL' });
  });

  it('in the middle of a body', async () => {
    const upstream = await fakeUpstream();
    upstream.serve('/a', { body: sampleBytes(100_000), fault: { kind: 'reset', after: 70_000 } });
    const { body } = await open().send(get(`${upstream.url}/a`));
    await expect(readStream(body)).rejects.toMatchObject({ code: 'UPSTREAM_RESET', kind: 'upstream-unavailable' });
  });

  it('in a body that nobody reads yet, for whoever reads it later', async () => {
    const upstream = await fakeUpstream();
    upstream.serve('/a', { body: sampleBytes(100_000), fault: { kind: 'reset', after: 10 } });
    const { body } = await open().send(get(`${upstream.url}/a`));
    // Not `once` of node:events, which listens for errors.
    await new Promise((resolve) => body.once('close', resolve));
    await expect(readStream(body)).rejects.toMatchObject({ code: 'UPSTREAM_RESET' });
  });

  it('of an address that is refused, by name', async () => {
    const upstream = await fakeUpstream();
    const url = upstream.url.replace('127.0.0.1', 'localhost');
    await expect(open().send(get(url, { allowPrivate: false }))).rejects.toMatchObject({
      kind: 'forbidden',
      code: 'ADDRESS_REFUSED',
      message: expect.stringMatching(/^localhost \((127\.0\.0\.1|::1)\) is no public address/),
    });
  });

  it('of what was under way when it was disposed of', async () => {
    const upstream = await fakeUpstream();
    const gate = upstream.hold('/a');
    const transport = open();
    const sending = transport.send(get(`${upstream.url}/a`));
    const failed = expect(sending).rejects.toMatchObject({ code: 'UPSTREAM_ABORTED' });
    await gate.reached;
    await transport.dispose();
    await failed;
  });

  it('that the abort gave them, also in the middle of a body', async () => {
    const upstream = await fakeUpstream();
    upstream.serve('/a', { body: sampleBytes(100_000), fault: { kind: 'stall', after: 10 } });
    const reason = new EntrepotError('upstream-unavailable', 'took too long', { status: 504 });
    const abort = new AbortController();
    const { body } = await open().send(get(`${upstream.url}/a`, { signal: abort.signal }));
    abort.abort(reason);
    await expect(readStream(body)).rejects.toBe(reason);
  });
});

describe('a kept connection', () => {
  /** Answers the first request of its first connection, resets that connection at the second, and answers all others. */
  async function forgetful(): Promise<{ readonly url: string; readonly requests: string[] }> {
    const requests: string[] = [];
    let connections = 0;
    const port = await listen(
      createTcpServer((socket) => {
        connections += 1;
        const connection = connections;
        let served = 0;
        socket.on('data', (data) => {
          requests.push(`${connection} ${data.toString().split(' ', 1)[0]}`);
          served += 1;
          if (connection === 1 && served === 2) socket.resetAndDestroy();
          else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        });
      }),
    );
    return { url: `http://127.0.0.1:${port}/`, requests };
  }

  it.each(['GET', 'HEAD'] as const)('that was closed meanwhile is retried once for %s', async (method) => {
    const { url, requests } = await forgetful();
    const transport = open({ connections: 1 });
    await readStream((await transport.send(get(url))).body);
    const reply = await transport.send(get(url, { method }));
    expect(reply.status).toBe(200);
    expect(requests).toEqual(['1 GET', `1 ${method}`, `2 ${method}`]);
  });

  it('that was closed meanwhile fails a POST', async () => {
    const { url, requests } = await forgetful();
    const transport = open({ connections: 1 });
    await readStream((await transport.send(get(url))).body);
    const post = transport.send(get(url, { method: 'POST', body: Buffer.from('{}') }));
    await expect(post).rejects.toMatchObject({ code: 'UPSTREAM_RESET' });
    expect(requests).toEqual(['1 GET', '1 POST']);
  });

  it('is told from a new one, whose reset is not retried', async () => {
    const upstream = await fakeUpstream();
    upstream.serve('/a', { fault: { kind: 'reset-before-head' } });
    await expect(open().send(get(`${upstream.url}/a`))).rejects.toMatchObject({ code: 'UPSTREAM_RESET' });
    expect(upstream.count('/a')).toBe(1);
  });

  it('is used again', async () => {
    let connections = 0;
    const server = createHttpServer((_, response) => void response.end('a'));
    server.on('connection', () => (connections += 1));
    const port = await listen(server);
    const transport = open({ connections: 1 });
    for (let round = 0; round < 3; round += 1) {
      await readStream((await transport.send(get(`http://127.0.0.1:${port}/`))).body);
    }
    expect(connections).toBe(1);
  });
});

it('reads no further than its reader', async () => {
  const upstream = await fakeUpstream();
  let sent = 0;
  upstream.handle('/a', async (_, response) => {
    const piece = Buffer.alloc(64 * 1024);
    // Ends when nothing is taken any more: what the kernel and the transport hold is bounded.
    while (!response.destroyed && sent < 256 * 1024 * 1024) {
      sent += piece.length;
      if (response.write(piece)) continue;
      const drained = await Promise.race([
        once(response, 'drain').then(() => true),
        new Promise<boolean>((resolve) => setTimeout(resolve, 300, false)),
      ]);
      if (!drained) break;
    }
    response.destroy();
  });
  const { body } = await open().send(get(`${upstream.url}/a`));
  await once(body, 'readable');
  await upstream.requests[0]?.done;
  expect(sent).toBeLessThan(64 * 1024 * 1024);
  body.destroy();
});

describe('TLS', () => {
  const fixture = (name: string) => readFile(new URL(`fixtures/${name}`, import.meta.url), 'utf8');

  async function secureUpstream(): Promise<string> {
    const options = { key: await fixture('server-key.pem'), cert: await fixture('server.pem') };
    const server = createHttpsServer(options, (_, response) => void response.end('secure'));
    return `https://127.0.0.1:${await listen(server)}/a`;
  }

  it('refuses an authority that it does not know', async () => {
    await expect(open().send(get(await secureUpstream()))).rejects.toMatchObject({
      code: 'UPSTREAM_TLS',
      message: expect.stringContaining('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    });
  });

  it('trusts an authority that it is given', async () => {
    const reply = await open({ ca: await fixture('authority.pem') }).send(get(await secureUpstream()));
    expect((await readStream(reply.body)).toString()).toBe('secure');
  });

  it.each([
    ['TLSv1.2' as const, /^UPSTREAM_TLS$/],
    ['TLSv1.3' as const, undefined],
  ])('of no version below the lowest: an upstream of %s', async (version, code) => {
    const options = { key: await fixture('server-key.pem'), cert: await fixture('server.pem'), maxVersion: version };
    const port = await listen(createHttpsServer(options, (_, response) => void response.end('secure')));
    const asked = open({ ca: await fixture('authority.pem'), minTlsVersion: 'TLSv1.3' }).send(
      get(`https://127.0.0.1:${port}/a`),
    );
    if (code === undefined) expect((await readStream((await asked).body)).toString()).toBe('secure');
    else await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(code) as string });
  });

  it('goes through a proxy as a tunnel', async () => {
    const { url, seen } = await proxy();
    const target = await secureUpstream();
    const reply = await open({ proxy: url, ca: await fixture('authority.pem') }).send(get(target));
    expect((await readStream(reply.body)).toString()).toBe('secure');
    expect(seen).toEqual([`CONNECT ${new URL(target).host}`]);
  });
});

/** An HTTP proxy that wants `user` and `p@ss`, unless `open`. */
async function proxy({ refuse = false } = {}): Promise<{ readonly url: string; readonly seen: string[] }> {
  const seen: string[] = [];
  const wanted = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
  const admitted = ({ headers }: IncomingMessage) => !refuse && headers['proxy-authorization'] === wanted;
  const server = createHttpServer(async (request: IncomingMessage, response: ServerResponse) => {
    seen.push(`${request.method} ${request.url}`);
    if (!admitted(request)) {
      response.writeHead(407).end();
      return;
    }
    const reply = await fetch(request.url as string);
    response.writeHead(reply.status).end(Buffer.from(await reply.arrayBuffer()));
  });
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    seen.push(`CONNECT ${request.url}`);
    if (!admitted(request)) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const { hostname, port } = new URL(`http://${request.url}`);
    const target = connect(Number(port), hostname, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    target.on('error', () => socket.destroy());
    socket.pipe(target).pipe(socket);
  });
  return { url: `http://user:p%40ss@127.0.0.1:${await listen(server)}`, seen };
}

describe('a proxy', () => {
  it('gets plain requests as they are, with its credentials', async () => {
    const upstream = await fakeUpstream();
    upstream.serve('/a', { body: 'a' });
    const { url, seen } = await proxy();
    const reply = await open({ proxy: url }).send(get(`${upstream.url}/a?b`));
    expect((await readStream(reply.body)).toString()).toBe('a');
    expect(seen).toEqual([`GET ${upstream.url}/a?b`]);
    expect(upstream.requests[0]?.headers['proxy-authorization']).toBeUndefined();
  });

  it.each(['http', 'https'])('that refuses is an outage (%s)', async (scheme) => {
    const { url } = await proxy({ refuse: true });
    await expect(open({ proxy: url }).send(get(`${scheme}://127.0.0.1:1/a`))).rejects.toMatchObject({
      code: 'UPSTREAM_PROXY',
      message: `GET ${scheme}://127.0.0.1:1/a: the proxy answered 407`,
    });
  });

  it.each(['http://10.0.0.1/', 'http://localhost/', 'http://a.localhost./'])(
    'is not asked for %s where private addresses are not allowed',
    async (target) => {
      const { url, seen } = await proxy();
      const sending = open({ proxy: url }).send(get(target, { allowPrivate: false }));
      await expect(sending).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
      expect(seen).toEqual([]);
    },
  );

  it.each(['http://10.0.0.1/a', 'http://[fd00::1]/a', 'http://100.64.0.1/a'])(
    'is asked for %s where a private upstream named it',
    async (target) => {
      const { url, seen } = await proxy({ refuse: true });
      const sending = open({ proxy: url }).send(get(target, { allowPrivate: false, alsoZone: 'private' }));
      await expect(sending).rejects.toMatchObject({ code: 'UPSTREAM_PROXY' });
      expect(seen).toEqual([`GET ${target}`]);
    },
  );

  it.each(['http', 'https'])('is the one of the variables where the configuration names none (%s)', async (scheme) => {
    const { url, seen } = await proxy({ refuse: true });
    const transport = openTransport(DEFAULT_TRANSPORT, { [`${scheme.toUpperCase()}_PROXY`]: url });
    cleanups.push(() => transport.dispose());
    await expect(transport.send(get(`${scheme}://packages.example.com/a`))).rejects.toMatchObject({
      code: 'UPSTREAM_PROXY',
    });
    expect(seen).toEqual([
      scheme === 'http' ? 'GET http://packages.example.com/a' : 'CONNECT packages.example.com:443',
    ]);
  });

  it.each([
    ['a variable that exempts the host', undefined, { no_proxy: '.invalid' }],
    ['a configuration that wants none', 'none' as const, {}],
  ])('is left out by %s', async (_why, configured, env) => {
    const { url, seen } = await proxy();
    const config = { ...DEFAULT_TRANSPORT, ...(configured && { proxy: configured }) };
    const transport = openTransport(config, { http_proxy: url, ...env });
    cleanups.push(() => transport.dispose());
    await expect(transport.send(get('http://packages.invalid/a'))).rejects.toMatchObject({
      code: expect.stringMatching(/^UPSTREAM_(?!PROXY)/) as string,
    });
    expect(seen).toEqual([]);
  });

  it('of the configuration goes before the variables, for what is on this machine too', async () => {
    const upstream = await fakeUpstream();
    upstream.serve('/a', { body: 'a' });
    const [own, other] = [await proxy(), await proxy()];
    const transport = openTransport({ ...DEFAULT_TRANSPORT, proxy: own.url }, { http_proxy: other.url, no_proxy: '*' });
    cleanups.push(() => transport.dispose());
    const reply = await transport.send(get(`${upstream.url}/a`));
    expect((await readStream(reply.body)).toString()).toBe('a');
    expect([own.seen, other.seen]).toEqual([[`GET ${upstream.url}/a`], []]);
  });

  it('is left out for the hosts of noProxy, whatever the variable says', async () => {
    const upstream = await fakeUpstream();
    upstream.serve('/a', { body: 'a' });
    const own = await proxy();
    const { port } = new URL(upstream.url);
    for (const [noProxy, through] of [
      [[`127.0.0.0/8`], false],
      [['127.0.0.1:1', '.example.com'], true],
      [[`127.0.0.1:${port}`], false],
      [[], true],
    ] as const) {
      const config = { ...DEFAULT_TRANSPORT, proxy: own.url, noProxy: [...noProxy] };
      const transport = openTransport(config, { no_proxy: '*' });
      cleanups.push(() => transport.dispose());
      own.seen.length = 0;
      const reply = await transport.send(get(`${upstream.url}/a`));
      expect((await readStream(reply.body)).toString()).toBe('a');
      expect([noProxy, own.seen.length]).toEqual([noProxy, through ? 1 : 0]);
    }
  });

  it('of the variables is left out for the hosts of noProxy', async () => {
    const { url, seen } = await proxy();
    const transport = openTransport({ ...DEFAULT_TRANSPORT, noProxy: ['.invalid'] }, { http_proxy: url });
    cleanups.push(() => transport.dispose());
    await expect(transport.send(get('http://packages.invalid/a'))).rejects.toMatchObject({
      code: expect.stringMatching(/^UPSTREAM_(?!PROXY)/) as string,
    });
    expect(seen).toEqual([]);
  });

  it.each(['socks5://user:hush@127.0.0.1:1080', 'hush'])('must be an HTTP proxy', (url) => {
    expect(() => new UndiciTransport({ timeouts, proxy: url })).toThrow(
      /^expected the URL of an HTTP proxy, found (?!.*hush)/,
    );
  });
});
