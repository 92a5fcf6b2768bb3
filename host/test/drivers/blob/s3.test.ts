import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Digest, silentLogger } from '@entrepot/core';
import {
  type BlobStoreFixture,
  blobStoreSuite,
  digestOf,
  ManualClock,
  pieces,
  readStream,
  sampleBytes,
} from '@entrepot/core/testing';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { S3Connection } from '../../../src/drivers/blob/s3/connection.js';
import { listObjects } from '../../../src/drivers/blob/s3/list-objects.js';
import { S3BlobStore } from '../../../src/drivers/blob/s3/s3-blob-store.js';
import type { S3Settings } from '../../../src/drivers/blob/s3/settings.js';
import { removeUnfinished } from '../../../src/space/unfinished.js';
import { s3Missing, s3Program, S3Server } from './s3-server.js';

const MIB = 1024 * 1024;

const SERVERS = [
  { name: 'versitygw', title: 'versitygw, which keeps connections', keepAlive: true },
  { name: 'versitygw', title: 'versitygw, which closes connections', keepAlive: false },
  { name: 'gofakes3', title: 'gofakes3, which checks nothing', keepAlive: true },
] as const;

for (const { name, title, keepAlive } of SERVERS) {
  const program = s3Program(name);
  if (program === undefined) console.log(s3Missing(name));

  describe.skipIf(program === undefined)(title, () => {
    let starting: Promise<S3Server> | undefined;
    const start = (): Promise<S3Server> => S3Server.start(name, program as string, { keepAlive });
    const server = (): Promise<S3Server> => (starting ??= start());
    afterAll(async () => await (await starting)?.stop());

    async function fixture(): Promise<BlobStoreFixture> {
      const settings = (await server()).settings();
      return { store: await open(settings), reopen: () => open(settings) };
    }

    blobStoreSuite({ describe, it }, fixture, { signedUrl: true, replicas: true });

    describe('with a server that goes down', () => {
      const only = Object.assign(
        (check: string, run: () => Promise<void>) => void (check.includes('an outage') && it(check, run)),
        { skip: () => {} },
      );
      blobStoreSuite(
        { it: only },
        async () => {
          const own = await start();
          return { store: await open(own.settings()), breakDown: () => own.stop(), close: () => own.stop() };
        },
        { signedUrl: true, outage: true },
      );
    });

    it('sends large blobs in parts, from files, from memory and from streams', async () => {
      const store = await opened((await server()).settings(), { multipartAbove: 5 * MIB });
      const folder = await mkdtemp(join(tmpdir(), 'entrepot-s3-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const bytes = sampleBytes(33 * MIB + 1);
      const digest = digestOf(bytes);
      const path = join(folder, 'spooled');
      await writeFile(path, bytes);
      const stream = () => Readable.from(pieces(bytes, 700_001));
      for (const source of [{ path, open: stream }, { bytes, open: stream }, { open: stream }]) {
        await store.put(digest, bytes.length, source);
        expect(await store.stat(digest)).toEqual({ digest, size: bytes.length });
        expect((await readAll(store, digest)).equals(bytes)).toBe(true);
        const range = { start: 16 * MIB - 10, end: 16 * MIB + 10 };
        expect(await readStream((await store.open(digest, { range })) as Readable)).toEqual(
          bytes.subarray(range.start, range.end + 1),
        );
        expect(await store.delete(digest)).toBe(true);
      }
    });

    it('leaves nothing of an upload in parts that fails', async () => {
      const settings = (await server()).settings();
      const store = await opened(settings, { multipartAbove: 5 * MIB });
      const bytes = sampleBytes(17 * MIB);
      const digest = digestOf(bytes);
      const changed = Buffer.from(bytes);
      changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
      for (const wrong of [changed, bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)])]) {
        const source = { open: () => Readable.from(pieces(wrong, 700_001)) };
        await expect(store.put(digest, bytes.length, source)).rejects.toMatchObject({ kind: 'integrity' });
        expect(await store.stat(digest)).toBeUndefined();
      }
      expect(await keysOf(settings)).toEqual([]);
      expect(await uploadsOf(settings)).toBe(0);
    });

    it.skipIf(name === 'gofakes3')('signs the type and the file name of the reply into URLs', async () => {
      const store = await opened((await server()).settings());
      const digest = await put(store, sampleBytes(1000));
      const reply = { mediaType: 'text/plain; charset="utf-8"', disposition: 'attachment; filename="a b+(1)!*\'.txt"' };
      const url = (await store.signedUrl(digest, { ttl: 60_000, ...reply })) as URL;
      const { status, headers } = await fetch(url);
      expect([status, headers.get('content-type'), headers.get('content-disposition')]).toEqual([
        200,
        reply.mediaType,
        reply.disposition,
      ]);
      url.searchParams.set('response-content-type', 'text/html');
      expect((await fetch(url)).status).toBe(403);
    });

    it('fails at once when a source ends early', async () => {
      const store = await opened((await server()).settings());
      const started = performance.now();
      const source = { open: () => Readable.from(pieces(sampleBytes(40_000), 10_000)) };
      await expect(store.put(digestOf('another'), 100_000, source)).rejects.toMatchObject({ kind: 'integrity' });
      // Long before any limit.
      expect(performance.now() - started).toBeLessThan(9_000);
    });

    it('keeps the id of the store, and sets damaged blobs aside', async () => {
      const settings = (await server()).settings();
      const store = await opened(settings);
      expect(await store.storeId()).toBeUndefined();
      await store.setStoreId('the id');
      expect(await (await opened(settings)).storeId()).toBe('the id');
      const bytes = sampleBytes(1000);
      const digest = await put(store, bytes);
      expect(await store.setAside(digest)).toBe(false);
      expect(await readAll(store, digest)).toEqual(bytes);
      await write(settings, `v1/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`, 'torn');
      expect(await store.setAside(digest)).toBe(true);
      expect(await store.setAside(digest)).toBe(true);
      expect(await store.stat(digest)).toBeUndefined();
      expect(await keysOf(settings)).toEqual([`damaged/${digest.slice(7)}`, 'layout.json']);
    });

    it.skipIf(!keepAlive)('lists uploads in parts that nobody ended, page after page, and aborts them', async () => {
      const settings = (await server()).settings();
      const store = await opened(settings, { multipartAbove: 5 * MIB });
      const digests = Array.from({ length: 1_003 }, (_, number) => digestOf(`upload ${number}`));
      const keyOf = (digest: Digest) => `${settings.prefix}/v1/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;
      await connected(settings, async ({ sdk, client, object }) => {
        const begin = (key: string) => client.send(new sdk.CreateMultipartUploadCommand(object(key)));
        for (let from = 0; from < digests.length; from += 50)
          await Promise.all(digests.slice(from, from + 50).map((digest) => begin(keyOf(digest))));
        await begin(`${settings.prefix}/damaged/other`);
        // That of another store in the bucket.
        await begin(`other-${settings.prefix}/other`);
      });
      const unfinished = await Array.fromAsync(store.unfinished());
      expect(new Set(unfinished.map(({ digest }) => digest))).toEqual(new Set([...digests, undefined]));
      const ages = unfinished.map(({ startedAt }) => Math.abs(Date.now() - startedAt));
      expect(Math.max(...ages)).toBeLessThan(120_000);

      const [held] = digests;
      const isHeld = async (digest: Digest) => digest === held;
      let removed = 0;
      const onRemoved = (): void => void (removed += 1);
      const clock = new ManualClock(Date.now());
      await removeUnfinished({ blobs: store, clock, isHeld }, { dryRun: false, onRemoved });
      expect(removed).toBe(0);
      clock.advance(25 * 3_600_000);
      await removeUnfinished({ blobs: store, clock, isHeld }, { dryRun: true, onRemoved });
      expect([removed, await uploadsOf(settings)]).toEqual([1_003, 1_000]);
      await removeUnfinished({ blobs: store, clock, isHeld }, { dryRun: false, onRemoved });
      expect([removed, await uploadsOf(settings)]).toEqual([2_006, 1]);
    });

    it('does not list the uploads that it is at itself', async () => {
      const store = await opened((await server()).settings(), { multipartAbove: 5 * MIB });
      const bytes = sampleBytes(6 * MIB);
      let seen = Infinity;
      // Within the upload, for its bytes are asked for.
      async function* looking(): AsyncGenerator<Buffer> {
        seen = (await Array.fromAsync(store.unfinished())).length;
        yield* pieces(bytes, 700_001);
      }
      await store.put(digestOf(bytes), bytes.length, { open: () => Readable.from(looking()) });
      expect(seen).toBe(0);
    });

    it.skipIf(name === 'gofakes3')('sets a damaged blob aside that is too large to be copied as a whole', async () => {
      const settings = (await server()).settings();
      const store = await opened(settings, { copiedAtOnce: 5 * MIB });
      const bytes = sampleBytes(11 * MIB);
      const digest = await put(store, bytes);
      const name = `v1/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;
      const damaged = Buffer.from(bytes);
      damaged[7] = (damaged[7] as number) ^ 1;
      await write(settings, name, damaged);
      expect(await store.setAside(digest)).toBe(true);
      expect(await keysOf(settings)).toEqual([`damaged/${digest.slice(7)}`]);
      expect(await uploadsOf(settings)).toBe(0);
      const kept = await connected(settings, async ({ sdk, client, object }) => {
        const key = `${settings.prefix}/damaged/${digest.slice(7)}`;
        const { Body } = await client.send(new sdk.GetObjectCommand(object(key)));
        return Buffer.from((await Body?.transformToByteArray()) as Uint8Array);
      });
      expect(kept.equals(damaged)).toBe(true);
    });

    it('replaces a damaged blob', async () => {
      const settings = (await server()).settings();
      const store = await opened(settings);
      const bytes = sampleBytes(1000);
      const digest = await put(store, bytes);
      await write(settings, `v1/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`, 'torn');
      expect(await store.open(digest, { size: 1000 })).toBeUndefined();
      expect(await store.open(digest, { size: 1000, range: { start: 500, end: 900 } })).toBeUndefined();
      await put(store, bytes);
      expect(await readAll(store, digest)).toEqual(bytes);
    });

    it('lists page after page', async () => {
      const store = await opened((await server()).settings());
      const all = Array.from({ length: 1_010 }, (_, number) => Buffer.from(`blob ${number}`));
      for (let from = 0; from < all.length; from += 50) {
        await Promise.all(all.slice(from, from + 50).map((bytes) => put(store, bytes)));
      }
      const found = new Set<Digest>();
      for await (const { digest } of store.list()) found.add(digest);
      expect(found).toEqual(new Set(all.map((bytes) => digestOf(bytes))));
    });

    it('is refused where the layout is another', async () => {
      const settings = (await server()).settings();
      await write(settings, 'layout.json', '{"version":9}');
      await expect(open(settings)).rejects.toMatchObject({
        kind: 'configuration',
        message: expect.stringContaining('expected layout version 1, found 9'),
      });
    });
  });
}

function open(
  settings: S3Settings,
  options: { readonly multipartAbove?: number; readonly copiedAtOnce?: number } = {},
): Promise<S3BlobStore> {
  return S3BlobStore.open({ settings, logger: silentLogger, ...options });
}

async function opened(...parameters: Parameters<typeof open>): Promise<S3BlobStore> {
  const store = await open(...parameters);
  onTestFinished(() => store.dispose());
  return store;
}

async function put(store: S3BlobStore, bytes: Buffer): Promise<Digest> {
  const digest = digestOf(bytes);
  await store.put(digest, bytes.length, { open: () => Readable.from([bytes]) });
  return digest;
}

async function readAll(store: S3BlobStore, digest: Digest): Promise<Buffer> {
  return await readStream((await store.open(digest)) as Readable);
}

/** The names of all objects of a store, without its prefix. */
async function keysOf(settings: S3Settings): Promise<readonly string[]> {
  return await connected(settings, async (connection) => {
    const keys: string[] = [];
    for await (const { key } of listObjects(connection, `${settings.prefix}/`)) keys.push(key);
    return keys.map((key) => key.slice(settings.prefix.length + 1));
  });
}

/** The number of uploads in parts that have not ended. */
async function uploadsOf(settings: S3Settings): Promise<number> {
  return await connected(settings, async ({ sdk, client }) => {
    const input = { Bucket: settings.bucket, Prefix: `${settings.prefix}/` };
    const { Uploads = [] } = await client.send(new sdk.ListMultipartUploadsCommand(input));
    return Uploads.length;
  });
}

async function write(settings: S3Settings, name: string, text: string | Buffer): Promise<void> {
  await connected(settings, async ({ sdk, client, object }) => {
    await client.send(new sdk.PutObjectCommand({ ...object(`${settings.prefix}/${name}`), Body: text }));
  });
}

async function connected<T>(settings: S3Settings, work: (connection: S3Connection) => Promise<T>): Promise<T> {
  const connection = await S3Connection.open(settings, silentLogger);
  try {
    return await work(connection);
  } finally {
    connection.dispose();
  }
}
