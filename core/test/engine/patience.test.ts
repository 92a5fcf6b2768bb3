import { describe, expect, it } from 'vitest';
import { openHarness, patterned, withFacts, type Harness, type HarnessOptions } from './harness.js';

/** A harness whose copy of `path` is stale. */
async function stale(path: string, body: string | Buffer, options: HarnessOptions): Promise<Harness> {
  const harness = await openHarness(options);
  harness.upstream.serve(path, { body, etag: '"1"', mediaType: 'text/plain' });
  await (await harness.get(path)).bytes();
  harness.clock.advance(2000);
  return harness;
}

const SOON = { freshFor: 1000, expireAfter: 1000, staleAfter: 5 };

describe('a kept copy whose upstream does not answer', () => {
  it.each([
    ['a document', '/raw/page', 'ONE', undefined],
    ['a rewritten document', '/text/page', 'ONE\nhttps://packages.example.com/test', undefined],
    ['an artifact', '/files/a', 'ONE', undefined],
    ['a large body', '/raw/large', 'ONE', 5_000_000],
  ])('is given after staleAfter: %s', async (_what, path, expected, size) => {
    const { upstream, get } = await stale(path, 'ONE', { artifact: SOON, document: SOON });
    const next = size === undefined ? 'two' : Buffer.alloc(size, 'two');
    upstream.serve(path, { body: next, etag: '"2"', mediaType: 'text/plain' });
    const gate = upstream.hold(path);
    for (let asked = 0; asked < 2; asked += 1) {
      const answer = await get(path);
      expect(answer.headers).toMatchObject({ 'X-Cache': 'STALE' });
      expect(answer.headers['Cache-Status']).toContain('UPSTREAM_SLOW');
      expect(await answer.text()).toBe(expected);
    }
    // One refresh, which goes on behind.
    await gate.reached;
    expect(upstream.count(path)).toBe(2);
    gate.open();
  });

  it('is given where the upstream stops after the head, also of a large body', async () => {
    for (const [path, size] of [
      ['/raw/page', 10],
      ['/raw/large', 5_000_000],
    ] as const) {
      // Long enough for the head and the first bytes to come before it.
      const { upstream, get } = await stale(path, 'one', { document: { ...SOON, staleAfter: 200 } });
      upstream.serve(path, { body: patterned(size), etag: '"2"' });
      const gate = upstream.hold(path, { afterBytes: 2 });
      expect(await (await get(path)).text()).toBe('one');
      gate.open();
      await expect.poll(async () => (await (await get(path)).bytes()).length, { timeout: 60_000 }).toBe(size);
    }
  });

  it('is given to those who would ask the upstream themselves, and where that fails', async () => {
    const { upstream, get } = await stale('/raw/page', 'one', { document: { ...SOON, busy: 'bypass' } });
    const gate = upstream.hold('/raw/page');
    const first = get('/raw/page');
    await gate.reached;
    expect(await (await get('/raw/page')).text()).toBe('one');
    upstream.goOffline();
    expect(await (await get('/raw/page')).text()).toBe('one');
    gate.open();
    expect(await (await first).text()).toBe('one');
  });

  it('is not given past staleIfError, and not while the upstream answers in time', async () => {
    const document = { ...SOON, staleAfter: 60_000 };
    const { upstream, get } = await stale('/raw/page', 'one', { document });
    upstream.serve('/raw/page', { body: 'two' });
    expect(await (await get('/raw/page')).text()).toBe('two');
    const old = await stale('/raw/page', 'one', { document: { ...SOON, staleIfError: 0 } });
    old.upstream.serve('/raw/page', { body: 'two' });
    const gate = old.upstream.hold('/raw/page');
    const answer = old.get('/raw/page');
    await gate.reached;
    gate.open();
    expect(await (await answer).text()).toBe('two');
  });

  it('is fetched to the end where its bytes are lost', async () => {
    const { upstream, get, blobs, entries, storage } = await stale('/raw/page', 'one', { document: SOON });
    const digest = (await entries.find('test', 'raw/page'))?.digest as `sha256:${string}`;
    await blobs.delete(digest);
    storage.blobs.forget(digest);
    upstream.serve('/raw/page', { body: 'two' });
    const gate = upstream.hold('/raw/page');
    const answer = get('/raw/page');
    await gate.reached;
    gate.open();
    expect(await (await answer).text()).toBe('two');
  });

  it('is what hooks read, too', async () => {
    const { upstream, get } = await stale('/raw/page', 'one', {
      document: SOON,
      side: withFacts(
        {
          trust: {
            async verify(_resource, _content, { read }) {
              const page = await read({ class: 'raw', key: 'raw/page', path: 'raw/page' });
              expect(Buffer.from(await page.bytes(100)).toString()).toBe('one');
            },
          },
        },
        ['file'],
      ),
    });
    upstream.serve('/files/a', { body: 'bytes' });
    const gate = upstream.hold('/raw/page');
    expect(await (await get('/files/a')).text()).toBe('bytes');
    gate.open();
  });
});
