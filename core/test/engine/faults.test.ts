import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { openHarness, patterned, sri, withFacts, type Harness } from './harness.js';
import { DEFAULT_LIMITS } from '../../src/engine/index.js';

/** The entry of a key in the test repository. */
async function stored({ entries }: Harness, key: string): Promise<unknown> {
  return await entries.find('test', key);
}

describe('a body that breaks off', () => {
  it.each(['truncate', 'reset'] as const)('is taken up again where it broke (%s)', async (kind) => {
    const { upstream, get } = await openHarness();
    const body = patterned(1_000_000);
    upstream.serve('/files/a', { body, ranges: true, etag: '"a"', fault: { kind, after: 300_000, times: 1 } });
    expect((await (await get('/files/a')).bytes()).equals(body)).toBe(true);
    const resumed = upstream.requests[1]?.headers ?? {};
    expect(resumed['range']).toMatch(/^bytes=\d+-$/);
    expect(resumed['if-range']).toBe('"a"');
    expect((await get('/files/a')).headers['X-Cache']).toBe('HIT');
  });

  it('is read anew where its upstream sends no parts, and goes on behind what was sent', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(1_000_000);
    upstream.serve('/files/a', { body, fault: { kind: 'truncate', after: 300_000, times: 1 } });
    expect((await (await get('/files/a')).bytes()).equals(body)).toBe(true);
    expect(upstream.requests.length).toBe(2);
    expect((await get('/files/a')).headers['X-Cache']).toBe('HIT');
  });

  it('breaks off where the new one begins with other bytes', async () => {
    const harness = await openHarness();
    const { upstream, get } = harness;
    const fault = { kind: 'truncate', after: 300_000, times: 1 } as const;
    upstream.serve('/files/a', { body: patterned(1_000_000), fault });
    const gate = upstream.hold('/files/a', { afterBytes: 200_000 });
    const reading = (await get('/files/a')).bytes();
    await gate.reached;
    upstream.serve('/files/a', { body: Buffer.alloc(1_000_000, 1) });
    gate.open();
    await expect(reading).rejects.toThrow();
    expect(await stored(harness, 'files/a')).toBeUndefined();
  });

  it('is read anew a few times, not as often as it breaks off', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/files/a', { body: patterned(1_000_000), fault: { kind: 'truncate', after: 300_000 } });
    await expect((await get('/files/a')).bytes()).rejects.toThrow();
    expect(upstream.requests.length).toBeLessThan(6);
  });

  it('is not patched together from two versions', async () => {
    const harness = await openHarness();
    const { upstream, get } = harness;
    const body = patterned(1_000_000);
    upstream.serve('/files/a', {
      body,
      ranges: true,
      etag: '"a"',
      fault: { kind: 'truncate', after: 300_000, times: 1 },
    });
    const gate = upstream.hold('/files/a', { afterBytes: 200_000 });
    const answer = await get('/files/a');
    const reading = answer.bytes();
    await gate.reached;
    upstream.serve('/files/a', { body: Buffer.alloc(1_000_000, 1), ranges: true, etag: '"b"' });
    gate.open();
    await expect(reading).rejects.toThrow();
    expect(await stored(harness, 'files/a')).toBeUndefined();
  });

  it.each([
    ['truncate', { kind: 'truncate', after: 300_000 }, false],
    ['end-chunked-early', { kind: 'end-chunked-early', after: 300_000 }, true],
    ['reset', { kind: 'reset', after: 999_999 }, false],
    ['wrong-length', { kind: 'wrong-length', length: 1_000_001 }, false],
  ] as const)('never looks complete, is not stored, and the next request works (%s)', async (_name, fault, chunked) => {
    const harness = await openHarness();
    const { upstream, get } = harness;
    const body = patterned(1_000_000);
    upstream.serve('/files/a', { body, chunked, fault });
    const answer = await get('/files/a');
    // Told as such where nothing had been let go yet.
    if (answer.status === 200) await expect(answer.bytes()).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    else expect(answer.status).toBe(502);
    expect(await stored(harness, 'files/a')).toBeUndefined();
    upstream.serve('/files/a', { body });
    expect((await (await get('/files/a')).bytes()).equals(body)).toBe(true);
  });

  it.each([0, 1, 65_536, 500_000, 934_463, 934_464, 999_999])('fails at byte %i without a clean end', async (after) => {
    const harness = await openHarness();
    const { upstream, get } = harness;
    const body = patterned(1_000_000);
    upstream.serve('/files/a', { body, fault: { kind: 'truncate', after } });
    const answer = await get('/files/a');
    if (answer.status === 200) await expect(answer.bytes()).rejects.toThrow();
    else expect(answer.status).toBe(502);
    expect(await stored(harness, 'files/a')).toBeUndefined();
  });

  it('serves the kept copy when the changed one breaks off', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000 } });
    upstream.serve('/raw/page', { body: 'one' });
    await (await get('/raw/page')).text();
    upstream.serve('/raw/page', { body: 'x'.repeat(200_000), fault: { kind: 'truncate', after: 150_000 } });
    clock.advance(2000);
    const answer = await get('/raw/page');
    expect(answer.headers['X-Cache']).toBe('STALE');
    expect(await answer.text()).toBe('one');
  });
});

describe('wrong answers', () => {
  it('bounds an endless document', async () => {
    const harness = await openHarness({
      definition: {
        limits: {
          ...DEFAULT_LIMITS,
          totalTimeout: 60_000,
          maxDocumentBytes: 1_000_000,
          maxArtifactBytes: 2_000_000,
          maxRequestBytes: 1000,
        },
      },
    });
    harness.upstream.serve('/text/a', { mediaType: 'text/plain', fault: { kind: 'endless' } });
    expect((await harness.get('/text/a')).status).toBe(502);
    const large = patterned(1_500_000);
    harness.upstream.serve('/raw/large', { body: large });
    expect((await (await harness.get('/raw/large')).bytes()).equals(large)).toBe(true);
    harness.upstream.serve('/files/a', { fault: { kind: 'endless' } });
    await expect((await harness.get('/files/a')).bytes()).rejects.toMatchObject({ code: 'UPSTREAM_TOO_LARGE' });
    expect(await stored(harness, 'files/a')).toBeUndefined();
  });

  it('takes no more of a body than its resource may have, announced or not', async () => {
    const small = withFacts({ upstream: { maxBytes: 300_000 } });
    const harness = await openHarness({ side: small });
    const { upstream, get, storage } = harness;
    for (const path of ['/files/exact', '/text/exact'])
      upstream.serve(path, { body: Buffer.alloc(300_000, 'a'), mediaType: 'text/plain' });
    expect((await (await get('/files/exact')).bytes()).length).toBe(300_000);
    expect((await get('/text/exact')).status).toBe(200);
    for (const chunked of [false, true]) {
      const large = { body: patterned(300_001), mediaType: 'text/plain', chunked };
      for (const path of [`/files/${chunked}`, `/text/${chunked}`]) upstream.serve(path, large);
      expect((await get(`/text/${chunked}`)).status).toBe(502);
      const reply = await get(`/files/${chunked}`);
      // Its beginning has been let go by the time that it shows.
      expect(reply.status).toBe(chunked ? 200 : 502);
      if (chunked) await expect(reply.bytes()).rejects.toMatchObject({ code: 'UPSTREAM_TOO_LARGE' });
      for (const key of [`files/${chunked}`, `text/${chunked}`]) expect(await stored(harness, key)).toBeUndefined();
    }
    upstream.serve('/files/endless', { fault: { kind: 'endless' } });
    await expect((await get('/files/endless')).bytes()).rejects.toMatchObject({ code: 'UPSTREAM_TOO_LARGE' });
    expect(await upstream.requests.at(-1)?.done).toBe('cut');
    await expect.poll(() => storage.spools.used).toBe(0);
  });

  it('lets the first bytes go at once of a body that is said to be large', async () => {
    const harness = await openHarness();
    harness.upstream.serve('/files/a', { body: patterned(1_000_000), fault: { kind: 'stall', after: 1_000 } });
    const { body } = await harness.get('/files/a');
    const [bytes] = (await once(body as Readable, 'data')) as [Buffer];
    expect(bytes.equals(patterned(1_000_000).subarray(0, 1_000))).toBe(true);
    (body as Readable).destroy();
  });

  it('ends a fetch that takes too long', async () => {
    const harness = await openHarness({
      definition: {
        limits: {
          ...DEFAULT_LIMITS,
          totalTimeout: 50,
          maxDocumentBytes: 1e6,
          maxArtifactBytes: 1e9,
          maxRequestBytes: 1000,
        },
      },
    });
    harness.upstream.serve('/files/a', { body: patterned(1_000_000), fault: { kind: 'stall', after: 500_000 } });
    const answer = await harness.get('/files/a');
    // Told as such where nothing had been let go yet.
    if (answer.status === 504) return;
    await expect(answer.bytes()).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT', status: 504 });
  });

  it('undoes a content coding that nobody asked for', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(300_000);
    upstream.serve('/files/a.bin', { body, fault: { kind: 'gzip' } });
    expect((await (await get('/files/a.bin')).bytes()).equals(body)).toBe(true);
  });

  it('does not take a part that nobody asked for as the whole', async () => {
    const harness = await openHarness();
    harness.upstream.handle('/files/a', (_request, response) => {
      response.writeHead(206, { 'content-range': 'bytes 0-99/1000', 'content-length': '100' }).end(Buffer.alloc(100));
    });
    expect((await harness.get('/files/a')).status).toBe(502);
    expect(await stored(harness, 'files/a')).toBeUndefined();
  });

  it.each([
    [203, {}],
    [206, { 'content-range': 'bytes 0-4/5' }],
  ])('takes a whole body for what it is (%d)', async (status, headers) => {
    const { upstream, get } = await openHarness();
    for (const path of ['/files/a', '/raw/page']) {
      upstream.handle(path, (_request, response) => void response.writeHead(status, headers).end('whole'));
      for (const cache of ['MISS', 'HIT']) {
        const answer = await get(path);
        expect([answer.status, answer.headers['X-Cache'], await answer.text()]).toEqual([200, cache, 'whole']);
      }
    }
  });

  it('gives up on a redirect loop', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/files/a', { fault: { kind: 'redirect-loop' } });
    const answer = await get('/files/a');
    expect(answer.status).toBe(502);
    expect(await answer.text()).toContain('redirects more than 5 times');
  });

  it('follows a redirect, with its Location verbatim and without our credentials', async () => {
    const other = await openHarness();
    other.upstream.serve('/signed?sig=a%2Fb+c', { body: 'from elsewhere' });
    const url = new URL(other.upstream.url);
    const home = await openHarness();
    home.upstream.handle('/files/a', (_request, response) => {
      response.writeHead(302, { location: `${url.origin}/signed?sig=a%2Fb+c` }).end();
    });
    expect(await (await home.get('/files/a')).text()).toBe('from elsewhere');
    expect(other.upstream.requests[0]?.path).toBe('/signed?sig=a%2Fb+c');
    expect(other.upstream.requests[0]?.headers['authorization']).toBeUndefined();
  });
});

describe('a full disk', () => {
  it('keeps serving everybody, and stores nothing', async () => {
    const harness = await openHarness({ maxSpoolBytes: 1_000_000 });
    const { upstream, get } = harness;
    const body = patterned(12_000_000);
    upstream.serve('/files/big', { body });
    const gate = upstream.hold('/files/big', { afterBytes: 500_000 });
    const answers = await Promise.all([get('/files/big'), get('/files/big'), get('/files/big')]);
    await gate.reached;
    gate.open();
    const bodies = await Promise.all(answers.map((answer) => answer.bytes()));
    for (const bytes of bodies) expect(bytes.equals(body)).toBe(true);
    expect(upstream.count('/files/big')).toBe(1);
    expect(await stored(harness, 'files/big')).toBeUndefined();
    expect((await (await get('/files/big')).bytes()).equals(body)).toBe(true);
    expect(harness.storage.spools.used).toBe(0);
  });

  it('is not what somebody makes of it who asks for many large things', async () => {
    const harness = await openHarness({ maxSpoolBytes: 10_000_000 });
    const { upstream, get } = harness;
    const gates = ['/files/one', '/files/two'].map((path) => {
      upstream.serve(path, { body: patterned(6_000_000) });
      return upstream.hold(path, { afterBytes: 5_900_000 });
    });
    const large = await Promise.all([get('/files/one'), get('/files/two')]);
    const reading = large.map((answer) => answer.bytes());
    await Promise.all(gates.map((gate) => gate.reached));
    await expect.poll(() => harness.storage.spools.used).toBeGreaterThan(7_000_000);
    const body = patterned(800_000);
    upstream.serve('/files/small', { body });
    expect((await (await get('/files/small')).bytes()).equals(body)).toBe(true);
    await expect.poll(() => stored(harness, 'files/small')).toBeDefined();
    for (const gate of gates) gate.open();
    await Promise.all(reading);
  });

  it('still refuses wrong bytes', async () => {
    const harness = await openHarness({ maxSpoolBytes: 1000 });
    const body = patterned(2_000_000);
    harness.upstream.serve('/index.json', { body: `described/a ${sri(body)}` });
    harness.upstream.serve('/described/a', { body, fault: { kind: 'wrong-bytes' } });
    await expect((await harness.get('/described/a')).bytes()).rejects.toThrow(/expected sha512/);
  });
});

describe('clean-up', () => {
  it('leaves no spool file and no reserved byte behind', async () => {
    const { upstream, get, storage } = await openHarness();
    const body = patterned(1_000_000);
    upstream.serve('/files/good', { body });
    upstream.serve('/files/bad', { body, fault: { kind: 'truncate', after: 500_000 } });
    await (await get('/files/good')).bytes();
    await expect((await get('/files/bad')).bytes()).rejects.toThrow();
    await expect.poll(async () => await readdir(storage.spools.directory)).toEqual([]);
    expect(storage.spools.used).toBe(0);
  });
});

describe('several upstreams', () => {
  it('tries the next one on failure and on 404, and never says 404 for an outage', async () => {
    const second = await openHarness();
    const first = await openHarness();
    const both = await openHarness({
      definition: { upstreams: [{ url: first.upstream.url }, { url: second.upstream.url }] },
    });
    first.upstream.serve('/files/a', { status: 500 });
    second.upstream.serve('/files/a', { body: 'second' });
    expect(await (await both.get('/files/a')).text()).toBe('second');
    second.upstream.serve('/files/b', { body: 'b' });
    expect(await (await both.get('/files/b')).text()).toBe('b');
    first.upstream.serve('/files/c', { status: 503 });
    expect((await both.get('/files/c')).status).toBe(502);
    expect((await both.get('/files/d')).status).toBe(404);
  });

  it('does not ask the next origin when one is out of reach, but does when it does not have it', async () => {
    const [first, second] = [await openHarness(), await openHarness()];
    const side = withFacts({ upstream: { order: 'origins' } });
    const upstreams = [{ url: first.upstream.url }, { url: second.upstream.url }];
    const both = await openHarness({ side, definition: { upstreams } });
    second.upstream.serve('/files/private', { body: 'from the public place' });
    first.upstream.serve('/files/private', { status: 500 });
    for (let asked = 0; asked < 5; asked += 1) expect((await both.get('/files/private')).status).toBe(502);
    expect(second.upstream.requests).toEqual([]);
    second.upstream.serve('/files/public', { body: 'public' });
    expect(await (await both.get('/files/public')).text()).toBe('public');
  });

  it('goes on from each upstream by its own rule', async () => {
    const [first, second, third] = [await openHarness(), await openHarness(), await openHarness()];
    const upstreams = [
      { url: first.upstream.url, fallback: 'any-error' },
      { url: second.upstream.url, fallback: 'not-found' },
      { url: third.upstream.url },
    ] as const;
    const { get, clock } = await openHarness({ definition: { upstreams }, artifact: { negativeFor: 0 } });
    const rows = [
      // What the three answer, the reply, and how often each was asked.
      [[200, 200, 200], 200, [1, 0, 0]],
      [[404, 404, 200], 200, [1, 1, 1]],
      [[500, 404, 200], 200, [1, 1, 1]],
      [[403, 200, 200], 200, [1, 1, 0]],
      [[400, 410, 404], 400, [1, 1, 1]],
      [[404, 500, 200], 502, [1, 1, 0]],
      [[404, 403, 200], 403, [1, 1, 0]],
      [[500, 404, 404], 502, [1, 1, 1]],
      [[404, 404, 410], 410, [1, 1, 1]],
    ] as const;
    for (const [at, [answers, status, asked]] of rows.entries()) {
      clock.advance(60_000);
      const path = `/files/${at}`;
      const places = [first, second, third];
      for (const [place, answer] of answers.entries())
        places[place]?.upstream.serve(path, { status: answer, body: 'a' });
      const found = (await get(path)).status;
      expect([at, found, places.map(({ upstream }) => upstream.count(path))]).toEqual([at, status, asked]);
    }
  });

  it('passes over one that has been failing where its failure leads on, and never says 404 without it', async () => {
    const [first, second] = [await openHarness(), await openHarness()];
    const upstreams = [
      { url: first.upstream.url, fallback: 'any-error' },
      { url: second.upstream.url, fallback: 'not-found' },
    ] as const;
    const { get } = await openHarness({ definition: { upstreams }, document: { freshFor: 0, onGone: 'pass' } });
    second.upstream.serve('/raw/a', { body: 'a' });
    for (let asked = 0; asked < 5; asked += 1) {
      first.upstream.serve('/raw/a', { status: 500 });
      expect(await (await get('/raw/a')).text()).toBe('a');
    }
    expect(first.upstream.count('/raw/a')).toBe(3);
    first.upstream.serve('/raw/b', { status: 500 });
    expect((await get('/raw/b')).status).toBe(502);
    // The copy stands in: the one that was not asked may have it.
    second.upstream.serve('/raw/a', { status: 404 });
    expect(await (await get('/raw/a')).text()).toBe('a');
  });

  it('resolves what a document says against where it was found', async () => {
    const { upstream, get } = await openHarness();
    upstream.handle(
      '/index.json',
      (_request, response) => void response.writeHead(302, { location: '/moved/index.json' }).end(),
    );
    upstream.serve('/moved/index.json', { body: `described/a ${sri('bytes')} files/a.bin` });
    upstream.serve('/moved/files/a.bin', { body: 'bytes' });
    expect(await (await get('/described/a')).text()).toBe('bytes');
  });

  it('sends credentials to their origin only', async () => {
    const one = await openHarness();
    const harness = await openHarness({
      definition: { upstreams: [{ url: one.upstream.url, authorization: 'Bearer secret' }] },
    });
    one.upstream.serve('/files/a', { body: 'a' });
    await (await harness.get('/files/a')).text();
    expect(one.upstream.requests[0]?.headers['authorization']).toBe('Bearer secret');
  });
});
