import { describe, expect, it } from 'vitest';
import type { Content, FreshnessRule, Resource } from '../../src/index.js';
import type { FakeUpstream } from '../../src/testing/index.js';
import { addressedSide, digestOf } from './addressed-side.js';
import { openHarness, withFacts, type Harness, type TestSide } from './harness.js';

const TAG = '/tags/app/latest';
const ONE = '{"one":1}';
const TWO = '{"two":22}';
const TYPE = 'application/vnd.test+json';

const byDigest = (body: string): string => `/bytes/app/${digestOf(body)}`;

/** Makes the tag name `body`, and `body` be found by its digest. */
function tag(upstream: FakeUpstream, body: string, { header = true } = {}): void {
  const headers = { 'x-digest': digestOf(body) };
  upstream.serve(TAG, { body, mediaType: TYPE, ...(header && { headers }) });
  upstream.serve(byDigest(body), { body, mediaType: TYPE, headers });
}

const asked = (upstream: FakeUpstream): string[] => upstream.requests.map(({ method, path }) => `${method} ${path}`);

async function open(document: Partial<FreshnessRule> = {}, side: TestSide = addressedSide): Promise<Harness> {
  return await openHarness({ side, document: { freshFor: 1000, ...document } });
}

/** A harness with a tag that is kept and stale; the upstream's requests begin with what comes next. */
async function openStale(document: Partial<FreshnessRule> = {}): Promise<Harness> {
  const harness = await open(document);
  tag(harness.upstream, ONE);
  expect(await (await harness.get(TAG)).text()).toBe(ONE);
  harness.clock.advance(2000);
  harness.upstream.requests.length = 0;
  return harness;
}

describe('a cold name', () => {
  it('is kept as the artifact by its digest as well', async () => {
    const { upstream, get, entries } = await open();
    tag(upstream, ONE);
    const cold = await get(TAG);
    expect(cold.headers).toMatchObject({
      'X-Cache': 'MISS',
      'Content-Type': TYPE,
      ETag: `"${digestOf(ONE)}"`,
      'X-Digest': digestOf(ONE),
    });
    upstream.goOffline();
    const kept = await get(byDigest(ONE));
    expect(kept.headers).toMatchObject({ 'X-Cache': 'HIT', 'Content-Type': TYPE });
    expect(await kept.text()).toBe(ONE);
    const entry = await entries.find('test', `bytes/app/${digestOf(ONE)}`);
    expect(entry).toMatchObject({ digest: digestOf(ONE), integrity: [{ algorithm: 'sha256' }], etag: undefined });
  });

  it('is asked for with our own Accept, whatever the client takes', async () => {
    const { upstream, get } = await open();
    tag(upstream, ONE);
    await get(TAG, { accept: 'text/html' });
    expect(upstream.requests[0]?.headers['accept']).toBe(TYPE);
  });

  it('is fetched for HEAD, too: what comes next is its digest', async () => {
    const { upstream, ask, get } = await open();
    tag(upstream, ONE);
    const head = await ask('HEAD', TAG);
    expect(head).toMatchObject({
      status: 200,
      headers: { 'Content-Length': '9', ETag: `"${digestOf(ONE)}"`, 'X-Digest': digestOf(ONE) },
    });
    expect(await (await get(byDigest(ONE))).text()).toBe(ONE);
    expect(await (await get(TAG)).text()).toBe(ONE);
    expect(asked(upstream)).toEqual([`GET ${TAG}`]);
  });

  it('is refused when its bytes are not those of the digest that was sent with them', async () => {
    const { upstream, get, entries } = await open();
    upstream.serve(TAG, { body: ONE, headers: { 'x-digest': digestOf(TWO) } });
    expect(await get(TAG)).toMatchObject({ status: 502, outcome: { code: 'INTEGRITY' } });
    expect(await entries.find('test', TAG.slice(1))).toBeUndefined();
    tag(upstream, ONE);
    expect((await get(TAG)).status).toBe(200);
  });

  it.each(['md5:ab', 'sha256:xyz', '', 'sha512:00'])('is taken as it is with a digest of %j', async (digest) => {
    const { upstream, get } = await open();
    upstream.serve(TAG, { body: ONE, headers: { 'x-digest': digest } });
    const answer = await get(TAG);
    expect(answer.headers['X-Digest']).toBe(digestOf(ONE));
    expect(await answer.text()).toBe(ONE);
  });
});

describe('a stale name', () => {
  it('is confirmed by HEAD when it names the same', async () => {
    const { upstream, get } = await openStale();
    const answer = await get(TAG);
    expect(answer.headers['X-Cache']).toBe('REVALIDATED');
    expect(await answer.text()).toBe(ONE);
    expect((await get(TAG)).headers['X-Cache']).toBe('HIT');
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`]);
  });

  it('is fetched by digest when it names another one', async () => {
    const { upstream, get } = await openStale();
    tag(upstream, TWO);
    const answer = await get(TAG);
    expect(await answer.text()).toBe(TWO);
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`, `GET ${byDigest(TWO)}`]);
    expect(await (await get(byDigest(ONE))).text()).toBe(ONE);
    expect(await (await get(byDigest(TWO))).text()).toBe(TWO);
    expect(asked(upstream)).toHaveLength(2);
  });

  it('is not torn when it moves between the two questions', async () => {
    const { upstream, get } = await openStale();
    tag(upstream, TWO);
    const gate = upstream.hold(byDigest(TWO));
    const answer = get(TAG);
    await gate.reached;
    tag(upstream, 'three');
    gate.open();
    expect(await (await answer).text()).toBe(TWO);
  });

  it('is moved without a fetch when what it names is kept', async () => {
    const { upstream, get } = await openStale();
    upstream.serve(byDigest(TWO), { body: TWO, mediaType: TYPE });
    await get(byDigest(TWO));
    tag(upstream, TWO);
    upstream.requests.length = 0;
    expect(await (await get(TAG)).text()).toBe(TWO);
    expect(await (await get(TAG)).text()).toBe(TWO);
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`]);
  });

  it('is fetched by digest when the kept bytes of it have gone', async () => {
    const { upstream, get, blobs, storage } = await openStale();
    await get(byDigest(TWO)).then((answer) => expect(answer.status).toBe(404));
    upstream.serve(byDigest(TWO), { body: TWO, mediaType: TYPE });
    await storage.entries.replace({
      ...(await storage.entries.find('test', `bytes/app/${digestOf(ONE)}`))!,
      key: `bytes/app/${digestOf(TWO)}`,
      digest: digestOf(TWO),
      size: TWO.length,
    });
    tag(upstream, TWO);
    expect(await (await get(TAG)).text()).toBe(TWO);
    expect(await blobs.stat(digestOf(TWO))).toMatchObject({ size: TWO.length });
  });

  it('is fetched itself when what it named has gone meanwhile', async () => {
    const { upstream, get } = await openStale();
    tag(upstream, TWO);
    upstream.remove(byDigest(TWO));
    expect(await (await get(TAG)).text()).toBe(TWO);
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`, `GET ${byDigest(TWO)}`, `GET ${TAG}`]);
  });

  it.each([301, 302, 303, 307, 308])('is followed where HEAD and GET are redirected with %i', async (status) => {
    const { upstream, get } = await openStale();
    tag(upstream, TWO);
    upstream.serve('/moved', { body: TWO, mediaType: TYPE, headers: { 'x-digest': digestOf(TWO) } });
    for (const path of [TAG, byDigest(TWO)]) upstream.serve(path, { status, headers: { location: '/moved?sig=1' } });
    expect(await (await get(TAG)).text()).toBe(TWO);
    const moved = ['HEAD /moved?sig=1', 'GET /moved?sig=1'];
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`, moved[0], `GET ${byDigest(TWO)}`, moved[1]]);
  });

  it('is fetched itself where what HEAD leads to does not say a digest', async () => {
    const { upstream, get } = await openStale();
    upstream.serve('/moved', { body: TWO, mediaType: TYPE });
    upstream.serve(TAG, { status: 307, headers: { location: '/moved' } });
    expect(await (await get(TAG)).text()).toBe(TWO);
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`, 'HEAD /moved', `GET ${TAG}`, 'GET /moved']);
  });

  it('never takes other bytes for what it names', async () => {
    const { upstream, get } = await openStale();
    tag(upstream, TWO);
    upstream.serve(byDigest(TWO), { body: 'wrong' });
    expect(await get(TAG)).toMatchObject({ status: 502, outcome: { code: 'INTEGRITY' } });
    upstream.serve(byDigest(TWO), { body: TWO });
    expect(await (await get(TAG)).text()).toBe(TWO);
  });

  it.each([
    ['without a digest', (upstream: FakeUpstream) => tag(upstream, ONE, { header: false })],
    ['refused', (upstream: FakeUpstream) => onlyGet(upstream, 405)],
    ['forbidden', (upstream: FakeUpstream) => onlyGet(upstream, 403)],
    ['unauthorized', (upstream: FakeUpstream) => onlyGet(upstream, 401)],
    ['not found', (upstream: FakeUpstream) => onlyGet(upstream, 404)],
    ['an error', (upstream: FakeUpstream) => onlyGet(upstream, 500)],
    ['not implemented', (upstream: FakeUpstream) => onlyGet(upstream, 501)],
  ])('is fetched when HEAD is %s', async (_name, prepare) => {
    const { upstream, get, clock } = await openStale();
    prepare(upstream);
    expect(await (await get(TAG)).text()).toBe(ONE);
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`, `GET ${TAG}`]);
    expect((await get(TAG)).headers['X-Cache']).toBe('HIT');
    clock.advance(2000);
    upstream.goOffline();
    expect(await (await get(TAG)).text()).toBe(ONE);
  });

  const down: readonly (readonly [string, (upstream: FakeUpstream) => void])[] = [
    ...[429, 500, 502, 503, 504].map(
      (status) =>
        [
          String(status),
          (upstream: FakeUpstream) => upstream.serve(TAG, { fault: { kind: 'status', status } }),
        ] as const,
    ),
    ['no connection', (upstream) => upstream.goOffline()],
    ['a reset', (upstream) => upstream.serve(TAG, { fault: { kind: 'reset-before-head' } })],
    ['a loop', (upstream) => upstream.serve(TAG, { fault: { kind: 'redirect-loop' } })],
  ];
  it.each(down)('is served stale on %s', async (_name, fail) => {
    const { upstream, get } = await openStale();
    fail(upstream);
    const answer = await get(TAG);
    expect(answer).toMatchObject({ status: 200, headers: { 'X-Cache': 'STALE' } });
    expect(await answer.text()).toBe(ONE);
  });

  it('is served stale when its new bytes cannot be had', async () => {
    const { upstream, get } = await openStale();
    tag(upstream, TWO);
    upstream.serve(byDigest(TWO), { fault: { kind: 'status', status: 503 } });
    const answer = await get(TAG);
    expect(answer.headers['X-Cache']).toBe('STALE');
    expect(await answer.text()).toBe(ONE);
  });

  it('costs no connection once its upstream has failed a few times, until that is over', async () => {
    const { upstream, get, clock } = await openStale();
    upstream.goOffline();
    for (let round = 0; round < 3; round += 1) expect((await get(TAG)).status).toBe(200);
    const { refused } = upstream;
    expect(refused).toBeGreaterThan(0);
    expect((await get(TAG)).headers).toMatchObject({ 'X-Cache': 'STALE' });
    expect((await get(TAG)).status).toBe(200);
    expect(upstream.refused).toBe(refused);
    upstream.goOnline();
    clock.advance(10_001);
    expect((await get(TAG)).headers['X-Cache']).toBe('REVALIDATED');
  });

  it.each([404, 410])('passes %i on, and is kept for when it is back', async (status) => {
    const { upstream, get, entries, clock } = await openStale();
    upstream.serve(TAG, { status });
    expect((await get(TAG)).status).toBe(status);
    expect(await entries.find('test', TAG.slice(1))).toBeDefined();
    clock.advance(60_001);
    tag(upstream, ONE);
    expect((await get(TAG)).headers['X-Cache']).toBe('REVALIDATED');
  });

  it('is served on when the rule keeps what has gone', async () => {
    const { upstream, get } = await openStale({ onGone: 'keep' });
    upstream.remove(TAG);
    expect(await (await get(TAG)).text()).toBe(ONE);
  });

  it.each([401, 403])('is never served on %i', async (status) => {
    const { upstream, get } = await openStale();
    upstream.serve(TAG, { status });
    expect(await get(TAG)).toMatchObject({ outcome: { name: 'failed', code: 'UPSTREAM_FORBIDDEN' } });
  });

  it('is a miss when its bytes have gone', async () => {
    const { upstream, get, blobs, storage } = await openStale();
    await blobs.delete(digestOf(ONE));
    storage.blobs.forget(digestOf(ONE));
    const answer = await get(TAG);
    expect(await answer.text()).toBe(ONE);
    expect(asked(upstream)).toEqual([`HEAD ${TAG}`, `GET ${TAG}`]);
  });
});

/** HEAD is answered with `status`, GET with what the tag names. */
function onlyGet(upstream: FakeUpstream, status: number): void {
  upstream.handle(TAG, ({ method }, response) => {
    if (method === 'HEAD') response.writeHead(status).end();
    else response.writeHead(200, { 'content-type': TYPE, 'content-length': ONE.length }).end(ONE);
  });
}

describe('a media type that says nothing', () => {
  const mediaTypeOf = async (_resource: Resource, content: Content): Promise<string | undefined> =>
    Buffer.from(await content.bytes(1e6))
      .toString()
      .startsWith('{')
      ? TYPE
      : undefined;
  const knowing = withFacts({ reply: { mediaTypeOf } }, undefined, addressedSide);

  it.each([undefined, 'text/plain; charset=utf-8', 'application/json', 'application/octet-stream'])(
    'is read from the bytes, for the first client too (%s)',
    async (mediaType) => {
      const { upstream, get } = await open({}, knowing);
      for (const path of [TAG, byDigest(TWO)]) {
        const body = path === TAG ? ONE : TWO;
        upstream.serve(path, mediaType === undefined ? { body } : { body, mediaType });
        expect((await get(path)).headers['Content-Type']).toBe(TYPE);
        expect((await get(path)).headers['Content-Type']).toBe(TYPE);
      }
    },
  );

  it('is read from the bytes for HEAD', async () => {
    const { upstream, ask } = await open({}, knowing);
    upstream.serve(byDigest(ONE), { body: ONE, mediaType: 'text/plain' });
    expect((await ask('HEAD', byDigest(ONE))).headers['Content-Type']).toBe(TYPE);
  });

  it('stays what it is where the bytes do not say either, or the upstream does', async () => {
    const { upstream, get } = await open({}, knowing);
    upstream.serve(TAG, { body: 'x', mediaType: 'text/plain' });
    expect((await get(TAG)).headers['Content-Type']).toBe('text/plain');
    upstream.serve('/tags/app/other', { body: ONE, mediaType: 'application/x-other' });
    expect((await get('/tags/app/other')).headers['Content-Type']).toBe('application/x-other');
  });

  it('does not keep the first client of a large body of known type waiting', async () => {
    const { upstream, get } = await open({}, knowing);
    const body = Buffer.alloc(1_000_000, 7);
    const path = `/blobs/app/${digestOf(body)}`;
    upstream.serve(path, { body, mediaType: 'application/octet-stream' });
    const gate = upstream.hold(path, { afterBytes: 500_000 });
    const answer = await get(path);
    expect(answer.status).toBe(200);
    gate.open();
    expect((await answer.bytes()).equals(body)).toBe(true);
  });
});

describe('a warning', () => {
  const plugin = (harness: Harness): void => {
    (harness.repository.definition as { plugin: unknown }).plugin = {
      ...harness.repository.definition.plugin,
      http: { warnsStale: true },
    };
  };

  it('says why a copy is stale, to clients that show it', async () => {
    const harness = await openStale();
    plugin(harness);
    harness.upstream.serve(TAG, { fault: { kind: 'status', status: 503 } });
    expect((await harness.get(TAG)).headers['Warning']).toMatch(
      /^299 - "This copy may be out of date: http:[^"]* answered 503"$/,
    );
  });

  it('is not sent with a copy that is right, or to others', async () => {
    const harness = await openStale();
    const { upstream, get, clock } = harness;
    upstream.serve(TAG, { fault: { kind: 'status', status: 503 } });
    expect((await get(TAG)).headers).not.toHaveProperty('Warning');
    plugin(harness);
    tag(upstream, ONE);
    clock.advance(10_000);
    expect((await get(TAG)).headers).not.toHaveProperty('Warning');
    expect((await get(TAG)).headers).not.toHaveProperty('Warning');
  });
});

describe('an upstream that is told to be left alone', () => {
  it.each([429, 503])('by %i with Retry-After is not asked for what is kept until then', async (status) => {
    const { upstream, get, clock } = await openStale();
    upstream.serve(TAG, { fault: { kind: 'status', status, retryAfter: '30' } });
    for (let round = 0; round < 3; round += 1) expect((await get(TAG)).headers['X-Cache']).toBe('STALE');
    expect(upstream.requests).toHaveLength(1);
    upstream.serve(byDigest(TWO), { body: TWO });
    expect((await get(byDigest(TWO))).status).toBe(200);
    clock.advance(30_001);
    tag(upstream, ONE);
    expect((await get(TAG)).headers['X-Cache']).toBe('REVALIDATED');
  });
});

describe('rate limits of an upstream', () => {
  it('are told to the observer', async () => {
    const told: unknown[] = [];
    const { upstream, get } = await openHarness({
      side: addressedSide,
      observer: {
        upstreamAnswered: () => {},
        integrityFailed: () => {},
        upstreamRemaining: (...all) => told.push(all),
      },
    });
    upstream.serve(TAG, {
      body: ONE,
      headers: { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' },
    });
    await get(TAG);
    expect(told).toEqual([['test', upstream.url, 76]]);
  });

  const remaining = (count: string) => ({ 'ratelimit-limit': '100;w=600', 'ratelimit-remaining': count });

  it.each([
    ['9;w=600', 9_999],
    ['9', 9_999],
    ['10;w=600', 999],
    ['100;w=600', 999],
    ['none', 999],
  ])('with %s left, names stay fresh for %i ms', async (count, freshFor) => {
    const { upstream, get, clock } = await open();
    upstream.serve(TAG, { body: ONE, headers: remaining(count) });
    await get(TAG);
    clock.advance(freshFor);
    expect((await get(TAG)).headers['X-Cache']).toBe('HIT');
    clock.advance(2);
    await get(TAG);
    expect(upstream.requests.length).toBeGreaterThan(1);
  });

  it('are forgotten when their window is over, and when there is more again', async () => {
    const { upstream, get, clock } = await open();
    upstream.serve(TAG, { body: ONE, headers: { 'x-digest': digestOf(ONE), ...remaining('1;w=5') } });
    await get(TAG);
    clock.advance(5001);
    upstream.serve(TAG, { body: ONE, headers: { 'x-digest': digestOf(ONE), ...remaining('1;w=600') } });
    expect((await get(TAG)).headers['X-Cache']).toBe('REVALIDATED');
    clock.advance(5000);
    expect((await get(TAG)).headers['X-Cache']).toBe('HIT');
    clock.advance(1001);
    upstream.serve('/tags/app/other', { body: ONE, headers: remaining('100;w=600') });
    await get('/tags/app/other');
    expect((await get(TAG)).headers['X-Cache']).toBe('REVALIDATED');
  });

  it('do not lengthen what else is kept', async () => {
    const { upstream, get, clock } = await open();
    upstream.serve('/raw/list', { body: ONE, headers: remaining('1;w=600') });
    await (await get('/raw/list')).bytes();
    clock.advance(1001);
    await (await get('/raw/list')).bytes();
    expect(upstream.requests).toHaveLength(2);
  });
});
