import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { openHarness } from './harness.js';

/** A server that answers the raw target `/files/start` with `location`, and says which targets it was asked for. */
async function redirecting(location: Buffer): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (head) => {
      const target = head.toString('latin1').split(' ', 2)[1] ?? '';
      asked.push(target);
      const isStart = target === '/files/start';
      const extra = isStart
        ? Buffer.concat([Buffer.from('Location: '), location, Buffer.from('\r\n')])
        : Buffer.alloc(0);
      const status = isStart ? '302 Found' : '200 OK';
      const size = isStart ? 0 : 4;
      socket.write(
        Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\nContent-Length: ${size}\r\n`), extra, Buffer.from('\r\n')]),
      );
      if (!isStart) socket.write('cafe');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

it.each([
  ['UTF-8', Buffer.from('/files/caf\u00e9.txt'), '/files/caf%C3%A9.txt'],
  ['Latin-1', Buffer.from('/files/caf\u00e9.txt', 'latin1'), '/files/caf%E9.txt'],
  ['ASCII with escapes', Buffer.from('/files/a%2Fb%e9?sig=a%2Bb'), '/files/a%2Fb%e9?sig=a%2Bb'],
])('a redirect whose Location is raw %s leads to the same bytes', async (_name, location, target) => {
  const { url, asked } = await redirecting(location);
  const { get } = await openHarness({ definition: { upstreams: [{ url }] } });
  const answer = await get('/files/start');
  expect([answer.status, await answer.text()]).toEqual([200, 'cafe']);
  expect(asked).toEqual(['/files/start', target]);
});
