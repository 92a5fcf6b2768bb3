import { describe, expect, it } from 'vitest';
import { openHarness, patterned } from './harness.js';

const PORTAL = '<!DOCTYPE html>\n<html><body>Please log in</body></html>';
const HTML = 'text/html; charset=utf-8';

describe('a login page', () => {
  it.each(['/raw/page', '/files/latest', '/files/a.tgz', '/raw/SHA256SUMS'])(
    'never replaces a copy that is no page: %s',
    async (path) => {
      const { upstream, get, clock } = await openHarness({
        document: { freshFor: 1000 },
        artifact: { expireAfter: 1000 },
      });
      upstream.serve(path, { body: 'right', mediaType: 'application/octet-stream' });
      await (await get(path)).bytes();
      upstream.serve(path, { body: PORTAL, mediaType: HTML });
      clock.advance(2000);
      for (let asked = 0; asked < 2; asked += 1) {
        const answer = await get(path);
        expect(answer.headers).toMatchObject({ 'X-Cache': 'STALE', 'Content-Type': 'application/octet-stream' });
        expect(await answer.text()).toBe('right');
      }
      upstream.serve(path, { body: 'right', mediaType: 'application/octet-stream' });
      clock.advance(20_000);
      expect((await get(path)).headers['X-Cache']).not.toBe('STALE');
    },
  );

  it.each(['/files/a.tgz', '/files/a.whl', '/raw/a.sha256', '/raw/data.json'])(
    'is an outage in place of a file: %s',
    async (path) => {
      const { upstream, get, ask, entries } = await openHarness();
      for (const headers of [{}, { 'content-encoding': 'none' }]) {
        upstream.serve(path, { body: PORTAL, mediaType: HTML, headers });
        expect((await ask('HEAD', path)).status).toBe(502);
        const answer = await get(path);
        expect(answer.status).toBe(502);
        expect(await answer.text()).toContain('login');
      }
      expect(await entries.find('test', path.slice(1))).toBeUndefined();
      upstream.serve(path, { body: 'right' });
      expect(await (await get(path)).text()).toBe('right');
    },
  );

  it('is not kept for ever under a name that says nothing', async () => {
    const { upstream, get, entries } = await openHarness();
    upstream.serve('/files/latest', { body: PORTAL, mediaType: HTML });
    expect(await (await get('/files/latest')).text()).toBe(PORTAL);
    expect(await entries.find('test', 'files/latest')).toBeUndefined();
    upstream.serve('/files/latest', { body: 'right' });
    expect(await (await get('/files/latest')).text()).toBe('right');
  });
});

describe('a page that was asked for', () => {
  it.each(['/files/index.html', '/raw/page'])('is kept: %s', async (path) => {
    const { upstream, get } = await openHarness();
    upstream.serve(path, { body: PORTAL, mediaType: HTML });
    await (await get(path)).bytes();
    expect((await get(path)).headers['X-Cache']).toBe('HIT');
  });

  it('is none where the bytes are a file with a wrong type', async () => {
    const { upstream, get } = await openHarness();
    const body = patterned(300_000);
    upstream.serve('/files/a.tgz', { body, mediaType: HTML });
    for (const cache of ['MISS', 'HIT']) {
      const answer = await get('/files/a.tgz');
      expect(answer.headers['X-Cache']).toBe(cache);
      expect((await answer.bytes()).equals(body)).toBe(true);
    }
  });
});
