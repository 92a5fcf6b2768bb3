import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Listener } from '../../src/http/listener.js';
import { freePort } from '../free-port.js';
import { reply, repository, serve } from './support.js';

const answering = repository('/files', () => reply(Buffer.from('x')));

describe('what is no proper request', () => {
  it.each<[string, string, number]>([
    ['a head that is too large', `GET /files/a HTTP/1.1\r\nHost: a\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['a target that is too large', `GET /files/${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
    ['no HTTP', 'HELLO\r\n\r\n', 400],
    ['no Host', 'GET /files/a HTTP/1.1\r\n\r\n', 400],
    ['a bare CR in a header', 'GET /files/a HTTP/1.1\r\nHost: a\r\nX-A: b\rX-C: d\r\n\r\n', 400],
    ['a folded header', 'GET /files/a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n', 400],
    ['a space before the colon', 'GET /files/a HTTP/1.1\r\nHost : a\r\n\r\n', 400],
    ['two lengths', 'PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'a length beside chunks',
      'PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a NUL in a header', 'GET /files/a HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n', 400],
    ['a NUL in the target', 'GET /files/\0 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a space in the target', 'GET /files/a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ])('%s is answered, and its connection closed', async (_what, sent, status) => {
    const server = await serve([answering]);

    const answer = await server.raw(sent);

    expect(Number(answer.slice(9, 12))).toBe(status);
    expect(answer).toMatch(/Connection: close/i);
    expect((await fetch(`${server.url}/files/a`)).status).toBe(200);
  });

  it('does not write into an answer that is on its way', async () => {
    const body = new Readable({ read() {} });
    body.push('half');
    const server = await serve([repository('/files', () => reply(body, { 'Content-Length': '8' }))]);

    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET /files/a HTTP/1.1\r\nHost: a\r\n\r\n');
    let received = '';
    for await (const chunk of socket) {
      received += String(chunk);
      if (received.endsWith('half')) socket.write('nonsense\r\n\r\n');
    }

    expect(received).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nhalf$/);
  });
});

describe('close', () => {
  function get(url: string, agent: Agent): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => void httpRequest(url, { agent }, resolve).on('error', reject).end());
  }

  it('waits for what is running, tells its connection to close, and accepts nothing more', async () => {
    let finish = (): void => {};
    let begun = (): void => {};
    const running = new Promise<void>((resolve) => (begun = resolve));
    const server = await serve([
      repository('/files', async () => {
        begun();
        await new Promise<void>((resolve) => (finish = resolve));
        return reply(Buffer.from('done'));
      }),
    ]);
    const agent = new Agent({ keepAlive: true });
    const answer = get(`${server.url}/files/a`, agent);
    await running;

    server.exchanges.drain();
    const closed = server.listener.close(60_000);
    await expect(fetch(`${server.url}/files/b`)).rejects.toThrow();
    expect(server.exchanges.running).toBe(1);
    finish();

    expect((await answer).headers.connection).toBe('close');
    expect(await text(await answer)).toBe('done');
    await closed;
    expect(server.exchanges.running).toBe(0);
    agent.destroy();
  });

  it('closes connections that keep alive once their answer is through', async () => {
    const body = new Readable({ read() {} });
    body.push('a');
    const server = await serve([repository('/files', () => reply(body))]);
    const agent = new Agent({ keepAlive: true });
    // Its head is out, without "Connection: close".
    const answer = await get(`${server.url}/files/a`, agent);

    server.exchanges.drain();
    const closed = server.listener.close(60_000);
    body.push('b');
    body.push(null);

    expect(await text(answer)).toBe('ab');
    await closed;
    agent.destroy();
  });

  it('breaks off what is still running after the time-out', async () => {
    const server = await serve([
      repository('/files', () => reply(new Readable({ read() {} }), { 'Content-Length': '9' })),
    ]);
    const agent = new Agent({ keepAlive: true });
    const answer = get(`${server.url}/files/a`, agent).then(text);
    const broken = expect(answer).rejects.toThrow(/aborted|socket hang up/);
    while (server.exchanges.running === 0) await new Promise((resolve) => setImmediate(resolve));

    await server.listener.close(20);

    await broken;
    agent.destroy();
  });
});

describe('a port that several processes share', () => {
  const app = (): void => {};
  const options = {
    host: '127.0.0.1',
    headersTimeout: 1,
    requestTimeout: 1,
    keepAliveTimeout: 1,
    maxHeaderBytes: 16_384,
  };
  const open = async (port: number, reusePort: boolean): Promise<Listener> => {
    const listener = new Listener(app, { ...options, port, reusePort }, silentLogger);
    onTestFinished(() => listener.close(0));
    await listener.listen();
    return listener;
  };

  it.skipIf(process.platform !== 'linux')('is one that was named', async () => {
    const port = await freePort();
    await open(port, true);
    await expect(open(port, true)).resolves.toBeDefined();
    await expect(open(port, false)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('is never one that the system chooses: each would get another', async () => {
    const { port } = await open(0, true);
    await expect(open(port, true)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
