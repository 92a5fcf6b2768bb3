import { describe, expect, it } from 'vitest';
import { FixedPolicy } from '../../src/testing/index.js';
import { EntrepotError, type TrustFacts } from '../../src/index.js';
import { openHarness, patterned, parsedOf, sri, withFacts } from './harness.js';

describe('a miss and a hit', () => {
  it('fetches an artifact once and serves it from the store', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(300_000);
    upstream.serve('/files/a.zip', {
      body,
      mediaType: 'application/zip',
      headers: { 'content-disposition': 'attachment; filename=a.zip' },
    });
    const cold = await get('/files/a.zip');
    expect(cold.status).toBe(200);
    expect(cold.headers).toMatchObject({
      'Content-Length': '300000',
      'Content-Type': 'application/zip',
      'X-Cache': 'MISS',
      'Cache-Status': 'Entrepot; fwd=uri-miss; stored',
    });
    expect(await cold.bytes()).toEqual(body);
    const warm = await get('/files/a.zip');
    expect(await warm.bytes()).toEqual(body);
    expect(warm.headers).toMatchObject({
      'X-Cache': 'HIT',
      Age: '0',
      'content-disposition': 'attachment; filename=a.zip',
      'Cache-Control': 'public, immutable',
    });
    expect(warm.headers['ETag']).toMatch(/^"sha256:[0-9a-f]{64}"$/);
    expect(upstream.count('/files/a.zip')).toBe(1);
  });

  it('serves an empty body', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/files/empty', { body: '' });
    expect(await (await get('/files/empty')).bytes()).toEqual(Buffer.alloc(0));
    const warm = await get('/files/empty');
    expect(warm.headers).toMatchObject({ 'X-Cache': 'HIT', 'Content-Length': '0' });
  });

  it('asks once for 50 clients at the same time', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(2_000_000);
    upstream.serve('/files/big', { body });
    const gate = upstream.hold('/files/big', { afterBytes: 100_000 });
    const answers = Array.from({ length: 50 }, () => get('/files/big'));
    await gate.reached;
    gate.open();
    for (const answer of await Promise.all(answers)) expect((await answer.bytes()).equals(body)).toBe(true);
    expect(upstream.count('/files/big')).toBe(1);
  });

  it('goes on when the first client hangs up', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(2_000_000);
    upstream.serve('/files/big', { body });
    const gate = upstream.hold('/files/big', { afterBytes: 500_000 });
    const first = await get('/files/big');
    const second = await get('/files/big');
    await gate.reached;
    (first.body as import('node:stream').Readable).destroy();
    gate.open();
    expect((await second.bytes()).equals(body)).toBe(true);
    expect((await get('/files/big')).headers['X-Cache']).toBe('HIT');
  });

  it('refetches when the blob has gone', async () => {
    const { upstream, get, blobs, entries, storage } = await openHarness();
    upstream.serve('/files/a', { body: patterned(1_000_000) });
    await (await get('/files/a')).bytes();
    const warm = await get('/files/a');
    await warm.bytes();
    const entry = await entries.find('test', 'files/a');
    await blobs.delete(entry?.digest as `sha256:${string}`);
    storage.blobs.forget(entry?.digest as `sha256:${string}`);
    expect((await (await get('/files/a')).bytes()).length).toBe(1_000_000);
    expect(upstream.count('/files/a')).toBe(2);
  });
});

describe('conditions and ranges', () => {
  it('answers If-None-Match with 304 and without a body', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/files/a', { body: 'hello' });
    await (await get('/files/a')).bytes();
    const { headers } = await get('/files/a');
    const again = await get('/files/a', { 'if-none-match': `"other", W/${headers['ETag']}` });
    expect(again.status).toBe(304);
    expect(again.body).toBeUndefined();
  });

  it.each([
    ['bytes=0-0', 206, 'h'],
    ['bytes=-2', 206, 'lo'],
    ['bytes=3-', 206, 'lo'],
    ['bytes=1-100', 206, 'ello'],
    ['bytes=9-', 416, undefined],
    ['bytes=0-1,3-4', 200, 'hello'],
    ['lines=1-2', 200, 'hello'],
  ])('answers Range %s of a kept artifact with %i', async (range, status, body) => {
    const { upstream, get } = await openHarness();
    upstream.serve('/files/a', { body: 'hello' });
    await (await get('/files/a')).bytes();
    const answer = await get('/files/a', { range });
    expect(answer.status).toBe(status);
    if (body !== undefined) expect(await answer.text()).toBe(body);
  });

  it('serves a range of a cold artifact as soon as its bytes are there', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(4_000_000);
    upstream.serve('/files/big', { body });
    const gate = upstream.hold('/files/big', { afterBytes: 1_000_000 });
    const answer = await get('/files/big', { range: 'bytes=500000-600000' });
    expect(answer.status).toBe(206);
    expect(answer.headers['Content-Range']).toBe('bytes 500000-600000/4000000');
    expect((await answer.bytes()).equals(body.subarray(500_000, 600_001))).toBe(true);
    gate.open();
    await (await get('/files/big')).bytes();
    expect(upstream.count('/files/big')).toBe(1);
  });

  it('does not wait for a far range of a large cold artifact', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(70 * 1024 * 1024);
    upstream.serve('/files/huge', { body, ranges: true });
    const gate = upstream.hold('/files/huge', { afterBytes: 1_000_000 });
    const answering = get('/files/huge');
    await gate.reached;
    const whole = await answering;
    gate.open();
    void whole;
    const far = await get('/files/huge', { range: 'bytes=73000000-73000099' });
    expect((await far.bytes()).equals(body.subarray(73_000_000, 73_000_100))).toBe(true);
    expect(['BYPASS', 'MISS', 'HIT']).toContain(far.headers['X-Cache']);
    await whole.bytes();
  });

  it.each([400, 401, 403, 404, 405, 500, 501])(
    'answers HEAD of what the upstream has though it says %i to HEAD, and does not take it for sick',
    async (status) => {
      const { upstream, ask, get } = await openHarness();
      for (const name of ['a', 'b', 'c', 'd']) {
        upstream.handle(`/files/${name}`, ({ method }, response) => {
          if (method === 'HEAD') response.writeHead(status).end();
          else response.writeHead(200, { 'content-length': 5 }).end('bytes');
        });
        const answer = await ask('HEAD', `/files/${name}`);
        expect(answer).toMatchObject({ status: 200, headers: { 'Content-Length': '5' } });
        expect(await (await get(`/files/${name}`)).text()).toBe('bytes');
      }
    },
  );

  it.each([429, 502, 503, 504])('does not ask by GET whom HEAD found out of order (%i)', async (status) => {
    const { upstream, ask } = await openHarness();
    upstream.serve('/files/a', { status });
    expect((await ask('HEAD', '/files/a')).outcome.code).toBe(`UPSTREAM_${status}`);
    expect(upstream.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });

  it('answers HEAD of a cold artifact without fetching it', async () => {
    const { upstream, ask } = await openHarness();
    upstream.serve('/files/a', { body: patterned(100_000), headers: { 'content-disposition': 'inline' } });
    const answer = await ask('HEAD', '/files/a');
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'Content-Length': '100000', 'content-disposition': 'inline' },
    });
    expect(upstream.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });
});

describe('freshness', () => {
  it('revalidates a document with its validators when it is no longer fresh; 304 renews it', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000 } });
    upstream.serve('/raw/page', { body: 'one', etag: '"1"' });
    expect(await (await get('/raw/page')).text()).toBe('one');
    clock.advance(999);
    expect((await get('/raw/page')).headers['X-Cache']).toBe('HIT');
    clock.advance(1);
    expect((await get('/raw/page')).headers).toMatchObject({
      'X-Cache': 'REVALIDATED',
      'Cache-Status': 'Entrepot; fwd=stale; fwd-status=304',
    });
    clock.advance(999);
    expect((await get('/raw/page')).headers['X-Cache']).toBe('HIT');
    expect(upstream.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"1"']);
  });

  it('serves the new document when the upstream has one', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000 } });
    upstream.serve('/raw/page', { body: 'one', etag: '"1"' });
    await (await get('/raw/page')).text();
    upstream.serve('/raw/page', { body: 'two', etag: '"2"' });
    clock.advance(1000);
    expect(await (await get('/raw/page')).text()).toBe('two');
    expect(await (await get('/raw/page')).text()).toBe('two');
  });

  it('serves a stale copy while the upstream fails, whatever the failure', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000 } });
    upstream.serve('/raw/page', { body: 'one', etag: '"1"' });
    await (await get('/raw/page')).text();
    for (const fault of [
      { kind: 'status', status: 500 },
      { kind: 'status', status: 429 },
      { kind: 'reset-before-head' },
    ] as const) {
      clock.advance(60_000);
      upstream.serve('/raw/page', { body: 'two', fault });
      const answer = await get('/raw/page');
      expect(answer.headers['X-Cache']).toBe('STALE');
      expect(await answer.text()).toBe('one');
    }
    clock.advance(60_000);
    await upstream.goOffline();
    expect(await (await get('/raw/page')).text()).toBe('one');
    await upstream.goOnline();
    clock.advance(60_000);
    upstream.serve('/raw/page', { body: 'three' });
    expect(await (await get('/raw/page')).text()).toBe('three');
  });

  it('serves a stale copy where a hook of the plugin fails on what is new', async () => {
    const side = withFacts(
      {
        async parse(content) {
          if (Buffer.from(await content.bytes(100)).includes('new')) throw new TypeError('no such member');
          return parsedOf(new Map());
        },
      },
      ['raw'],
    );
    const { upstream, get, clock } = await openHarness({ side, document: { freshFor: 1000 } });
    upstream.serve('/raw/page', { body: 'old' });
    await (await get('/raw/page')).bytes();
    upstream.serve('/raw/page', { body: 'new' });
    clock.advance(2000);
    const stale = await get('/raw/page');
    expect([stale.status, await stale.text(), stale.headers['X-Cache']]).toEqual([200, 'old', 'STALE']);
  });

  it('does not serve a copy that is too stale', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000, staleIfError: 5000 } });
    upstream.serve('/raw/page', { body: 'one' });
    await (await get('/raw/page')).text();
    await upstream.goOffline();
    clock.advance(5999);
    expect((await get('/raw/page')).status).toBe(200);
    clock.advance(1);
    expect((await get('/raw/page')).status).toBe(502);
  });

  it('keeps an expired artifact until it is confirmed, and serves it when that fails', async () => {
    const { upstream, get, clock } = await openHarness({ artifact: { expireAfter: 1000 } });
    upstream.serve('/files/a', { body: 'bytes', etag: '"a"' });
    await (await get('/files/a')).text();
    clock.advance(1000);
    await upstream.goOffline();
    expect((await get('/files/a')).headers['X-Cache']).toBe('STALE');
    await upstream.goOnline();
    clock.advance(60_000);
    expect((await get('/files/a')).headers['X-Cache']).toBe('REVALIDATED');
  });

  it('keeps the first copy of an artifact when the upstream changes its bytes', async () => {
    const { upstream, get, clock } = await openHarness({ artifact: { expireAfter: 1000 } });
    const first = patterned(6_000_000);
    upstream.serve('/files/a', { body: first });
    await (await get('/files/a')).bytes();
    upstream.serve('/files/a', { body: Buffer.alloc(6_000_000, 7) });
    clock.advance(2000);
    for (let asked = 0; asked < 2; asked += 1) expect((await (await get('/files/a')).bytes()).equals(first)).toBe(true);
    expect(upstream.count('/files/a')).toBe(2);
  });

  it('serves a stale document at once while one refresh runs', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000, staleWhileRevalidate: 10_000 } });
    upstream.serve('/raw/page', { body: 'one' });
    await (await get('/raw/page')).text();
    upstream.serve('/raw/page', { body: 'two' });
    const gate = upstream.hold('/raw/page');
    clock.advance(2000);
    expect(await (await get('/raw/page')).text()).toBe('one');
    expect(await (await get('/raw/page')).text()).toBe('one');
    await gate.reached;
    gate.open();
    await expect.poll(async () => await (await get('/raw/page')).text()).toBe('two');
    expect(upstream.count('/raw/page')).toBe(2);
  });

  it.each([
    ['stale', 'one', 2],
    ['bypass', 'two', 3],
  ] as const)('answers by busy: %s while a refresh is in flight', async (busy, expected, requests) => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000, busy } });
    upstream.serve('/raw/page', { body: 'one' });
    await (await get('/raw/page')).text();
    upstream.serve('/raw/page', { body: 'two' });
    const gate = upstream.hold('/raw/page');
    clock.advance(2000);
    const first = get('/raw/page');
    await gate.reached;
    if (busy === 'bypass') gate.open();
    expect(await (await get('/raw/page')).text()).toBe(expected);
    gate.open();
    expect(await (await first).text()).toBe('two');
    expect(upstream.count('/raw/page')).toBeLessThanOrEqual(requests);
  });

  it('never keeps what the rule bypasses', async () => {
    const { upstream, get, entries } = await openHarness({ document: { policy: 'bypass' } });
    upstream.serve('/raw/page', { body: 'one' });
    expect((await get('/raw/page')).headers['X-Cache']).toBe('BYPASS');
    expect(await (await get('/raw/page')).text()).toBe('one');
    expect(upstream.count('/raw/page')).toBe(2);
    expect(await entries.find('test', 'raw/page')).toBeUndefined();
  });

  it('respects no-store where the rule says so', async () => {
    const { upstream, get, entries } = await openHarness({ document: { respectNoStore: true } });
    upstream.serve('/raw/page', { body: 'one', headers: { 'cache-control': 'max-age=5, no-store' } });
    expect(await (await get('/raw/page')).text()).toBe('one');
    expect(await entries.find('test', 'raw/page')).toBeUndefined();
  });

  it('does not pass client directives or credentials to the upstream', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/raw/page', { body: 'one' });
    await (
      await get('/raw/page', {
        'cache-control': 'no-cache',
        pragma: 'no-cache',
        cookie: 'a=b',
        authorization: 'Bearer x',
      })
    ).text();
    const sent = upstream.requests[0]?.headers ?? {};
    for (const name of ['cache-control', 'pragma', 'cookie', 'authorization']) expect(sent[name]).toBeUndefined();
    expect((await get('/raw/page', { 'cache-control': 'no-cache' })).headers['X-Cache']).toBe('HIT');
  });
});

describe('what the upstream refuses', () => {
  it.each([404, 410])('passes %i on and remembers it', async (status) => {
    const { upstream, get, clock } = await openHarness({ artifact: { negativeFor: 5000 } });
    upstream.serve('/files/none', { status });
    for (let asked = 0; asked < 3; asked += 1) expect((await get('/files/none')).status).toBe(status);
    expect(upstream.count('/files/none')).toBe(1);
    clock.advance(5001);
    upstream.serve('/files/none', { body: 'now' });
    expect(await (await get('/files/none')).text()).toBe('now');
  });

  it('lets the last "not found" stand in for an outage where the rule says so', async () => {
    const rule = { negativeFor: 5000, negativeIfError: 60_000 };
    const { upstream, get, clock } = await openHarness({ artifact: rule });
    for (const path of ['/files/none', '/files/late']) await get(path);
    clock.advance(5001);
    upstream.serve('/files/late', { body: 'now' });
    expect(await (await get('/files/late')).text()).toBe('now');
    upstream.serve('/files/none', { status: 500 });
    const { status, headers } = await get('/files/none');
    expect([status, headers['Cache-Status']]).toEqual([404, expect.stringContaining('LAST_NOT_FOUND')]);
    expect(upstream.count('/files/none')).toBe(2);
    upstream.serve('/files/never-asked', { status: 500 });
    expect((await get('/files/never-asked')).status).toBe(502);
    // Each time the upstream is asked anew, and an outage makes it no younger.
    clock.advance(60_000);
    expect((await get('/files/none')).status).toBe(502);
    const unwilling = await openHarness();
    await unwilling.get('/files/none');
    unwilling.clock.advance(60_001);
    unwilling.upstream.serve('/files/none', { status: 500 });
    expect((await unwilling.get('/files/none')).status).toBe(502);
  });

  it.each([401, 403, 451])('passes %i on with its own status', async (status) => {
    const { upstream, get } = await openHarness();
    upstream.serve('/files/secret', { status });
    expect((await get('/files/secret')).status).toBe(status);
  });

  it('passes Retry-After on', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/files/busy', { fault: { kind: 'status', status: 429, retryAfter: '7' } });
    expect(await get('/files/busy')).toMatchObject({ status: 503, headers: { 'Retry-After': '7' } });
  });

  it('keeps serving an artifact that is gone upstream, and passes it on for a document', async () => {
    const { upstream, get, clock } = await openHarness({
      artifact: { expireAfter: 1000 },
      document: { freshFor: 1000 },
    });
    upstream.serve('/files/a', { body: 'a' });
    upstream.serve('/raw/d', { body: 'd' });
    await (await get('/files/a')).text();
    await (await get('/raw/d')).text();
    upstream.serve('/files/a', { status: 404 });
    upstream.serve('/raw/d', { status: 404 });
    clock.advance(2000);
    expect(await (await get('/files/a')).text()).toBe('a');
    expect((await get('/raw/d')).status).toBe(404);
  });
});

describe('described artifacts', () => {
  it('verifies what the document promises, fetched once', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(200_000);
    upstream.serve('/index.json', { body: `described/a ${sri(body)}` });
    upstream.serve('/described/a', { body });
    expect((await (await get('/described/a')).bytes()).equals(body)).toBe(true);
    expect(upstream.requests.map(({ path }) => path)).toEqual(['/index.json', '/described/a']);
  });

  it('fetches from where the document says', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/index.json', { body: `described/a ${sri('bytes')} elsewhere/a.bin` });
    upstream.serve('/elsewhere/a.bin', { body: 'bytes' });
    expect(await (await get('/described/a')).text()).toBe('bytes');
  });

  it('asks again for a document that does not know the artifact yet', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/index.json', { body: `described/a ${sri('a')}` });
    upstream.serve('/described/a', { body: 'a' });
    upstream.serve('/described/b', { body: 'b' });
    await (await get('/described/a')).text();
    upstream.serve('/index.json', { body: `described/a ${sri('a')}\ndescribed/b ${sri('b')}` });
    expect(await (await get('/described/b')).text()).toBe('b');
    expect((await get('/described/c')).status).toBe(404);
    expect(upstream.count('/described/c')).toBe(0);
  });

  it('asks once more for a document that promises what was since replaced', async () => {
    const { upstream, get, entries } = await openHarness();
    upstream.serve('/index.json', { body: `described/a ${sri('old a')}\ndescribed/b ${sri('b')}`, etag: '"1"' });
    upstream.serve('/described/b', { body: 'b' });
    await (await get('/described/b')).text();
    const replaced = patterned(300_000);
    upstream.serve('/described/a', { body: replaced });
    upstream.serve('/index.json', { body: `described/a ${sri(replaced, 'sha256')}`, etag: '"2"' });
    expect((await (await get('/described/a')).bytes()).equals(replaced)).toBe(true);
    expect(await entries.find('test', 'described/a')).toMatchObject({ integrity: [{ algorithm: 'sha256' }] });
    expect(upstream.count('/index.json')).toBe(2);
  });

  it('refuses wrong bytes, stores nothing, and the next request works', async () => {
    const { upstream, get, entries, blobs } = await openHarness();
    const body = patterned(500_000);
    upstream.serve('/index.json', { body: `described/a ${sri(body)}` });
    upstream.serve('/described/a', { body, fault: { kind: 'wrong-bytes', times: 1 } });
    const answer = await get('/described/a');
    await expect(answer.bytes()).rejects.toThrow(/expected sha512:/);
    expect(await entries.find('test', 'described/a')).toBeUndefined();
    const kept = [];
    for await (const blob of blobs.list()) kept.push(blob);
    expect(kept.length).toBe(1);
    expect((await (await get('/described/a')).bytes()).equals(body)).toBe(true);
  });
});

describe('rewritten documents', () => {
  it('rewrites once and serves the memo, in the coding asked for', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/text/a', { body: 'hello '.repeat(1000), mediaType: 'text/plain' });
    const plain = await get('/text/a');
    expect(await plain.text()).toBe(`${'HELLO '.repeat(1000)}\nhttps://packages.example.com/test`);
    const zipped = await get('/text/a', { 'accept-encoding': 'gzip, br' });
    expect(zipped.headers).toMatchObject({ 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' });
    expect(zipped.headers['ETag']).not.toBe(plain.headers['ETag']);
    expect((await get('/text/a', { 'if-none-match': plain.headers['ETag'] as string })).status).toBe(304);
    expect(upstream.count('/text/a')).toBe(1);
  });

  it('refuses a captive portal, and serves the copy it has', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000 } });
    upstream.serve('/text/a', { body: 'x', mediaType: 'text/plain', fault: { kind: 'captive-portal' } });
    expect((await get('/text/a')).status).toBe(502);
    upstream.serve('/text/a', { body: 'good', mediaType: 'text/plain' });
    await (await get('/text/a')).text();
    upstream.serve('/text/a', { body: 'x', mediaType: 'text/plain', fault: { kind: 'captive-portal' } });
    clock.advance(2000);
    expect(await (await get('/text/a')).text()).toContain('GOOD');
  });
});

describe('policy', () => {
  it('denies an artifact on GET, HEAD and ranges, and says why', async () => {
    const policy = new FixedPolicy([
      {
        id: 'no-evil',
        action: 'deny',
        reason: 'it is evil',
        matches: ({ coordinates }) => coordinates.name === 'evil',
      },
    ]);
    const { upstream, ask } = await openHarness({ policy });
    upstream.serve('/files/evil', { body: 'x' });
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(method, '/files/evil', { range: 'bytes=0-0' });
      expect(answer.status).toBe(403);
      expect(answer.headers).toMatchObject({ 'X-Cache': 'DENIED', 'Cache-Control': 'no-store' });
    }
    expect(await (await ask('GET', '/files/evil')).text()).toContain('it is evil (rule no-evil)');
    expect(upstream.requests).toEqual([]);
  });

  it('denies by what the document says an artifact is, cold and kept', async () => {
    const policy = new FixedPolicy([]);
    const { upstream, get } = await openHarness({ policy });
    upstream.serve('/index.json', { body: `described/a ${sri('a')}` });
    upstream.serve('/described/a', { body: 'a' });
    policy.setRules([
      {
        id: 'no-evil',
        action: 'hold',
        reason: 'too new',
        matches: ({ coordinates }) => coordinates.version === 'of a',
      },
    ]);
    expect((await get('/described/a')).status).toBe(403);
    policy.setRules([]);
    expect((await get('/described/a')).status).toBe(200);
    policy.setRules([
      { id: 'no-evil', action: 'deny', reason: 'evil', matches: ({ coordinates }) => coordinates.version === 'of a' },
    ]);
    expect((await get('/described/a')).status).toBe(403);
    expect(upstream.count('/described/a')).toBe(1);
  });
});

describe('verification by other resources', () => {
  it('reads them through the pipeline, kept for the next one', async () => {
    const verify: TrustFacts<unknown>['verify'] = async (_resource, content, { read }) => {
      const allowed = await (await read({ class: 'raw', key: 'raw/allowed', path: 'raw/allowed' })).bytes(1000);
      if (!Buffer.from(allowed).includes(Buffer.from(await content.bytes(1000))))
        throw new EntrepotError('integrity', 'not allowed');
    };
    const side = withFacts({ trust: { verify } }, ['file']);
    const { upstream, get, entries } = await openHarness({ side });
    upstream.serve('/raw/allowed', { body: 'one two' });
    for (const name of ['one', 'two', 'three']) upstream.serve(`/files/${name}`, { body: name });
    expect(await (await get('/files/one')).text()).toBe('one');
    expect(await (await get('/files/two')).text()).toBe('two');
    expect(await get('/files/three')).toMatchObject({ status: 502 });
    expect(await entries.find('test', 'files/three')).toBeUndefined();
    expect(upstream.count('/raw/allowed')).toBe(1);
  });
});
