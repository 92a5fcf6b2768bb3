import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createSenderOf, type SenderRules } from '../../src/http/sender.js';
import { trustedProxies } from '../../src/http/trusted-proxies.js';

type Headers = Readonly<Record<string, string>>;

function senderOf(
  headers: Headers,
  { method = 'POST', address = '127.0.0.1', httpVersionMinor = 1, ...rules }: Partial<SenderRules> & Facts = {},
): string {
  const request = { method, httpVersionMinor, headers: { host: '127.0.0.1:8080', ...headers } };
  const socket = { remoteAddress: address, localAddress: '127.0.0.1', localPort: 8080 };
  const all = { publicUrls: [], proxies: trustedProxies([]), hasProxies: false, ...rules };
  return createSenderOf(all)({ ...request, socket } as unknown as IncomingMessage);
}

interface Facts {
  readonly method?: string;
  readonly address?: string;
  readonly httpVersionMinor?: number;
}

describe('the sender of a request', () => {
  it.each(['127.0.0.1:8080', '127.1.2.3', 'localhost:80', 'LOCALHOST', '[::1]:8080', '[::ffff:127.0.0.1]'])(
    'is a user of this machine who asks %s for something',
    (host) => {
      expect(senderOf({ host })).toBe('this-machine');
      expect(senderOf({ host }, { address: '::1' })).toBe('this-machine');
      expect(senderOf({ host }, { address: '::ffff:127.0.0.1' })).toBe('this-machine');
    },
  );

  it.each([
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded',
    'x-real-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'x-original-forwarded-for',
    'x-original-url',
    'x-envoy-external-address',
    'x-azure-clientip',
    'x-amzn-trace-id',
    'x-cloud-trace-context',
    'x-arr-log-id',
    'x-remote-addr',
    'x-proxy-user',
    'true-client-ip',
    'cf-connecting-ip',
    'cf-connecting-ipv6',
    'fastly-client-ip',
    'fly-client-ip',
    'wl-proxy-client-ip',
    'cdn-loop',
  ])('is elsewhere where a proxy adds %s', (name) => {
    expect(senderOf({ [name]: '192.0.2.1' })).toBe('elsewhere');
  });

  it.each(['packages.example.com', '192.0.2.1:8080', 'localhost.evil.test', '127.0.0.1.evil.test', '', 'a b'])(
    'is elsewhere where the client asked %j for something',
    (host) => {
      expect(senderOf({ host })).toBe('elsewhere');
    },
  );

  it('is elsewhere on another address, behind nginx as it comes, and behind the proxies of the configuration', () => {
    expect(senderOf({}, { address: '192.0.2.1' })).toBe('elsewhere');
    expect(senderOf({}, { httpVersionMinor: 0 })).toBe('elsewhere');
    expect(senderOf({}, { hasProxies: true })).toBe('elsewhere');
    expect(senderOf({}, { publicUrls: ['https://packages.example.com'] })).toBe('elsewhere');
    expect(senderOf({}, { publicUrls: ['http://localhost:8080/npm'] })).toBe('this-machine');
  });

  it.each<[string, Headers]>([
    ['another site', { origin: 'https://evil.test' }],
    ['another port', { origin: 'http://127.0.0.1:9090' }],
    ['a frame without an origin', { origin: 'null' }],
    ['another site, by what the browser says of it', { 'sec-fetch-site': 'cross-site' }],
    ['a neighbouring host', { 'sec-fetch-site': 'same-site' }],
    ['a name that was led here', { host: 'evil.test:8080', origin: 'http://evil.test:8080' }],
  ])('is a page of %s', (_what, headers) => {
    expect(senderOf(headers)).toBe('foreign-page');
    expect(senderOf(headers, { publicUrls: ['https://packages.example.com'] })).toBe('foreign-page');
  });

  it('may be a page of this server', () => {
    expect(senderOf({ origin: 'http://127.0.0.1:8080', 'sec-fetch-site': 'same-origin' })).toBe('this-machine');
    expect(senderOf({ host: '192.0.2.1', origin: 'https://192.0.2.1' }, { address: '192.0.2.9' })).toBe('elsewhere');
    const publicUrls = ['https://packages.example.com/npm'];
    expect(senderOf({ origin: 'https://packages.example.com' }, { publicUrls })).toBe('elsewhere');
    const proxied = { hasProxies: true, proxies: trustedProxies(['127.0.0.1']) };
    const forwarded = { 'x-forwarded-host': '192.0.2.7', 'x-forwarded-proto': 'https' };
    expect(senderOf({ origin: 'https://192.0.2.7', ...forwarded }, proxied)).toBe('elsewhere');
  });

  it('may follow a link of another site, and look at a page under any name', () => {
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect(senderOf(link, { method: 'GET' })).toBe('this-machine');
    const named = { host: 'packages', origin: 'http://packages' };
    expect(senderOf(named, { method: 'GET', address: '192.0.2.9' })).toBe('elsewhere');
  });
});
