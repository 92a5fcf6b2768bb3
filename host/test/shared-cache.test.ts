import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeUpstream } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startHost, type TestHost } from './access/server.js';
import { REDIS_MISSING, redisProgram, RedisServer } from './drivers/cache/redis-server.js';

const program = redisProgram();
if (program === undefined) console.log(REDIS_MISSING);

const PACKAGE = JSON.stringify({
  name: 'tool',
  'dist-tags': { latest: '1.0.0' },
  versions: { '1.0.0': { name: 'tool', version: '1.0.0', dist: { tarball: 'https://registry.example.com/t.tgz' } } },
});
const ADMIN = 'Bearer a-token-of-some-length';

/** An upstream, a store, and a Redis, which servers share. */
async function share(settings: readonly string[] = []) {
  const redis = await RedisServer.start(program as string, settings);
  onTestFinished(() => redis.stop());
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  upstream.serve('/tool', { body: PACKAGE, mediaType: 'application/json' });
  const store = await mkdtemp(join(tmpdir(), 'entrepot-shared-'));
  onTestFinished(() => rm(store, { recursive: true, force: true }));
  let spools = 0;
  const start = async (): Promise<TestHost> =>
    await startHost(
      `server: { publicUrl: "http://packages.example.com" }
admin: { token: '\${env:ADMIN_TOKEN}' }
repositories: { npm: { type: npm, upstream: "${upstream.url}", cache: { packument: { freshFor: 1h, negativeFor: 1h } } } }`,
      {},
      {
        ADMIN_TOKEN: ADMIN.slice('Bearer '.length),
        ENTREPOT_STORAGE_PATH: join(store, 'blobs'),
        ENTREPOT_STORAGE_SPOOL_PATH: join(store, `spool-${(spools += 1)}`),
        ENTREPOT_METADATA_PATH: join(store, 'entrepot.db'),
        ENTREPOT_CACHE_BACKEND: 'redis',
        ENTREPOT_CACHE_URL: redis.url,
      },
    );
  return { redis, upstream, start };
}

/** What a server counted of its questions to the shared cache. */
async function counted(server: TestHost, outcome: string): Promise<number> {
  const { text } = await server.get('/metrics');
  return Number(
    new RegExp(`^entrepot_shared_cache_requests_total{outcome="${outcome}"} (\\d+)`, 'm').exec(text)?.[1] ?? 0,
  );
}

/** Waits until a server has connected, in the background. */
const connected = (server: TestHost): Promise<void> =>
  vi.waitFor(async () => expect((await server.get('/metrics')).text).toContain('entrepot_shared_cache_away 0'), 10_000);

describe.skipIf(program === undefined)('servers with one Redis', () => {
  it('make a document once, and ask once for what is not there; until a purge', async () => {
    const { upstream, start } = await share();
    const [one, two] = [await start(), await start()];
    await connected(one);
    await connected(two);
    const document = await one.get('/npm/tool');
    expect([document.status, (await one.get('/npm/none')).status]).toEqual([200, 404]);
    const asked = upstream.requests.length;
    await vi.waitFor(async () => {
      const other = await start();
      await connected(other);
      expect(await other.get('/npm/tool')).toEqual(document);
      expect((await other.get('/npm/none')).status).toBe(404);
      expect(await counted(other, 'hit')).toBe(2);
    }, 10_000);
    expect(upstream.requests.length).toBe(asked);

    upstream.serve('/none', { body: PACKAGE.replaceAll('tool', 'none'), mediaType: 'application/json' });
    const headers = { 'content-type': 'application/json' };
    const purge = { method: 'POST', headers, body: JSON.stringify({ subject: 'npm/packument/**' }) };
    expect((await one.get('/-/api/v1/purge', ADMIN, purge)).status).toBeLessThan(300);
    // Those that ran, and one that has only started.
    for (const server of [one, two, await start()])
      await vi.waitFor(async () => expect((await server.get('/npm/none')).status).toBe(200), 10_000);
  });

  it('serve all the same when it is a black hole, emptied, down, or asks for a password', async () => {
    const { redis, start } = await share();
    const server = await start();
    await connected(server);
    const works = async (): Promise<void> => {
      const found = await Promise.all(['tool', 'none', 'tool', 'none'].map((name) => server.get(`/npm/${name}`)));
      expect(found.map(({ status }) => status)).toEqual([200, 404, 200, 404]);
    };
    await works();
    redis.pause();
    await works();
    for (const name of ['a', 'b', 'c', 'd']) expect((await server.get(`/npm/none-${name}`)).status).toBe(404);
    expect(await counted(server, 'failed')).toBeGreaterThan(0);
    redis.resume();
    await redis.command('FLUSHALL');
    await works();
    await redis.command('CONFIG', 'SET', 'requirepass', 'another');
    await works();
    await redis.kill();
    await works();
    const later = await start();
    expect((await later.get('/npm/tool')).status).toBe(200);
    expect((await later.get('/-/readyz')).status).toBe(200);
  });
});
