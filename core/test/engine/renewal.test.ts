import { describe, expect, it } from 'vitest';
import { openHarness, patterned } from './harness.js';

const OLD = { mediaType: 'text/plain', etag: '"1"', headers: { 'content-disposition': 'attachment; filename=old' } };
const NEW = { mediaType: 'application/gzip', headers: { 'content-disposition': 'attachment; filename=new' } };
const RULES = { artifact: { expireAfter: 1000 }, document: { freshFor: 1000 } };

describe('headers that the upstream corrects', () => {
  it.each([
    ['/raw/page', '"1"', 'REVALIDATED'],
    ['/files/a', '"1"', 'REVALIDATED'],
    ['/raw/page', '"2"', 'REVALIDATED'],
    ['/files/a', '"2"', 'REVALIDATED'],
  ])('reach clients with the same bytes: %s, then %s', async (path, etag) => {
    const { upstream, get, clock } = await openHarness(RULES);
    upstream.serve(path, { body: 'bytes', ...OLD });
    await (await get(path)).bytes();
    upstream.serve(path, { body: 'bytes', etag, ...NEW });
    clock.advance(2000);
    for (let asked = 0; asked < 2; asked += 1) {
      const { headers } = await get(path);
      expect(headers['Content-Type']).toBe('application/gzip');
      // Only artifacts keep this one.
      if (path.startsWith('/files/')) expect(headers['content-disposition']).toBe('attachment; filename=new');
    }
    clock.advance(2000);
    await get(path);
    expect(upstream.requests.at(-1)?.headers['if-none-match']).toBe(etag);
  });

  it('stay where a 304 does not send them, and are not a page because a 304 is one', async () => {
    const { upstream, get, clock } = await openHarness(RULES);
    upstream.serve('/files/a', { body: patterned(100), ...OLD });
    await (await get('/files/a')).bytes();
    for (const said of [{}, { 'content-type': 'text/html; charset=utf-8' }]) {
      clock.advance(2000);
      upstream.handle('/files/a', (_request, response) => void response.writeHead(304, said).end());
      const { headers } = await get('/files/a');
      expect([headers['Content-Type'], headers['content-disposition']]).toEqual([
        'text/plain',
        'attachment; filename=old',
      ]);
    }
  });
});

describe('a clock that was ahead', () => {
  it('freezes nothing: what it confirmed is asked for again', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 1000, staleIfError: 1000 } });
    const today = clock.now();
    clock.set(today + 365 * 86_400_000);
    upstream.serve('/raw/page', { body: 'one' });
    await (await get('/raw/page')).bytes();
    await (await get('/raw/page')).bytes();
    clock.set(today);
    upstream.serve('/raw/page', { body: 'two' });
    upstream.goOffline();
    expect(await (await get('/raw/page')).text()).toBe('one');
    upstream.goOnline();
    expect(await (await get('/raw/page')).text()).toBe('two');
  });

  it('does not have an upstream left alone for longer', async () => {
    const { upstream, get, clock } = await openHarness({ document: { freshFor: 0 } });
    upstream.serve('/raw/page', { body: 'one' });
    await (await get('/raw/page')).bytes();
    upstream.serve('/raw/page', { body: 'two', fault: { kind: 'status', status: 503, times: 3 } });
    for (let asked = 0; asked < 3; asked += 1) expect((await get('/raw/page')).headers['X-Cache']).toBe('STALE');
    clock.advance(10_000);
    clock.set(clock.now() - 3_600_000);
    expect(await (await get('/raw/page')).text()).toBe('two');
  });
});
