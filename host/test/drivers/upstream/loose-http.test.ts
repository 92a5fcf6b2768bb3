import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { Transport, TransportReply } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UndiciTransport } from '../../../src/drivers/upstream/undici.js';

/** A server that answers every request with these bytes, and ends the connection. */
async function serverOf(text: string): Promise<URL> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.from(text, 'latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/file`);
}

function openTransport(): Transport {
  const transport = new UndiciTransport({ timeouts: { connect: 10_000, headers: 10_000, body: 10_000 } });
  onTestFinished(() => transport.dispose());
  return transport;
}

async function ask(transport: Transport, url: URL): Promise<TransportReply & { readonly text: string }> {
  const { signal } = new AbortController();
  const reply = await transport.send({ method: 'GET', url, headers: { accept: '*/*' }, allowPrivate: true, signal });
  const parts: Buffer[] = [];
  for await (const part of reply.body as AsyncIterable<Buffer>) parts.push(part);
  return { ...reply, text: Buffer.concat(parts).toString() };
}

describe('HTTP that is not strict', () => {
  it.each([
    ['a length before chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n'],
    ['a wrong length after chunks', 'Transfer-Encoding: chunked\r\nContent-Length: 999\r\n\r\n5\r\nwhole\r\n0\r\n\r\n'],
    ['lines that end in LF alone', 'X-Some: thing\nContent-Length: 5\n\nwhole'],
    ['a folded field', 'X-Some: a\r\n b\r\nContent-Length: 5\r\n\r\nwhole'],
    ['control characters in a field', 'X-Some: a\u0001b\r\nContent-Length: 5\r\n\r\nwhole'],
    ['a transfer coding that is none', 'Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nwhole'],
    ['no phrase', 'Content-Length: 5\r\n\r\nwhole'],
  ])('is taken where the end of the body is not in doubt: %s', async (what, rest) => {
    const first = what === 'lines that end in LF alone' ? 'HTTP/1.1 200 OK\n' : 'HTTP/1.1 200 OK\r\n';
    const url = await serverOf(`${first}${rest}`);
    const transport = openTransport();
    for (let asked = 0; asked < 2; asked += 1) {
      const { status, text, headers } = await ask(transport, url);
      expect([status, text]).toEqual([200, 'whole']);
      expect(headers['content-length'] === undefined || headers['transfer-encoding'] === undefined).toBe(true);
    }
  });

  it.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nwhole!'],
    ['fewer bytes than announced', 'X-Some: a\r\n b\r\nContent-Length: 50\r\n\r\nwhole'],
    ['chunks without an end', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n'],
    ['no name of a field', ': x\r\nContent-Length: 5\r\n\r\nwhole'],
  ])('is refused where it is: %s', async (_what, rest) => {
    const url = await serverOf(`HTTP/1.1 200 OK\r\n${rest}`);
    await expect(ask(openTransport(), url)).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });
});
