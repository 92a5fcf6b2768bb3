import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { type Digest, silentLogger } from '@entrepot/core';
import { inspectBlob } from '@entrepot/core/engine';
import { digestOf, pieces, readStream, sampleBytes } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { S3BlobStore } from '../../../src/drivers/blob/s3/s3-blob-store.js';
import type { S3Settings } from '../../../src/drivers/blob/s3/settings.js';
import { failWith, FakeS3, type Fault } from './fake-s3.js';
import { BUCKET, s3Settings } from './s3-server.js';

const SIZE = 1_000_000;
const PAGE = '<html><body>Please log in</body></html>';
const isBlob = ({ url }: IncomingMessage): boolean => url?.includes('/v1/') === true;

interface Opened {
  readonly server: FakeS3;
  readonly store: S3BlobStore;
  readonly bytes: Buffer;
  readonly digest: Digest;
}

/** A store that has a blob. */
async function opened(settings: Partial<S3Settings> = {}, limits: Limits = {}): Promise<Opened> {
  const server = await FakeS3.start();
  const store = await open(server, settings, limits);
  onTestFinished(() => store.dispose());
  const bytes = sampleBytes(SIZE);
  const digest = digestOf(bytes);
  await put(store, bytes);
  return { server, store, bytes, digest };
}

type Limits = Pick<Parameters<typeof S3BlobStore.open>[0], 'multipartAbove'>;

function open(
  { endpoint }: Pick<FakeS3, 'endpoint'>,
  settings: Partial<S3Settings> = {},
  limits: Limits = {},
): Promise<S3BlobStore> {
  const all = s3Settings({ endpoint, prefix: 'p', ...settings });
  return S3BlobStore.open({ settings: all, logger: silentLogger, ...limits });
}

async function put(store: S3BlobStore, bytes: Buffer): Promise<number> {
  let opens = 0;
  const source = () => {
    opens += 1;
    return Readable.from(pieces(bytes, 60_000));
  };
  await store.put(digestOf(bytes), bytes.length, { open: source });
  return opens;
}

async function read(store: S3BlobStore, digest: Digest, options = {}): Promise<Buffer> {
  return await readStream((await store.open(digest, options)) as Readable);
}

/** Does `fault` for the first `times` requests for blobs. */
function first(times: number, fault: (response: ServerResponse, request: IncomingMessage) => void): Fault {
  let left = times;
  return (request, response) => {
    if (!isBlob(request) || left === 0) return false;
    left -= 1;
    request.resume();
    fault(response, request);
    return true;
  };
}

describe('a body that breaks off', () => {
  const cut = (bytes: Buffer, from: number, length: number) => (response: ServerResponse, request: IncomingMessage) => {
    const start = Number(/=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? from);
    const head = { etag: '"tag"', 'content-length': SIZE - start };
    if (request.headers.range === undefined) response.writeHead(200, head);
    else response.writeHead(206, { ...head, 'content-range': `bytes ${start}-${SIZE - 1}/${SIZE}` });
    response.write(bytes.subarray(start, start + length), () => response.destroy());
  };

  it('is resumed where it was, if the object is the same', async () => {
    const { server, store, bytes, digest } = await opened();
    server.fault = first(2, cut(bytes, 0, 300_000));
    expect((await read(store, digest)).equals(bytes)).toBe(true);
    const [, second, third] = server.asked('GET');
    expect(second?.headers).toMatchObject({ range: `bytes=300000-${SIZE - 1}`, 'if-match': '"tag"' });
    expect(third?.headers.range).toBe(`bytes=600000-${SIZE - 1}`);
  });

  it('fails when it breaks off again and again, and never ends cleanly', async () => {
    const { server, store, bytes, digest } = await opened();
    server.fault = first(Infinity, cut(bytes, 0, 100_000));
    await expect(read(store, digest)).rejects.toMatchObject({
      kind: 'storage',
      message: expect.stringContaining('broke off before byte 300000'),
    });
    expect(server.asked('GET')).toHaveLength(3);
  });

  it('is resumed when no more bytes come', async () => {
    const { server, store, bytes, digest } = await opened({ idleTimeout: 200 });
    server.fault = first(1, (response) => {
      response.writeHead(200, { etag: '"tag"', 'content-length': SIZE });
      response.write(bytes.subarray(0, 1000));
    });
    expect((await read(store, digest)).equals(bytes)).toBe(true);
  });

  it('fails when the object is another by then', async () => {
    const { server, store, bytes, digest } = await opened();
    const breakOff = first(1, cut(bytes, 0, 1000));
    const changed = first(1, (response) => failWith(response, 412, 'PreconditionFailed'));
    server.fault = (request, response) => breakOff(request, response) || changed(request, response);
    await expect(read(store, digest)).rejects.toMatchObject({ kind: 'storage' });
  });
});

describe('a server that is busy', () => {
  const busy = (response: ServerResponse): void => failWith(response, 503, 'SlowDown');

  it('is asked again for what is read', async () => {
    const { server, store, bytes, digest } = await opened();
    server.fault = first(2, busy);
    expect((await read(store, digest)).equals(bytes)).toBe(true);
    server.fault = first(2, busy);
    expect(await store.stat(digest)).toEqual({ digest, size: SIZE });
  });

  it('gets what is written again, from a source that is opened anew', async () => {
    const { server, store } = await opened();
    server.fault = first(2, busy);
    const other = sampleBytes(500_000, 7);
    expect(await put(store, other)).toBe(3);
    expect((await read(store, digestOf(other))).equals(other)).toBe(true);
  });

  it('is given up', async () => {
    const { server, store, digest } = await opened();
    server.fault = first(Infinity, busy);
    await expect(store.open(digest)).rejects.toMatchObject({
      kind: 'storage',
      message: expect.stringContaining('SlowDown'),
    });
    expect(server.asked('GET')).toHaveLength(3);
    await expect(store.stat(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(put(store, sampleBytes(10))).rejects.toMatchObject({ kind: 'storage' });
  });

  it('that does not answer is given up after its time', async () => {
    const { server, store, digest } = await opened({ headersTimeout: 100 });
    server.fault = first(Infinity, () => {});
    await expect(store.open(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.stat(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.delete(digest)).rejects.toMatchObject({ kind: 'storage' });
  });

  it('that has no room is full', async () => {
    const { server, store } = await opened();
    server.fault = first(Infinity, (response) => failWith(response, 507, 'XMinioStorageFull'));
    await expect(put(store, sampleBytes(10))).rejects.toMatchObject({ code: 'STORAGE_FULL', status: 507 });
  });
});

describe('an upload in parts that is given up', () => {
  it('is aborted until the server has nothing of it', async () => {
    const { server, store } = await opened({}, { multipartAbove: 1_500_000 });
    // A server that is still at a part: it cannot remove the upload, then keeps that part, and has nothing at last.
    const aborts = [500, 204, 204];
    let asked = '';
    server.fault = (request, response) => {
      const { searchParams } = new URL(request.url as string, server.endpoint);
      if (searchParams.has('uploads')) {
        response.end('<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>');
      } else if (searchParams.get('uploadId') !== 'u') return false;
      else if (request.method === 'PUT') failWith(response, 403, 'AccessDenied');
      else if (request.method === 'GET') {
        asked += 'list ';
        if (aborts.length === 0) failWith(response, 404, 'NoSuchUpload');
        else response.end('<ListPartsResult><Part><PartNumber>1</PartNumber></Part></ListPartsResult>');
      } else {
        asked += 'abort ';
        const status = aborts.shift() as number;
        if (status === 500) failWith(response, status, 'InternalError');
        else response.writeHead(status).end();
      }
      request.resume();
      return true;
    };
    await expect(put(store, sampleBytes(2_000_000, 7))).rejects.toMatchObject({ kind: 'storage' });
    expect(asked).toBe('abort abort list abort list ');
  });
});

describe('a bucket that does not answer', () => {
  it('costs its deadline three times, and then next to nothing', async () => {
    const { server, store, digest } = await opened({ headersTimeout: 100 });
    server.fault = first(Infinity, () => {});
    await expect(store.open(digest)).rejects.toMatchObject({ kind: 'storage' });
    const asked = server.requests.length;
    for (let time = 0; time < 100; time += 1) {
      const skipped = { kind: 'storage', code: 'STORAGE_SKIPPED', status: 503, retryAfter: 1 };
      await expect(store.open(digest)).rejects.toMatchObject(skipped);
      await expect(store.stat(digest)).rejects.toMatchObject(skipped);
      await expect(put(store, sampleBytes(10))).rejects.toMatchObject(skipped);
      await expect(store.delete(digest)).rejects.toMatchObject(skipped);
    }
    // One of them may have come after the rest, and tried.
    expect(server.requests.length - asked).toBeLessThan(10);
  });

  it('is tried again after a moment, by one at a time', async () => {
    const { server, store, bytes, digest } = await opened({ headersTimeout: 100 });
    server.fault = first(Infinity, () => {});
    await expect(store.open(digest)).rejects.toMatchObject({ kind: 'storage' });
    server.fault = () => false;
    await expect.poll(() => store.stat(digest).catch(() => undefined), { timeout: 5_000 }).toBeDefined();
    expect((await read(store, digest)).equals(bytes)).toBe(true);
  });

  it('is not one that ends all connections at once', async () => {
    const { server, store, bytes, digest } = await opened();
    // All of them are asked before the first one fails.
    const asked: ServerResponse[] = [];
    server.fault = first(10, (response) => {
      if (asked.push(response) === 10) for (const one of asked) one.destroy();
    });
    const readers = Array.from({ length: 10 }, () => read(store, digest));
    for (const found of await Promise.all(readers)) expect(found.equals(bytes)).toBe(true);
  });

  it('is one that answers errors, and is asked on', async () => {
    const { server, store, digest } = await opened();
    server.fault = first(Infinity, (response) => failWith(response, 503, 'SlowDown'));
    for (let time = 1; time <= 3; time += 1) {
      await expect(store.open(digest)).rejects.toMatchObject({ message: expect.stringContaining('SlowDown') });
      expect(server.asked('GET')).toHaveLength(3 * time);
    }
  });

  it('is not one whose readers leave', async () => {
    const { server, store, bytes, digest } = await opened();
    server.fault = first(10, () => {});
    for (let time = 0; time < 10; time += 1) {
      const leaving = new AbortController();
      const opening = store.open(digest, { signal: leaving.signal });
      await expect.poll(() => server.asked('GET').length).toBe(time + 1);
      leaving.abort();
      await expect(opening).rejects.toThrow();
    }
    expect((await read(store, digest)).equals(bytes)).toBe(true);
  });

  it('is refused at start within its deadlines, where connections come to nothing', async () => {
    // It takes connections and never speaks: the handshake of TLS does not end.
    const mute = createServer().listen(0, '127.0.0.1');
    await once(mute, 'listening');
    onTestFinished(() => void mute.close());
    const endpoint = `https://127.0.0.1:${(mute.address() as AddressInfo).port}`;
    const limits = { connectTimeout: 100, headersTimeout: 200 };
    await expect(open({ endpoint }, limits)).rejects.toMatchObject({ kind: 'configuration' });
  });
});

describe('a page in the place of S3', () => {
  const page: Fault = (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/html', 'content-length': PAGE.length });
    response.end(request.method === 'HEAD' ? undefined : PAGE);
    return true;
  };

  it('is never a blob, no blob, or an empty listing', async () => {
    const { server, store, digest } = await opened();
    server.fault = page;
    await expect(store.open(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.open(digest, { size: PAGE.length })).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.open(digest, { range: { start: 0, end: 5 } })).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.stat(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.delete(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(put(store, sampleBytes(10))).rejects.toMatchObject({ kind: 'storage' });
    await expect(Array.fromAsync(store.list())).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.check('read')).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.check()).rejects.toMatchObject({ kind: 'storage' });
  });

  it('is refused at start', async () => {
    const server = await FakeS3.start();
    server.fault = page;
    await expect(open(server)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('expected a server of S3'),
    });
  });
});

describe('a bucket that refuses', () => {
  it.each([
    ['expired credentials', 400, 'ExpiredToken'],
    ['credentials that were taken away', 403, 'InvalidAccessKeyId'],
    ['a clock that has gone wrong', 403, 'RequestTimeTooSkewed'],
    ['another region', 301, 'PermanentRedirect'],
  ])('for %s, while it is in use, is an error and never an absence', async (_why, status, code) => {
    const { server, store, digest } = await opened();
    server.fault = (request, response) => {
      request.resume();
      failWith(response, status, code);
      return true;
    };
    await expect(store.open(digest)).rejects.toMatchObject({ kind: 'storage', message: expect.stringContaining(code) });
    await expect(store.stat(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.delete(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(put(store, sampleBytes(10))).rejects.toMatchObject({ kind: 'storage' });
    await expect(Array.fromAsync(store.list())).rejects.toMatchObject({ kind: 'storage' });
    await expect(Array.fromAsync(store.unfinished())).rejects.toMatchObject({ kind: 'storage' });
  });
});

describe('a damaged object', () => {
  async function damaged() {
    const found = await opened();
    const { server, bytes, digest } = found;
    const key = [...server.objects.keys()].find((name) => name.includes(digest.slice(7))) as string;
    const changed = Buffer.from(bytes);
    changed[SIZE - 1] = (changed[SIZE - 1] as number) ^ 1;
    server.objects.set(key, changed);
    return { ...found, key, changed, blob: { digest, size: SIZE } };
  }
  const conditional =
    (status: number, code: string): Fault =>
    (request, response) => {
      if (request.method !== 'DELETE' || request.headers['if-match'] === undefined) return false;
      failWith(response, status, code);
      return true;
    };

  it('is found by its digest, and set aside', async () => {
    const { server, store, key, changed, blob } = await damaged();
    expect(await inspectBlob(store, blob)).toBe('damaged');
    expect(await store.setAside(blob.digest)).toBe(true);
    expect(server.objects.has(key)).toBe(false);
    expect(server.objects.get(`p/damaged/${blob.digest.slice(7)}`)?.equals(changed)).toBe(true);
  });

  it('goes where the server knows no conditions, too', async () => {
    const { server, store, key, blob } = await damaged();
    server.fault = conditional(501, 'NotImplemented');
    expect(await store.setAside(blob.digest)).toBe(true);
    expect(server.objects.has(key)).toBe(false);
  });

  it('stays where it is another by then', async () => {
    const { server, store, key, blob } = await damaged();
    server.fault = conditional(412, 'PreconditionFailed');
    expect(await store.setAside(blob.digest)).toBe(false);
    expect(server.objects.has(key)).toBe(true);
  });
});

describe('a listing', () => {
  /** Gives pages of 1000 keys until there were `amount`. */
  const listing =
    (amount: number, goesOn = true): Fault =>
    (request, response) => {
      const url = new URL(request.url as string, 'http://s3');
      if (url.searchParams.get('list-type') !== '2') return false;
      const after = goesOn ? (url.searchParams.get('start-after')?.slice(-64) ?? '') : '';
      const first = after === '' ? 0 : Number.parseInt(after, 16) + 1;
      const last = Math.min(amount, first + 1_000);
      let contents = '';
      for (let number = first; number < last; number += 1) {
        const hex = number.toString(16).padStart(64, '0');
        contents += `<Contents><Key>p/v1/sha256/00/${hex}</Key><Size>${number}</Size></Contents>`;
      }
      const head = `<Name>${BUCKET}</Name><IsTruncated>${last < amount}</IsTruncated>`;
      response.end(`<ListBucketResult>${head}${contents}</ListBucketResult>`);
      return true;
    };

  it('of very many keys is read page after page', { timeout: 600_000 }, async () => {
    // Set it to 1000000 to see that many.
    const amount = Number(process.env['LISTED_KEYS'] ?? 20_000);
    const { server, store } = await opened();
    server.fault = listing(amount);
    let count = 0;
    let grown = 0;
    const before = process.memoryUsage().heapUsed;
    for await (const { size } of store.list()) {
      expect(size).toBe(count);
      count += 1;
      if (count % 10_000 === 0) grown = Math.max(grown, process.memoryUsage().heapUsed - before);
    }
    expect(count).toBe(amount);
    expect(grown).toBeLessThan(200e6);
  });

  it('that does not go on is an error', async () => {
    const { server, store } = await opened();
    server.fault = listing(5_000, false);
    await expect(Array.fromAsync(store.list())).rejects.toMatchObject({
      kind: 'storage',
      message: expect.stringContaining('expected a page of the listing'),
    });
  });
});

describe('absence', () => {
  it('is none where the bucket is gone', async () => {
    const { server, store, digest } = await opened();
    server.fault = (_request, response) => {
      failWith(response, 404, 'NoSuchBucket');
      return true;
    };
    await expect(store.stat(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.open(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.delete(digest)).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.storeId()).rejects.toMatchObject({ kind: 'storage' });
  });

  it('is what is left of a blob that was cut short', async () => {
    const { server, store, bytes, digest } = await opened();
    const key = [...server.objects.keys()].find((name) => name.includes(digest.slice(7))) as string;
    server.objects.set(key, bytes.subarray(0, 1000));
    expect(await store.open(digest, { size: SIZE })).toBeUndefined();
    expect(await store.open(digest, { size: SIZE, range: { start: 500, end: 1500 } })).toBeUndefined();
    expect(await store.open(digest, { size: SIZE, range: { start: 5000, end: 6000 } })).toBeUndefined();
    await expect(store.open(digest, { range: { start: 500, end: 1500 } })).rejects.toMatchObject({ kind: 'storage' });
  });

  it('is not what a listing of pages without tokens forgets', async () => {
    const { store, digest } = await opened();
    const others = Array.from({ length: 6 }, (_, n) => sampleBytes(100 + n));
    for (const bytes of others) await put(store, bytes);
    const listed = (await Array.fromAsync(store.list())).map((blob) => blob.digest);
    expect(new Set(listed)).toEqual(new Set([digest, ...others.map((bytes) => digestOf(bytes))]));
  });
});

describe('a start', () => {
  it.each([
    ['no bucket', 404, 'NoSuchBucket', {}, 'there is no bucket entrepot-test'],
    ['another region', 400, 'AuthorizationHeaderMalformed', { Region: 'eu-west-9' }, 'set storage.region to eu-west-9'],
    ['an unknown key', 403, 'InvalidAccessKeyId', {}, 'set storage.credentials'],
    ['an expired token', 400, 'ExpiredToken', {}, 'set storage.credentials'],
    ['a wrong secret', 403, 'SignatureDoesNotMatch', {}, 'set storage.credentials'],
    ['a missing permission', 403, 'AccessDenied', {}, 's3:ListBucket'],
  ])('says what to set where there is %s', async (_what, status, code, more, expected) => {
    const server = await FakeS3.start();
    server.fault = (request, response) => {
      request.resume();
      failWith(response, status, code, more);
      return true;
    };
    await expect(open(server)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining(expected),
    });
  });

  it('says by how much the clocks differ', async () => {
    const server = await FakeS3.start();
    const date = new Date(Date.now() - 20 * 60_000).toUTCString();
    server.fault = (request, response) => {
      request.resume();
      failWith(response, 403, 'RequestTimeTooSkewed', { date });
      return true;
    };
    await expect(open(server)).rejects.toMatchObject({
      message: expect.stringMatching(/differ by 1(199|200|201) s \(this one is ahead\)/),
    });
  });

  it('is refused where encryption is asked for and not confirmed', async () => {
    const encryption = { type: 's3', key: undefined } as const;
    await expect(open(await FakeS3.start(), { encryption })).rejects.toMatchObject({
      message: expect.stringContaining('expected encryption by AES256'),
    });
  });

  it('is refused where nobody answers', async () => {
    await expect(open({ endpoint: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('http://127.0.0.1:1 cannot be reached'),
    });
  });

  it('leaves nothing behind', async () => {
    const server = await FakeS3.start();
    await (await open(server)).dispose();
    expect([...server.objects.keys()]).toEqual([]);
  });
});
