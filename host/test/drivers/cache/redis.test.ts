import { type LogFields, silentLogger, systemClock, type Clock } from '@entrepot/core';
import { hotCacheSuite, ManualClock } from '@entrepot/core/testing';
import { freePort } from '../../free-port.js';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { KeyvHotCache, memoryKeyv } from '../../../src/drivers/cache/keyv.js';
import { type CacheOutcome, RedisCache } from '../../../src/drivers/cache/redis.js';
import type { RedisSettings } from '../../../src/drivers/cache/redis-settings.js';
import { SharedHotCache } from '../../../src/drivers/cache/shared.js';
import { makeCertificate } from '../certificates.js';
import { REDIS_MISSING, redisProgram, RedisServer } from './redis-server.js';

const program = redisProgram();
if (program === undefined) console.log(REDIS_MISSING);

const HOUR = 3_600_000;
/** The time that a machine with other work may need for an answer that comes; milliseconds. */
const PATIENCE = 10_000;
/** That of a question to a server that answers nothing. */
const SHORT = 300;
/** A wait for ever would fail it; no measurement. */
const AT_ONCE = 5_000;

let shared: Promise<RedisServer> | undefined;
const sharedServer = (): Promise<RedisServer> => (shared ??= RedisServer.start(program as string));
const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => await (await shared)?.stop());

interface Opened {
  readonly cache: RedisCache;
  readonly outcomes: CacheOutcome[];
  readonly warnings: [LogFields, string][];
}

async function open(settings: RedisSettings, clock: Clock = systemClock, patience = PATIENCE): Promise<Opened> {
  const outcomes: CacheOutcome[] = [];
  const warnings: [LogFields, string][] = [];
  const logger = { ...silentLogger, warn: (...warning: [LogFields, string]) => void warnings.push(warning) };
  const cache = await RedisCache.open(settings, {
    clock,
    logger,
    patience,
    onOutcome: (outcome) => void outcomes.push(outcome),
  });
  ends.push(() => cache.dispose());
  return { cache, outcomes, warnings };
}

async function ownServer(settings: readonly string[] = []): Promise<RedisServer> {
  const server = await RedisServer.start(program as string, settings);
  ends.push(() => server.stop());
  return server;
}

/** Waits until it is connected: that is done in the background. */
const ready = ({ cache }: Opened): Promise<void> =>
  vi.waitFor(() => expect(cache.isAway).toBe(false), { timeout: 10_000 });

async function atOnce<T>(work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_resolve, reject) =>
    setTimeout(() => reject(new Error('it waits')), AT_ONCE).unref(),
  );
  return await Promise.race([work, late]);
}

/** Sets a value, and waits until that is on its way: whatever is asked then comes after it. */
async function keep(cache: RedisCache, key: string, value: string): Promise<void> {
  cache.set(key, value, HOUR);
  await cache.get('another');
}

let places = 0;
function sharing(far: RedisCache, place?: () => string | undefined): SharedHotCache {
  const near = new KeyvHotCache(memoryKeyv(), silentLogger);
  const own = `test-${(places += 1)}`;
  return new SharedHotCache({ near, far, place: place ?? (() => own), now: () => Date.now() });
}

describe.skipIf(program === undefined)('Redis', () => {
  hotCacheSuite({ describe, it }, async () => {
    const opened = await open(await sharedServer());
    await ready(opened);
    const { shared } = sharing(opened.cache);
    const sent = async (work: Promise<void>): Promise<void> => {
      await work;
      await opened.cache.get('another');
    };
    return {
      cache: {
        ...shared,
        set: (key, value, ttl) => sent(shared.set(key, value, ttl)),
        delete: (key) => sent(shared.delete(key)),
      },
    };
  });

  it('is shared by processes, and each has a memory of its own', async () => {
    const [one, other] = [await open(await sharedServer()), await open(await sharedServer())];
    await ready(one);
    await ready(other);
    const place = (): string => 'both';
    const caches = [sharing(one.cache, place), sharing(other.cache, place)] as const;
    await caches[0].set('a', 'value', HOUR);
    expect(await caches[0].get('a')).toBe('value');
    expect(one.outcomes).toEqual([]);
    await vi.waitFor(async () => expect(await caches[1].get('a')).toBe('value'), PATIENCE);
    const asked = other.outcomes.length;
    expect(await caches[1].get('a')).toBe('value');
    expect(other.outcomes.length).toBe(asked);
    await caches[1].delete('a');
    await other.cache.get('another');
    expect(await caches[1].get('a')).toBeUndefined();
  });

  it('does not find after a purge what was shared before', async () => {
    const opened = await open(await sharedServer());
    await ready(opened);
    let place: string | undefined = 'store:1';
    const cache = sharing(opened.cache, () => place);
    await cache.set('a', 'old', HOUR);
    place = 'store:2';
    expect([await cache.get('a'), await cache.shared.get('a')]).toEqual([undefined, undefined]);
    place = undefined;
    await cache.set('a', 'unshared', HOUR);
    expect([await cache.get('a'), await cache.shared.get('a')]).toEqual(['unshared', undefined]);
  });

  it('takes what is not its own for nothing', async () => {
    const server = await sharedServer();
    const opened = await open(server);
    await ready(opened);
    const foreign = [
      '',
      'text',
      '{"value":"text","expires":null}',
      'e1 5 0\ntoo long',
      'e1 500 0\nshort',
      'e2 4 0\ntext',
    ];
    for (const [at, value] of foreign.entries()) {
      await server.command('SET', `entrepot:1::foreign${at}`, value);
      expect(await opened.cache.get(`foreign${at}`), value).toBeUndefined();
    }
    await server.command('RPUSH', 'entrepot:1::list', 'text');
    for (let time = 0; time < 5; time += 1) expect(await opened.cache.get('list')).toBeUndefined();
    expect(opened.warnings).toEqual([]);
    // It goes on.
    await keep(opened.cache, 'list', 'own');
    expect((await opened.cache.get('list'))?.value).toBe('own');
    expect(await server.command('GET', 'entrepot:1::list')).toMatch(/^\$\d+\r\ne1 3 \d+\nown\r\n$/);
    expect(await server.command('PTTL', 'entrepot:1::list')).toMatch(/^:3[56]\d{5}\r\n$/);
  });

  it('forgets with the server, and goes on', async () => {
    const server = await ownServer();
    const opened = await open(server);
    await ready(opened);
    await keep(opened.cache, 'a', '1');
    expect((await opened.cache.get('a'))?.value).toBe('1');
    await server.command('FLUSHALL');
    expect(await opened.cache.get('a')).toBeUndefined();
    await keep(opened.cache, 'a', '2');
    expect((await opened.cache.get('a'))?.value).toBe('2');
  });

  it('is as if there were none while it is down: from the start, and again', async () => {
    const server = await RedisServer.create(program as string);
    ends.push(() => server.stop());
    const opened = await open(server);
    expect(await atOnce(opened.cache.get('a'))).toBeUndefined();
    opened.cache.set('a', 'dropped', HOUR);
    opened.cache.delete('a');
    await vi.waitFor(() => expect(opened.warnings.length).toBe(1), PATIENCE);
    await server.start();
    await ready(opened);
    expect(await opened.cache.get('a')).toBeUndefined();
    await keep(opened.cache, 'a', '1');
    expect((await opened.cache.get('a'))?.value).toBe('1');
    await server.kill();
    expect(await atOnce(opened.cache.get('a'))).toBeUndefined();
    opened.cache.set('a', 'dropped', HOUR);
    await vi.waitFor(() => expect(opened.cache.isAway).toBe(true), PATIENCE);
    await server.start();
    await vi.waitFor(async () => {
      await keep(opened.cache, 'b', '2');
      expect((await opened.cache.get('b'))?.value).toBe('2');
    }, PATIENCE);
    expect(opened.outcomes).toContain('skipped');
    // Once for each time, whatever was asked meanwhile.
    expect(opened.warnings.map(([, message]) => message)).toEqual(
      opened.warnings.map(() => 'the shared cache does not answer: it works without it meanwhile'),
    );
  });

  it('is not waited for while it is a black hole, and is asked again after a pause', async () => {
    const server = await ownServer();
    const clock = new ManualClock();
    const opened = await open(server, clock, SHORT);
    await ready(opened);
    await keep(opened.cache, 'a', '1');
    expect((await opened.cache.get('a'))?.value).toBe('1');
    opened.outcomes.splice(0);
    server.pause();
    for (let time = 0; time < 5; time += 1) expect(await atOnce(opened.cache.get('a'))).toBeUndefined();
    for (let time = 0; time < 1000; time += 1) opened.cache.set(`set${time}`, 'x'.repeat(10_000), HOUR);
    expect(opened.outcomes).toEqual(['failed', 'failed', 'failed', 'skipped', 'skipped']);
    expect(opened.warnings.map(([{ code }]) => code)).toEqual(['TIMEOUT']);
    clock.advance(1_000);
    expect(await atOnce(opened.cache.get('a'))).toBeUndefined();
    expect(await atOnce(opened.cache.get('a'))).toBeUndefined();
    expect(opened.outcomes.slice(-2)).toEqual(['failed', 'skipped']);
    server.resume();
    await vi.waitFor(async () => {
      clock.advance(30_000);
      expect((await opened.cache.get('a'))?.value).toBe('1');
    }, PATIENCE);
    expect(opened.cache.isAway).toBe(false);
  });

  it('says once that the password is wrong, and does not show it', async () => {
    const server = await ownServer(['--requirepass', 'right-password']);
    const opened = await open({ url: server.url, password: 'wrong-password' });
    await vi.waitFor(() => expect(opened.warnings.length).toBe(1), PATIENCE);
    expect(await atOnce(opened.cache.get('a'))).toBeUndefined();
    opened.cache.set('a', '1', HOUR);
    const [[fields, message]] = opened.warnings as [[LogFields, string]];
    expect(fields).toEqual({ cache: server.url, code: 'WRONGPASS' });
    expect(message).toContain('expected the right user and password in cache.user and cache.password');
    const right = await open({ url: server.url, password: 'right-password' });
    await ready(right);
    expect(right.warnings).toEqual([]);
    const inUrl = await open({ url: `redis://default:right-password@127.0.0.1:${server.port}` });
    await ready(inUrl);
    // It was tried again and again meanwhile.
    expect(opened.warnings.length).toBe(1);
  });

  it('is reached by TLS where its certificate is of a known authority', async () => {
    const { cert, key } = makeCertificate();
    const tlsPort = await freePort();
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
    await ownServer([
      '--tls-port',
      `${tlsPort}`,
      ...files,
      '--tls-auth-clients',
      'no',
      '--requirepass',
      'right-password',
    ]);
    const url = `rediss://127.0.0.1:${tlsPort}`;
    const trusted = await open({ url, user: 'default', password: 'right-password', ca: cert });
    await ready(trusted);
    await keep(trusted.cache, 'a', '1');
    expect((await trusted.cache.get('a'))?.value).toBe('1');
    const unknown = await open({ url, password: 'right-password' });
    await vi.waitFor(() => expect(unknown.warnings.length).toBe(1), PATIENCE);
    expect(unknown.warnings[0]?.[0]).toEqual({ cache: `${url}`, code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    expect(unknown.cache.isAway).toBe(true);
  });

  it('refuses a file of authorities that is not there', async () => {
    const settings = { url: 'rediss://127.0.0.1:1', ca: '/nowhere/ca.pem' };
    await expect(open(settings)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/^cache\.ca: the file \/nowhere\/ca\.pem cannot be read \(ENOENT\)/),
    });
  });
});
