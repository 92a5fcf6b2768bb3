import { describe, expect, it } from 'vitest';
import { proxyProblems, proxyVariables } from '../../src/config/proxy-variables.js';

const HTTP = 'http://proxy.example.com:3128';
const HTTPS = 'http://user:p%40ss@secure.example.com:3128';

function proxyOf(env: Record<string, string>, url: string): string | undefined {
  return proxyVariables(env)?.(new URL(url));
}

describe('the variables of proxies', () => {
  it.each([
    [{ HTTP_PROXY: HTTP, HTTPS_PROXY: HTTPS }, 'http://a.example.net/', HTTP],
    [{ HTTP_PROXY: HTTP, HTTPS_PROXY: HTTPS }, 'https://a.example.net/', HTTPS],
    [{ http_proxy: HTTP, https_proxy: HTTPS }, 'https://a.example.net/', HTTPS],
    [{ http_proxy: HTTP, HTTP_PROXY: HTTPS }, 'http://a.example.net/', HTTP],
    [{ HTTP_PROXY: HTTP }, 'https://a.example.net/', undefined],
    [{ HTTPS_PROXY: HTTPS }, 'http://a.example.net/', undefined],
    [{ http_proxy: '', HTTP_PROXY: HTTP }, 'http://a.example.net/', HTTP],
    [{ HTTPS_PROXY: 'proxy.example.com:3128' }, 'https://a.example.net/', HTTP],
    [{}, 'http://a.example.net/', undefined],
  ])('%j say of %s: %s', (env, url, expected) => {
    expect(proxyOf(env as Record<string, string>, url)).toBe(expected);
  });

  it.each([
    ['*', 'a.example.net', true],
    ['example.net', 'a.example.net', true],
    ['example.net', 'example.net', true],
    ['EXAMPLE.net', 'a.example.net', true],
    ['example.net', 'badexample.net', false],
    ['.example.net', 'a.example.net', true],
    ['.example.net', 'example.net', false],
    ['*.example.net', 'a.example.net', true],
    ['example.net:8081', 'a.example.net:8081', true],
    ['example.net:8081', 'a.example.net', false],
    ['example.net:80', 'example.net', true],
    ['other.example, example.net', 'example.net', true],
    ['other.example example.net', 'example.net', true],
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '11.1.2.3', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3:8081', '10.1.2.3:8081', true],
    ['10.1.2.3:8081', '10.1.2.3', false],
    ['fd00::/8', '[fd00::1]', true],
    ['fd00::1', '[fd00:0::1]', true],
    ['[fd00::1]:80', '[fd00::1]', true],
    ['10.0.0.0/8', 'a.example.net', false],
    ['', 'example.net', false],
    [',', 'example.net', false],
  ])('NO_PROXY=%s exempts %s: %s', (list, host, exempt) => {
    const found = proxyOf({ HTTP_PROXY: HTTP, NO_PROXY: list }, `http://${host}/`);
    expect(found).toBe(exempt ? undefined : HTTP);
    expect(proxyOf({ http_proxy: HTTP, no_proxy: list, NO_PROXY: '' }, `http://${host}/`)).toBe(found);
  });

  it.each(['127.0.0.1:8081', 'localhost', 'a.localhost', '[::1]', '127.9.9.9'])('never speak of %s', (host) => {
    expect(proxyOf({ HTTP_PROXY: HTTP }, `http://${host}/`)).toBeUndefined();
  });

  it('are a problem where they name no HTTP proxy, and are not shown', () => {
    expect(proxyProblems({ HTTP_PROXY: 'socks5://user:hush@proxy.example.com', https_proxy: 'http://[' })).toEqual([
      { path: 'HTTP_PROXY', message: 'expected the http:// or https:// URL of a proxy, or host:port' },
      { path: 'https_proxy', message: 'expected the http:// or https:// URL of a proxy, or host:port' },
    ]);
    expect(proxyProblems({ HTTP_PROXY: HTTP, HTTPS_PROXY: 'proxy:3128', NO_PROXY: 'x' })).toEqual([]);
  });
});
