import { ManualClock } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { RateLimits } from '../../src/access/rate-limits.js';
import { configSchema, type RateLimitConfig } from '../../src/config/schema.js';
import { basic, startHost } from './server.js';

type Limit = Partial<Omit<RateLimitConfig, 'exempt'>> & {
  readonly exempt?: { readonly networks?: readonly string[]; readonly principals?: readonly string[] };
};

function limited(server: Limit | undefined, box?: Limit) {
  const clock = new ManualClock();
  const repositories = { box: { type: 'files', ...(box && { rateLimit: box }) } };
  const config = configSchema.parse({ server: server && { rateLimit: server }, repositories });
  const limits = new RateLimits(config.server.rateLimit, config.repositories ?? {}, clock);
  const of = limits.of('box');
  return {
    clock,
    limits,
    /** Seconds that the caller has to wait; 0: it need not. */
    ask: (client?: string, name?: string) => of?.take(client, name)?.retryAfter ?? 0,
    tell: (client?: string, name?: string) => of?.take(client, name)?.message,
  };
}

describe('limits by caller', () => {
  it('are none where none are configured', () => {
    expect(limited(undefined).limits.of('box')).toBeUndefined();
    expect(limited({ address: { requests: 1 } }).limits.of()).toBeDefined();
  });

  it('let a burst pass, then so many a second, and say exactly when the next one is let through', () => {
    const { ask, clock } = limited({ address: { requests: 0.5, burst: 3 } });
    expect([1, 2, 3, 4, 5].map(() => ask('192.0.2.1'))).toEqual([0, 0, 0, 2, 2]);
    clock.advance(1_999);
    expect(ask('192.0.2.1')).toBe(1);
    clock.advance(1);
    expect([ask('192.0.2.1'), ask('192.0.2.1')]).toEqual([0, 2]);
    clock.advance(3_600_000);
    expect([1, 2, 3, 4].map(() => ask('192.0.2.1'))).toEqual([0, 0, 0, 2]);
  });

  it('have a burst of ten seconds where none is named', () => {
    const { ask } = limited({ address: { requests: 2 } });
    const answers = Array.from({ length: 21 }, () => ask('192.0.2.1'));
    expect(answers.indexOf(1)).toBe(20);
  });

  it('are of each caller by itself: by name where that is known, else by address, of IPv6 by network', () => {
    const share = { requests: 0.1, burst: 1 };
    const { ask } = limited({ address: share, principal: share });
    expect([ask('192.0.2.1'), ask('192.0.2.1'), ask('192.0.2.2')]).toEqual([0, 10, 0]);
    expect([ask('192.0.2.1', 'ci'), ask('192.0.2.9', 'ci'), ask('192.0.2.1', 'dev')]).toEqual([0, 10, 0]);
    expect([ask('2001:db8:1:2::1'), ask('2001:db8:1:2:ffff::9'), ask('2001:db8:1:3::1')]).toEqual([0, 10, 0]);
    expect([ask('::ffff:192.0.2.1'), ask('::ffff:192.0.2.3'), ask('192.0.2.3')]).toEqual([10, 0, 10]);
    expect(ask(undefined)).toBe(0);
  });

  it('count those who are named by their address where names have no share', () => {
    const { ask } = limited({ address: { requests: 0.1, burst: 1 } });
    expect([ask('192.0.2.1', 'ci'), ask('192.0.2.1', 'dev')]).toEqual([0, 10]);
  });

  it('leave alone who is exempt, here or on the whole server', () => {
    const share = { requests: 0.1, burst: 1 };
    const both = { address: share, principal: share };
    const { ask } = limited(
      { ...both, exempt: { networks: ['10.0.0.0/8', '2001:db8::/32'] } },
      { ...both, exempt: { principals: ['ci'], networks: ['192.0.2.7'] } },
    );
    for (let again = 0; again < 3; again += 1) {
      expect(ask('10.1.2.3')).toBe(0);
      expect(ask('::ffff:10.1.2.3', 'dev')).toBe(0);
      expect(ask('2001:db8::1')).toBe(0);
    }
    // The repository lets it off, the server does not.
    expect([ask('192.0.2.7'), ask('192.0.2.7')]).toEqual([0, 10]);
  });

  it('hold together: what one of them refuses is not counted by the other', () => {
    const { ask, clock } = limited({ address: { requests: 1, burst: 4 } }, { address: { requests: 0.1, burst: 1 } });
    expect([ask('192.0.2.1'), ask('192.0.2.1'), ask('192.0.2.1')]).toEqual([0, 10, 10]);
    clock.advance(10_000);
    expect(ask('192.0.2.1')).toBe(0);
  });

  it('count bytes when they were sent, also more than the share', () => {
    const { limits, ask, tell, clock } = limited(undefined, { address: { bytes: 1000, byteBurst: 5000 } });
    const sent = { client: '192.0.2.1', repository: 'box', outcome: undefined };
    limits.spend({ ...sent, bytes: 5000 });
    expect(ask('192.0.2.1')).toBe(0);
    limits.spend({ ...sent, bytes: 2500 });
    expect([ask('192.0.2.1'), ask('192.0.2.2')]).toEqual([3, 0]);
    expect(tell('192.0.2.1')).toBe(
      'Too many bytes of 192.0.2.1: repository box lets one caller have 1000 a second; try again in 3 seconds',
    );
    clock.advance(2_500);
    expect(ask('192.0.2.1')).toBe(0);
    limits.spend({ ...sent, repository: undefined, bytes: 1_000_000 });
    expect(ask('192.0.2.1')).toBe(0);
  });

  it('remember a bounded number of callers, those who asked last', () => {
    const { ask } = limited({ address: { requests: 0.01, burst: 1 } });
    ask('192.0.2.1');
    for (let one = 0; one < 10_000; one += 1) {
      if (one % 1000 === 0) expect(ask('192.0.2.1')).toBe(100);
      ask(`10.0.${one >> 8}.${one & 255}`);
    }
    expect([ask('192.0.2.1'), ask('10.0.0.0')]).toEqual([100, 0]);
  });
});

const BOX = `
server:
  rateLimit:
    address: { requests: 0.01, burst: 4 }
    principal: { requests: 0.01, burst: 2 }
repositories:
  box:
    type: files
    kind: hosted
    access:
      anonymous: none
      users: { alice: { password: "\${env:ALICE}", may: write }, bob: { password: "\${env:BOB}" } }`;

describe('a server with limits', () => {
  const alice = basic('alice', 'wonderland');

  it('answers 429 with Retry-After, to each caller by itself, and goes on answering probes', async () => {
    const host = await startHost(BOX, {}, { ALICE: 'wonderland', BOB: 'builder' });
    const put = await host.get('/box/a.txt', alice, { method: 'PUT', body: 'hello' });
    const first = await host.get('/box/a.txt', alice);
    const refused = await fetch(`${host.urls[0]}/box/a.txt`, { headers: { authorization: alice } });
    const bob = await host.get('/box/a.txt', basic('bob', 'builder'));

    expect([put.status, first.status, refused.status, bob.status]).toEqual([201, 200, 429, 200]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(90);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(100);
    expect(await refused.text()).toMatch(
      /^Too many requests of alice: this server lets one caller have 0\.01 a second; try again in \d+ seconds\n$/,
    );
    for (let again = 0; again < 10; again += 1) expect((await host.get('/-/livez')).status).toBe(200);
  });

  it('counts for the address who is nobody, with a wrong password too, and pages of the server', async () => {
    const host = await startHost(BOX, {}, { ALICE: 'wonderland', BOB: 'builder' });
    const statuses = [
      (await host.get('/box/a.txt')).status,
      (await host.get('/box/a.txt', basic('alice', 'guessed'))).status,
      (await host.get('/')).status,
      (await host.get('/box//../x')).status,
      (await host.get('/box/a.txt', basic('alice', 'guessed again'))).status,
      (await host.get('/-/api/v1/whoami')).status,
      (await host.get('/box/a.txt')).status,
    ];
    expect(statuses.slice(0, 3)).toEqual([401, 401, 200]);
    expect(statuses.slice(4)).toEqual([429, 429, 429]);
    expect((await host.get('/box/b.txt', alice, { method: 'PUT', body: 'x' })).status).toBe(201);
  });

  it('refuses limits that say nothing', async () => {
    const empty = 'server: { rateLimit: { address: { burst: 5 } } }';
    await expect(startHost(empty)).rejects.toThrow('expected requests, bytes or both');
  });
});
