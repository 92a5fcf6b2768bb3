import { describe, expect, it } from 'vitest';
import { anonymousAccess, type SignedUrlOptions } from '../../src/index.js';
import { MemoryBlobStore, MemoryEntryIndex } from '../../src/testing/index.js';
import { denying, FixedPolicy } from '../../src/testing/fixed-policy.js';
import { openHarness, patterned, sri, type HarnessOptions } from './harness.js';

const SIZE = 2_000_000;
const REDIRECT = { minSize: 1_000_000, expires: 60_000 };

/** A store that signs URLs. */
class SigningStore extends MemoryBlobStore {
  readonly signed: SignedUrlOptions[] = [];
  isSigning = true;

  async signedUrl(digest: string, options: SignedUrlOptions): Promise<URL | undefined> {
    if (!this.isSigning) throw new Error('no credentials');
    this.signed.push(options);
    return new URL(`https://store.example.com/${digest}?signature=x`);
  }
}

async function open(options: HarnessOptions = {}) {
  const blobs = new SigningStore();
  const harness = await openHarness({
    redirect: REDIRECT,
    shared: { blobs, entries: new MemoryEntryIndex() },
    ...options,
  });
  const body = patterned(SIZE);
  const headers = { 'content-type': 'application/x-tar', 'content-disposition': 'attachment; filename="a.tar"' };
  harness.upstream.serve('/files/a.tar', { body, headers });
  return { ...harness, blobs, body };
}

describe('a large artifact in a store that signs URLs', () => {
  it('is fetched from there once it is kept', async () => {
    const { get, landed, blobs, body } = await open();
    const cold = await get('/files/a.tar');
    expect(cold.status).toBe(200);
    expect((await cold.bytes()).equals(body)).toBe(true);
    await landed();
    const { status, headers, body: none, outcome } = await get('/files/a.tar');
    expect([status, none]).toEqual([307, undefined]);
    expect(headers).toEqual({
      Location: expect.stringMatching(/^https:\/\/store\.example\.com\/sha256:[0-9a-f]{64}\?signature=x$/),
      'Content-Length': '0',
      'Cache-Control': 'no-store',
      'X-Cache': 'HIT',
      'Cache-Status': expect.stringContaining('Entrepot; hit'),
    });
    expect(headers['Cache-Status']).toContain('detail="redirected"');
    expect(outcome).toMatchObject({ name: 'hit', detail: 'redirected' });
    expect(blobs.signed).toEqual([
      { ttl: 60_000, mediaType: 'application/x-tar', disposition: 'attachment; filename="a.tar"' },
    ]);
  });

  it('is served from here to whoever asks for less than the whole, or under a condition', async () => {
    const { ask, get, landed, blobs, body } = await open();
    await (await get('/files/a.tar')).bytes();
    await landed();
    const part = await get('/files/a.tar', { range: 'bytes=0-9' });
    expect([part.status, await part.bytes()]).toEqual([206, body.subarray(0, 10)]);
    const head = await ask('HEAD', '/files/a.tar');
    expect([head.status, head.headers['Content-Length']]).toEqual([200, String(SIZE)]);
    const etag = head.headers['ETag'] as string;
    expect((await get('/files/a.tar', { 'if-none-match': etag })).status).toBe(304);
    expect((await get('/files/a.tar', { 'if-none-match': '"other"' })).status).toBe(200);
    expect((await get('/files/a.tar', { 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' })).status).toBe(200);
    expect(blobs.signed).toEqual([]);
  });

  it('is served from here where no URL can be signed', async () => {
    const { get, landed, blobs, body } = await open();
    await (await get('/files/a.tar')).bytes();
    await landed();
    blobs.isSigning = false;
    const { status, bytes } = await get('/files/a.tar');
    expect(status).toBe(200);
    expect((await bytes()).equals(body)).toBe(true);
  });

  it('is neither what is small nor what is a document', async () => {
    const { get, landed, upstream } = await open();
    upstream.serve('/files/small', { body: patterned(REDIRECT.minSize - 1) });
    upstream.serve('/raw/page', { body: patterned(SIZE) });
    upstream.serve('/text/page', { body: Buffer.alloc(SIZE, 'a'), headers: { 'content-type': 'text/plain' } });
    for (const path of ['/files/small', '/raw/page', '/text/page']) {
      await (await get(path)).bytes();
      await landed();
      expect((await get(path)).status).toBe(200);
    }
  });

  it('is refused as ever', async () => {
    const policy = new FixedPolicy();
    const { get, landed, blobs, entries, body, upstream } = await open({ policy });
    upstream.serve('/index.json', { body: `described/a.tar ${sri(body)}\n` });
    upstream.serve('/described/a.tar', { body });
    await (await get('/described/a.tar')).bytes();
    await landed();
    expect((await get('/described/a.tar')).status).toBe(307);
    policy.setRules([denying(() => true)]);
    expect((await get('/described/a.tar')).status).toBe(403);
    const closed = { shared: { blobs, entries }, definition: { access: anonymousAccess([]) } };
    expect((await (await openHarness({ redirect: REDIRECT, ...closed })).get('/described/a.tar')).status).toBe(403);
  });

  it('is one that was uploaded, too', async () => {
    const { ask, get, body } = await open({ kind: 'hosted' });
    expect((await ask('PUT', '/files/a.tar', {}, body.subarray(0, 1_000_000))).status).toBe(201);
    expect((await get('/files/a.tar')).status).toBe(307);
  });
});
