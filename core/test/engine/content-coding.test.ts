import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openHarness, patterned, sri, withFacts } from './harness.js';

const BODY = patterned(200_000);

/** The protocol with files whose coding clients get as it came. */
const keeping = withFacts({ reply: { keepsCoding: true } });

describe('a content coding', () => {
  it.each([
    ['gzip', gzipSync(BODY), BODY],
    ['x-gzip', gzipSync(BODY), BODY],
    ['deflate', deflateSync(BODY), BODY],
    ['br', brotliCompressSync(BODY), BODY],
    ['zstd', zstdCompressSync(BODY), BODY],
    ['gzip, br', brotliCompressSync(gzipSync(BODY)), BODY],
    // Labels that are none, or lie.
    ['gzip', BODY, BODY],
    ['x-gzip', Buffer.from('a'), Buffer.from('a')],
    ['deflate', BODY, BODY],
    ['aws-chunked', BODY, BODY],
    ['aws-chunked,gzip', gzipSync(BODY), BODY],
    ['none', BODY, BODY],
    ['UTF-8', BODY, BODY],
  ])('is undone where it is one: %s', async (coding, sent, expected) => {
    const { upstream, get } = await openHarness();
    for (const path of ['/files/a.bin', '/text/page'])
      upstream.serve(path, { body: sent, mediaType: 'text/plain', headers: { 'content-encoding': coding } });
    for (let asked = 0; asked < 2; asked += 1) {
      const answer = await get('/files/a.bin');
      expect(answer.headers['Content-Encoding']).toBeUndefined();
      expect((await answer.bytes()).equals(expected)).toBe(true);
    }
    expect((await get('/text/page')).status).toBe(200);
  });

  it.each([
    ['gzip', gzipSync(BODY)],
    ['x-gzip', BODY],
    ['aws-chunked', BODY],
    ['none', BODY],
  ])('is passed on as it came where the resource says so: %s', async (coding, sent) => {
    const { upstream, get, ask } = await openHarness({ side: keeping });
    upstream.serve('/files/a.bin', { body: sent, headers: { 'content-encoding': coding } });
    for (const method of ['HEAD', 'GET', 'GET', 'HEAD']) {
      const answer = await ask(method, '/files/a.bin');
      expect(answer.headers).toMatchObject({ 'Content-Encoding': coding, 'Content-Length': String(sent.length) });
      if (method === 'GET') expect((await answer.bytes()).equals(sent)).toBe(true);
    }
    upstream.serve('/files/a.tgz', { body: sent, headers: { 'content-encoding': coding } });
    const archive = await get('/files/a.tgz');
    expect(archive.headers['Content-Encoding']).toBeUndefined();
    expect((await archive.bytes()).equals(sent)).toBe(true);
  });

  it.each([
    ['bytes that are meant as they came', 'gzip', gzipSync(BODY), gzipSync(BODY)],
    ['bytes that are meant without it', 'gzip', gzipSync(BODY), BODY],
    ['an archive that was compressed once more', 'gzip', gzipSync(gzipSync(BODY)), gzipSync(BODY)],
    ['a label that is none', 'aws-chunked', BODY, BODY],
  ])('is decided by what is promised: %s', async (_what, coding, sent, meant) => {
    for (const name of ['a.bin', 'a.tgz']) {
      const { upstream, get } = await openHarness({ side: keeping });
      upstream.serve('/index.json', { body: `described/${name} ${sri(meant)}\n` });
      upstream.serve(`/described/${name}`, { body: sent, headers: { 'content-encoding': coding } });
      for (const cache of ['MISS', 'HIT']) {
        const answer = await get(`/described/${name}`);
        expect([answer.headers['X-Cache'], answer.headers['Content-Encoding']]).toEqual([cache, undefined]);
        expect((await answer.bytes()).equals(meant)).toBe(true);
      }
    }
  });

  it('does not save wrong bytes', async () => {
    const { upstream, get, storage } = await openHarness();
    upstream.serve('/index.json', { body: `described/a ${sri('something else')}\n` });
    upstream.serve('/described/a', { body: gzipSync(BODY), headers: { 'content-encoding': 'gzip' } });
    expect(await get('/described/a')).toMatchObject({ status: 502 });
    await expect.poll(() => storage.spools.used, { timeout: 60_000 }).toBe(0);
  });
});
