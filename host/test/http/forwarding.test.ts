import { describe, expect, it } from 'vitest';
import { forwardedPlace } from '../../src/http/forwarded-place.js';
import { reply, repository, serve } from './support.js';

async function start() {
  const debian = repository('/debian', (request) => reply(Buffer.from(`debian ${request.rawPath} ${request.baseUrl}`)));
  const others = repository('/others', (request) => reply(Buffer.from(`others ${request.rawPath}`)));
  return await serve([
    { ...debian, forwards: [forwardedPlace('https://mirror.example.com/debian/', undefined)] },
    {
      ...others,
      forwards: [
        forwardedPlace('http://one.example.com', 'one.example.com'),
        forwardedPlace('http://one.example.com:8080', 'one.example.com:8080'),
      ],
    },
  ]);
}

const get = (target: string): string =>
  `GET ${target} HTTP/1.1\r\nHost: proxy.example.com\r\nConnection: close\r\n\r\n`;

describe('a client that asks as of an HTTP proxy', () => {
  it.each([
    ['http://mirror.example.com/debian/dists/a', 'debian /dists/a http://proxy.example.com/debian'],
    ['http://MIRROR.example.com:80/debian/dists/a', 'debian /dists/a http://proxy.example.com/debian'],
    ['http://one.example.com/debian/x?y', 'others /one.example.com/debian/x'],
    ['http://one.example.com:8080/x', 'others /one.example.com%3A8080/x'],
  ])('gets %s from its repository', async (target, expected) => {
    const answer = await (await start()).raw(get(target));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer.split('\r\n\r\n')[1]).toBe(expected);
  });

  it.each([
    'http://mirror.example.com/other/a',
    'http://mirror.example.com/debianx/a',
    'http://other.example.com/x',
    'http://mirror.example.com:8080/other',
    'http://user@one.example.com.evil.example/x',
    'http:///x',
  ])('is not found where it asks for %s', async (target) => {
    expect(await (await start()).raw(get(target))).toMatch(/^HTTP\/1\.1 404 /);
  });
});
