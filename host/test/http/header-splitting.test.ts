import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startHost } from '../access/server.js';

/** An upstream that answers everything with the same bytes, whatever they are. */
async function upstreamOf(reply: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.from(reply)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function raw(url: string, path: string): Promise<string> {
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.setEncoding('latin1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  return await text(socket);
}

function replyWith(header: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n${header}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc`;
}

describe('headers of an upstream', () => {
  it.each([
    ['content-disposition', 'attachment; filename="x\u010d\u010aSet-Cookie: evil=1\u010d\u010aX-Injected: yes"'],
    ['content-disposition', 'attachment; filename="x\u010d\u010a\u010d\u010aHTTP/1.1 200 OK\u010d\u010a"'],
    ['x-told', 'a\u010d\u010aSet-Cookie: evil=1'],
    ['x-told', 'a\u560d\u560aSet-Cookie: evil=1'],
  ])('do not end where a client would take them to: %s', async (name, value) => {
    const upstream = await upstreamOf(replyWith(`${name}: ${value}`));
    const { urls } = await startHost(
      `repositories: { f: { type: files, upstream: "${upstream}", passHeaders: [x-told] } }`,
    );
    // Fetched, from the copy, and from the ready reply.
    for (let times = 0; times < 3; times += 1) {
      const answer = await raw(urls[0] as string, '/f/a.bin');
      const [head = '', body] = answer.split('\r\n\r\n');
      expect(body).toBe('abc');
      expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
      expect(head).toMatch(/^[\u0020-\u007e\r\n]*$/);
      expect(head.toLowerCase()).not.toMatch(/^(set-cookie|x-injected)/m);
      expect(head.toLowerCase()).toContain(`\r\n${name}: `);
    }
  });

  it('name a file in letters that every client reads', async () => {
    const upstream = await upstreamOf(replyWith('Content-Disposition: attachment; filename="café ☕.txt"'));
    const { urls } = await startHost(`repositories: { f: { type: files, upstream: "${upstream}" } }`);
    for (let times = 0; times < 3; times += 1) {
      expect(await raw(urls[0] as string, '/f/a.bin')).toContain(
        `attachment; filename="caf_ _.txt"; filename*=UTF-8''caf%C3%A9%20%E2%98%95.txt\r\n`,
      );
    }
  });
});
