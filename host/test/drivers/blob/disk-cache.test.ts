import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type BlobOpenOptions, type Digest, EntrepotError, silentLogger } from '@entrepot/core';
import { blobStoreSuite, digestOf, MemoryBlobStore, readStream, sampleBytes } from '@entrepot/core/testing';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { DiskCache } from '../../../src/drivers/blob/disk-cache.js';

const MIB = 1024 * 1024;

/** A store that counts what is read from it. */
class CountedStore extends MemoryBlobStore {
  readonly opened: (string | undefined)[] = [];

  override async open(digest: Digest, options: BlobOpenOptions = {}): Promise<Readable | undefined> {
    this.opened.push(options.range === undefined ? 'whole' : 'part');
    return await super.open(digest, options);
  }
}

let root: string;
let store: CountedStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'entrepot-cache-'));
  store = new CountedStore();
  onTestFinished(() => rm(root, { recursive: true, force: true }));
});

const options = (maxBytes = 100 * MIB) => ({ path: root, maxBytes, logger: silentLogger });
const open = (maxBytes?: number) => DiskCache.open(store, options(maxBytes));

describe('DiskCache', () => {
  blobStoreSuite({ describe, it }, async () => ({ store: await open() }));

  it('reads a blob from the store once, parts of it too', async () => {
    const cache = await open();
    const { bytes, digest } = await put(cache, MIB);
    for (let time = 0; time < 3; time += 1) expect((await read(cache, digest)).equals(bytes)).toBe(true);
    expect(await read(cache, digest, { size: MIB, range: { start: 5, end: 99 } })).toEqual(bytes.subarray(5, 100));
    expect(store.opened).toEqual(['whole']);
  });

  it('signs no URL for what it has a copy of', async () => {
    const url = new URL('https://store.example.com/blob');
    const cache = await DiskCache.open(Object.assign(store, { signedUrl: async () => url }), options());
    const { digest } = await put(cache, MIB);
    expect(await cache.signedUrl?.(digest, { ttl: 1000 })).toBe(url);
    await read(cache, digest);
    expect(await cache.signedUrl?.(digest, { ttl: 1000 })).toBeUndefined();
  });

  it('serves what it has a copy of while the store is away', async () => {
    const cache = await open();
    const { bytes, digest } = await put(cache, MIB);
    await read(cache, digest);
    const away = async (): Promise<never> => {
      throw new EntrepotError('storage', 'the store is away');
    };
    Object.assign(store, { stat: away, open: away });
    expect(await cache.stat(digest)).toEqual({ digest, size: MIB });
    expect((await read(cache, digest)).equals(bytes)).toBe(true);
    await expect(cache.stat(digestOf('another'))).rejects.toThrow('the store is away');
  });

  it('copies a small blob as a whole when a part is wanted, and passes parts of a large one through', async () => {
    const cache = await open(400 * MIB);
    const { bytes, digest } = await put(cache, MIB);
    const range = { start: 5, end: 99 };
    expect(await read(cache, digest, { size: MIB, range })).toEqual(bytes.subarray(5, 100));
    await expect.poll(() => files()).toEqual([digest.slice(7)]);
    const large = await put(cache, 65 * MIB);
    store.opened.length = 0;
    await read(cache, large.digest, { size: 65 * MIB, range });
    expect(store.opened).toEqual(['part']);
  });

  it('knows its copies after a start, and verifies each before it uses it', async () => {
    const first = await open();
    const right = await put(first, 1000, 1);
    const torn = await put(first, 1000, 2);
    await read(first, right.digest);
    await read(first, torn.digest);
    await writeFile(fileOf(torn.digest), Buffer.alloc(1000));
    const again = await open();
    store.opened.length = 0;
    expect(await read(again, right.digest)).toEqual(right.bytes);
    expect(store.opened).toEqual([]);
    expect(await read(again, torn.digest)).toEqual(torn.bytes);
    expect(store.opened).toEqual(['whole']);
  });

  it('keeps to its bound, the least used go', async () => {
    const cache = await open(4 * MIB);
    const blobs = [];
    for (let seed = 0; seed < 8; seed += 1) {
      const blob = await put(cache, MIB, seed);
      blobs.push(blob);
      await read(cache, blob.digest);
      await read(cache, (blobs[0] as typeof blob).digest);
    }
    const left = await files();
    expect(left).toHaveLength(4);
    expect(left).toContain(blobs[0]?.digest.slice(7));
    const huge = await put(cache, 2 * MIB, 99);
    expect((await read(cache, huge.digest)).equals(huge.bytes)).toBe(true);
    expect(await files()).not.toContain(huge.digest.slice(7));
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
    const smaller = await open(2 * MIB);
    expect(await files()).toHaveLength(2);
    await smaller.dispose();
  });

  it('keeps nothing of a reader that leaves, and reads from the store where the disk fails', async () => {
    const cache = await open();
    const { bytes, digest } = await put(cache, 5 * MIB);
    const stream = (await cache.open(digest)) as Readable;
    for await (const _ of stream) break;
    await expect.poll(() => readdir(join(root, 'tmp'))).toEqual([]);
    await rm(join(root, 'tmp'), { recursive: true });
    await writeFile(join(root, 'tmp'), 'in the way');
    expect((await read(cache, digest)).equals(bytes)).toBe(true);
    expect(await files()).toEqual([]);
  });

  it('reads from the store what vanished, and forgets what is deleted', async () => {
    const cache = await open();
    const { bytes, digest } = await put(cache, 1000);
    await read(cache, digest);
    await rm(fileOf(digest));
    expect((await read(cache, digest)).equals(bytes)).toBe(true);
    expect(await files()).toEqual([digest.slice(7)]);
    expect(await cache.delete(digest)).toBe(true);
    expect(await cache.open(digest)).toBeUndefined();
    expect(await files()).toEqual([]);
  });

  it('sets a damaged copy aside, and not the blob', async () => {
    const cache = await open();
    const { bytes, digest } = await put(cache, 1000);
    await read(cache, digest);
    expect(await cache.setAside(digest)).toBe(false);
    expect(await files()).toEqual([]);
    expect((await read(cache, digest)).equals(bytes)).toBe(true);
  });

  it('removes what a crash left long ago', async () => {
    await open();
    const [old, fresh] = ['old.part', 'fresh.part'].map((name) => join(root, 'tmp', name)) as [string, string];
    await writeFile(old, 'x');
    await writeFile(fresh, 'x');
    await utimes(old, 1, 1);
    await open();
    expect(await readdir(join(root, 'tmp'))).toEqual(['fresh.part']);
  });

  it('is refused where its folder cannot be made', async () => {
    await writeFile(join(root, 'file'), 'x');
    const opening = DiskCache.open(store, { path: join(root, 'file'), maxBytes: MIB, logger: silentLogger });
    await expect(opening).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('cache of blobs'),
    });
  });
});

async function put(cache: DiskCache, size: number, seed = 0) {
  const bytes = sampleBytes(size, seed + 1);
  const digest = digestOf(bytes);
  await cache.put(digest, size, { open: () => Readable.from([bytes]) });
  return { bytes, digest };
}

async function read(cache: DiskCache, digest: Digest, options?: BlobOpenOptions): Promise<Buffer> {
  return await readStream((await cache.open(digest, options)) as Readable);
}

function fileOf(digest: Digest): string {
  return join(root, 'v1', digest.slice(7, 9), digest.slice(7));
}

/** The names of all copies. */
async function files(): Promise<readonly string[]> {
  return (await readdir(join(root, 'v1'), { recursive: true }))
    .filter((name) => name.length > 64)
    .map((name) => name.slice(3));
}
