import { describe, expect, it } from 'vitest';
import type { Parsed, PolicyEngine, RenderedDocument, RenderRequest } from '../../src/index.js';
import { openHarness, readAll, testSide, withFacts, type TestSide } from './harness.js';

const DATE = 'Thu, 01 Jan 2026 00:00:00 GMT';
const LATER = 'Thu, 01 Oct 2026 00:00:00 GMT';

/** A policy whose revision a test can change, and that denies one version then. */
function changing(): { policy: PolicyEngine; deny(): void } {
  let revision = 1;
  return {
    deny: () => (revision += 1),
    policy: {
      revision: () => String(revision),
      needs: () => new Set(),
      evaluate: ({ coordinates: { version } }) =>
        revision > 1 && version === '2'
          ? { action: 'deny', rules: [{ id: 'no', action: 'deny', reason: 'no' }] }
          : { action: 'allow', rules: [] },
    },
  };
}

/** Lists of versions, a line each; headers that a test wants. */
function listing(headers: Record<string, string> = {}): TestSide {
  const render = async (_document: Parsed, { content, admits }: RenderRequest): Promise<RenderedDocument> => {
    const lines = Buffer.from(await content.bytes(1e6))
      .toString()
      .split('\n');
    const admitted = lines.filter((version) => admits({ ecosystem: 'test', name: 'x', version }));
    return { bytes: [admitted.join('\n')], headers };
  };
  return withFacts({ reply: { render } }, ['text']);
}

describe('a rewritten document', () => {
  it('is not "not modified" by the date of the upstream: policy may have changed it since', async () => {
    const { policy, deny } = changing();
    const { get, upstream } = await openHarness({ side: listing(), policy });
    upstream.serve('/text/x', { body: '1\n2', mediaType: 'text/plain', headers: { 'last-modified': DATE } });
    const first = await get('/text/x');
    expect([await first.text(), first.headers['Last-Modified']]).toEqual(['1\n2', undefined]);
    deny();
    for (const since of [DATE, LATER]) {
      const again = await get('/text/x', { 'if-modified-since': since });
      expect([again.status, await again.text()]).toEqual([200, '1']);
    }
    expect((await get('/text/x', { 'if-none-match': first.headers['ETag'] as string })).status).toBe(200);
  });

  it('is "not modified" by the date where it is passed on as it is', async () => {
    const { get, upstream } = await openHarness();
    upstream.serve('/raw/x', { body: 'x', mediaType: 'text/plain', headers: { 'last-modified': DATE } });
    expect((await get('/raw/x')).headers['Last-Modified']).toBe(DATE);
    expect((await get('/raw/x', { 'if-modified-since': DATE })).status).toBe(304);
  });

  it('has the tag and the date that its protocol says, under names of any case', async () => {
    const side = listing({ etag: '"of-the-protocol"', 'LAST-MODIFIED': DATE, 'content-type': 'text/x-list' });
    const { get, upstream } = await openHarness({ side });
    upstream.serve('/text/x', { body: 'a\n'.repeat(2000), mediaType: 'text/plain' });
    const { headers } = await get('/text/x');
    const named = Object.keys(headers).map((name) => name.toLowerCase());
    expect(named).toEqual([...new Set(named)]);
    expect(headers).toMatchObject({ ETag: '"of-the-protocol"', 'Last-Modified': DATE, 'Content-Type': 'text/x-list' });
    expect((await get('/text/x', { 'if-none-match': '"of-the-protocol"' })).status).toBe(304);
    expect((await get('/text/x', { 'if-modified-since': DATE })).status).toBe(304);
    // Other bytes never have the same strong tag, and clients that know how it is made still find it.
    const packed = await get('/text/x', { 'accept-encoding': 'gzip' });
    expect(packed.headers).toMatchObject({ ETag: 'W/"of-the-protocol"', 'Content-Encoding': 'gzip' });
    for (const coding of ['identity', 'gzip']) {
      const again = await get('/text/x', { 'if-none-match': '"of-the-protocol"', 'accept-encoding': coding });
      expect(again.status).toBe(304);
    }
  });

  it.each([
    ['a small one', 400],
    ['a large one', 130_000],
  ])('is served in ranges: %s', async (_name, lines) => {
    const { get, upstream } = await openHarness({ side: listing({ etag: '"v1"' }) });
    const body = Array.from({ length: lines }, (_, line) => String(line)).join('\n');
    upstream.serve('/text/x', { body, mediaType: 'text/plain' });
    const whole = await (await get('/text/x')).text();
    expect(whole.length).toBeGreaterThan(lines);
    const tail = await get('/text/x', { range: `bytes=${whole.length - 10}-` });
    expect([tail.status, await tail.text()]).toEqual([206, whole.slice(-10)]);
    expect(tail.headers).toMatchObject({
      ETag: '"v1"',
      'Content-Range': `bytes ${whole.length - 10}-${whole.length - 1}/${whole.length}`,
    });
    expect((await get('/text/x', { range: `bytes=${whole.length}-` })).status).toBe(416);
    expect((await get('/text/x', { range: 'bytes=0-4', 'if-range': '"v0"' })).status).toBe(200);
    // Positions in the document are none in its compressed form.
    const packed = await get('/text/x', { range: 'bytes=0-4', 'accept-encoding': 'gzip' });
    expect([packed.status, packed.headers['Accept-Ranges']]).toEqual([200, undefined]);
  });

  it('with a tag that is none is the failure of its protocol', async () => {
    const { get, upstream } = await openHarness({ side: listing({ ETag: 'bare' }) });
    upstream.serve('/text/x', { body: '1', mediaType: 'text/plain' });
    expect((await get('/text/x')).status).toBe(500);
  });
});

describe('headers of one name and several spellings', () => {
  it('are one', async () => {
    const side: TestSide = {
      ...testSide,
      route: () => ({
        status: 200,
        body: 'x',
        headers: { 'cache-control': 'public', 'x-one': 'local' },
      }),
      renderError: () => ({ mediaType: 'text/plain', body: 'no', headers: { 'cache-control': 'private' } }),
    };
    const { get } = await openHarness({ side });
    const { headers, body } = await get('/x');
    expect((await readAll(body)).toString()).toBe('x');
    expect(headers).toMatchObject({ 'Cache-Control': 'public', 'x-one': 'local' });
    expect(headers).not.toHaveProperty('cache-control');
    const failing: TestSide = { ...side, route: () => undefined };
    const failed = await (await openHarness({ side: failing })).get('/x');
    expect(failed.status).toBe(404);
    expect(failed.headers['Cache-Control']).toBe('private');
    expect(failed.headers).not.toHaveProperty('cache-control');
  });
});
