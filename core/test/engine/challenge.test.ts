import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../../src/engine/upstream/challenge.js';
import { requireTrustedRealm } from '../../src/engine/upstream/realm-trust.js';

const bearer = (parameters: Record<string, string>) => ({ scheme: 'bearer', parameters });

describe('parseChallenges', () => {
  it.each([
    [
      'Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a:pull"',
      [bearer({ realm: 'https://auth.example.com/token', service: 'registry', scope: 'repository:a:pull' })],
    ],
    ['bearer REALM=x', [bearer({ realm: 'x' })]],
    ['Bearer realm="a,b\\"c" , service = "d"', [bearer({ realm: 'a,b"c', service: 'd' })]],
    ['Bearer scope="repository:a:pull,push"', [bearer({ scope: 'repository:a:pull,push' })]],
    [
      'Basic realm="one", Bearer realm="two"',
      [{ scheme: 'basic', parameters: { realm: 'one' } }, bearer({ realm: 'two' })],
    ],
    [
      'Negotiate, NTLM TlRM==, Bearer realm="two",service=x',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'ntlm', parameters: {} },
        bearer({ realm: 'two', service: 'x' }),
      ],
    ],
    [', ,Bearer realm=""', [bearer({ realm: '' })]],
    ['Bearer realm="never ends', [bearer({ realm: '' }), { scheme: 'never', parameters: {} }]],
    ['"";;', []],
    ['', []],
  ])('reads %s', (header, expected) => {
    const found = parseChallenges(header);
    expect(found.map(({ scheme, parameters }) => ({ scheme, parameters: Object.fromEntries(parameters) }))).toEqual(
      expected,
    );
  });

  it('reads a long hostile header in no time', () => {
    expect(parseChallenges(`Bearer ${'a="\\'.repeat(20_000)}`)[0]).toMatchObject({ scheme: 'bearer' });
    expect(parseChallenges(`Bearer ${'a'.repeat(60_000)}`)).toHaveLength(1);
  });
});

describe('requireTrustedRealm', () => {
  it.each([
    ['https://registry.example.com/', 'https://registry.example.com/token'],
    ['https://registry.example.com/', '/token'],
    ['https://registry.example.com/', 'https://registry.example.com:5001/token'],
    ['https://registry-1.docker.io/', 'https://auth.docker.io/token'],
    ['https://a.example.co.uk/', 'https://b.example.co.uk/token'],
    ['http://127.0.0.1:5000/', 'http://127.0.0.1:5001/token'],
    ['http://[::1]:5000/', 'http://[::1]:5001/token'],
    ['http://registry/', 'http://registry:5001/token'],
    ['http://registry.example.com/', 'https://auth.example.com/token'],
    ['https://registry.example.com/', 'https://login.example.net/token'],
    ['https://registry.example.com/', 'https://login.example.net:8443/token'],
  ])('%s may lead to %s', (upstream, realm) => {
    const { href } = new URL(realm, upstream);
    expect(requireTrustedRealm(realm, new URL(upstream), ['login.example.net']).href).toBe(href);
  });

  it.each([
    ['https://registry.example.com/', 'https://auth.example.net/token'],
    ['https://registry.example.com/', 'https://example.com.evil.net/token'],
    ['https://registry.example.com/', 'http://registry.example.com/token'],
    ['https://a.example.co.uk/', 'https://b.other.co.uk/token'],
    ['https://registry.example.com/', 'http://169.254.169.254/latest'],
    ['http://127.0.0.1:5000/', 'http://127.0.0.2/token'],
    ['http://10.1.2.3/', 'http://99.1.2.3/token'],
    ['http://[::1]/', 'http://[::2]/token'],
    ['http://localhost/', 'http://127.0.0.1/token'],
    ['https://registry.example.com/', 'file:///etc/passwd'],
    ['https://registry.example.com/', 'http://'],
  ])('%s may not lead to %s', (upstream, realm) => {
    expect(() => requireTrustedRealm(realm, new URL(upstream), ['login.example.org'])).toThrow(
      expect.objectContaining({ kind: 'forbidden', code: 'REALM_UNTRUSTED' }),
    );
  });

  it('takes a named host with its port for that port alone', () => {
    const upstream = new URL('https://registry.example.com/');
    const trusted = ['login.example.net:8443'];
    expect(requireTrustedRealm('https://login.example.net:8443/', upstream, trusted).port).toBe('8443');
    expect(() => requireTrustedRealm('https://login.example.net/', upstream, trusted)).toThrow('another site');
  });
});
