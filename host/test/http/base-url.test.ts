import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { baseUrlOf } from '../../src/http/base-url.js';
import { knownOrigins } from '../../src/http/known-origins.js';
import { trustedProxies } from '../../src/http/trusted-proxies.js';
import { reply, repository, serve } from './support.js';

/** The answer, with the base URL that the repository was given as its body. */
async function ask(headers: string, options: { readonly trusted?: readonly string[]; readonly target?: string } = {}) {
  const server = await serve([
    repository('/npm', (request) => reply(Buffer.from(request.baseUrl)), options.trusted ?? []),
  ]);
  const answer = await server.raw(
    `GET ${options.target ?? '/npm/a'} HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`,
  );
  return { status: Number(answer.slice(9, 12)), body: answer.split('\r\n\r\n')[1] };
}

describe('the base URL', () => {
  it.each([
    ['proxy.example.com', 'http://proxy.example.com/npm'],
    ['proxy.example.com:8080', 'http://proxy.example.com:8080/npm'],
    ['127.0.0.1:1', 'http://127.0.0.1:1/npm'],
    ['[::1]:8080', 'http://[::1]:8080/npm'],
    ['my_host', 'http://my_host/npm'],
  ])('follows Host: %s', async (host, expected) => {
    expect(await ask(`Host: ${host}`)).toEqual({ status: 200, body: expected });
  });

  it.each([
    'a b',
    'a/b',
    'a@b',
    'a?b',
    'a#b',
    'a"b',
    '<b>',
    'a:b',
    'a:123456',
    '.a',
    'a\\b',
    '[::1',
    'a,b',
    'a%2fb',
    'ä',
    '',
  ])('refuses Host: %s', async (host) => {
    expect(await ask(`Host: ${host}`)).toMatchObject({ status: 400 });
  });

  it('follows the target rather than Host when the target is absolute', async () => {
    const target = 'http://other.example.com/npm/a';

    expect(await ask('Host: proxy.example.com', { target })).toEqual({
      status: 200,
      body: 'http://other.example.com/npm',
    });
    expect(await ask('Host: proxy.example.com', { target: 'http://user@other/npm/a' })).toMatchObject({ status: 400 });
  });

  const FORWARDED = 'Host: inner\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: packages.example.com';

  it('believes forwarded headers of a trusted proxy', async () => {
    expect(await ask(FORWARDED, { trusted: ['10.0.0.0/8', '127.0.0.1'] })).toMatchObject({
      body: 'https://packages.example.com/npm',
    });
  });

  it.each([[[]], [['10.0.0.0/8']], [['::1']]])('does not believe them of others than %j', async (trusted) => {
    expect(await ask(FORWARDED, { trusted })).toMatchObject({ body: 'http://inner/npm' });
  });

  it('takes no odd scheme or host from a proxy', async () => {
    const trusted = ['127.0.0.0/8'];

    expect(await ask('Host: inner\r\nX-Forwarded-Proto: gopher', { trusted })).toMatchObject({
      body: 'http://inner/npm',
    });
    expect(await ask('Host: inner\r\nX-Forwarded-Host: a/b', { trusted })).toMatchObject({ status: 400 });
  });

  it('is what the configuration says, whatever the request says', () => {
    const baseUrl = baseUrlOf('https://packages.example.com/npm/', '/npm', trustedProxies([]));

    expect(baseUrl({ headers: { host: 'elsewhere' } } as never, undefined)).toBe('https://packages.example.com/npm');
  });
});

describe('trustedProxies', () => {
  it('knows an IPv4 peer of a dual-stack socket', () => {
    const trusted = trustedProxies(['192.0.2.0/24', '2001:db8::/32', '::1']);

    expect(['::ffff:192.0.2.7', '192.0.2.7', '2001:db8::9', '::1'].map(trusted)).toEqual([true, true, true, true]);
    expect(['::ffff:192.0.3.7', '2001:db9::9', 'nonsense', undefined].map(trusted)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('hosts that somebody makes up', () => {
  it('are taken in numbers that a server can render documents for, and keep out nobody who is known', () => {
    let now = 1_000_000;
    const baseUrl = baseUrlOf(
      undefined,
      '/npm',
      trustedProxies([]),
      knownOrigins(() => now),
    );
    const ask = (host: string): string => baseUrl({ headers: { host }, socket: {} } as IncomingMessage, undefined);
    const taken = (from: number): number => {
      let count = 0;
      for (let index = from; index < from + 10_000; index += 1) {
        try {
          ask(`made-up-${index}.example.com`);
          count += 1;
        } catch (error) {
          expect(error).toMatchObject({ code: 'TOO_MANY_HOSTS', status: 503, retryAfter: 1 });
        }
      }
      return count;
    };
    expect(ask('packages.example.com')).toBe('http://packages.example.com/npm');
    expect(taken(0)).toBe(63);
    expect(ask('packages.example.com')).toBe('http://packages.example.com/npm');
    now += 3000;
    expect(taken(10_000)).toBe(3);
    expect(ask('packages.example.com')).toBe('http://packages.example.com/npm');
  });
});
