import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type BlobStore, type Digest, silentLogger } from '@entrepot/core';
import { ObjectBlobStore } from '@entrepot/core/blobs';
import {
  type BlobStoreFixture,
  blobStoreSuite,
  digestOf,
  pieces,
  readStream,
  sampleBytes,
} from '@entrepot/core/testing';
import { Azurite, AZURITE_MISSING } from '@entrepot/fixtures/azurite';
import { FaultRelay } from '@entrepot/fixtures/fault-relay';
import { storeFaults } from '@entrepot/fixtures/store-faults';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { AzureBucket } from '../src/azure-bucket.js';
import plugin from '../src/index.js';
import { azureOptions } from '../src/options.js';
import type { SendSizes } from '../src/put-blob.js';

const MIB = 1024 * 1024;
/** As for large blobs, in small. */
const BLOCKS: SendSizes = { blocksAbove: 3 * MIB, block: MIB };

const program = Azurite.program();
if (program === undefined) console.log(AZURITE_MISSING);
let starting: Promise<Azurite> | undefined;
const server = (): Promise<Azurite> => (starting ??= Azurite.start(program as string));
let stores = 0;
const nextPrefix = (): string => `store-${(stores += 1)}/blobs`;
afterAll(async () => await (await starting)?.stop());

async function fixture(): Promise<BlobStoreFixture> {
  const azurite = await server();
  const prefix = nextPrefix();
  return { store: await open(azurite, prefix), reopen: () => open(azurite, prefix) };
}

describe.skipIf(program === undefined)('the kit', () => {
  blobStoreSuite({ describe, it }, fixture, { signedUrl: true, replicas: true });
});

describe.skipIf(program === undefined)('with a server that goes down', () => {
  const only = Object.assign(
    (check: string, run: () => Promise<void>) => void (check.includes('an outage') && it(check, run)),
    { skip: () => {} },
  );
  blobStoreSuite(
    { it: only },
    async () => {
      const real = await server();
      const { origin, pathname } = new URL(real.endpoint);
      const relay = await FaultRelay.start(origin);
      const endpoint = `${relay.origin}${pathname === '/' ? '' : pathname}`;
      const breakDown = () => relay.stop();
      return { store: await open(real, nextPrefix(), { endpoint }), breakDown };
    },
    { signedUrl: true, outage: true },
  );
});

describe.skipIf(program === undefined)('Azure Blob Storage', () => {
  it('takes large blobs in blocks, from files, from memory and from streams', async () => {
    const store = await opened(nextPrefix(), BLOCKS);
    const folder = await mkdtemp(join(tmpdir(), 'entrepot-azure-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const bytes = sampleBytes(5 * MIB + 1);
    const digest = digestOf(bytes);
    const path = join(folder, 'spooled');
    await writeFile(path, bytes);
    const stream = () => Readable.from(pieces(bytes, 700_001));
    for (const source of [{ path, open: stream }, { bytes, open: stream }, { open: stream }]) {
      await store.put(digest, bytes.length, source);
      expect(await store.stat(digest)).toEqual({ digest, size: bytes.length });
      expect((await readAll(store, digest)).equals(bytes)).toBe(true);
      const range = { start: 2 * MIB - 10, end: 2 * MIB + 10 };
      const part = await readStream((await store.open(digest, { range })) as Readable);
      expect(part).toEqual(bytes.subarray(range.start, range.end + 1));
      expect(await store.delete(digest)).toBe(true);
    }
  });

  it('takes one large blob from several writers at once, whose blocks drop one another', async () => {
    const prefix = nextPrefix();
    const writers = await Promise.all([1, 2, 3].map(() => opened(prefix, BLOCKS)));
    const bytes = sampleBytes(5 * MIB);
    const digest = digestOf(bytes);
    await Promise.all(
      writers.map((store) => store.put(digest, bytes.length, { bytes, open: () => Readable.from([]) })),
    );
    expect((await readAll(writers[0] as BlobStore, digest)).equals(bytes)).toBe(true);
  });

  it('shows nothing of a large blob that fails', async () => {
    const prefix = nextPrefix();
    const store = await opened(prefix, BLOCKS);
    const bytes = sampleBytes(5 * MIB);
    const digest = digestOf(bytes);
    const changed = Buffer.from(bytes);
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
    for (const wrong of [changed, bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)])]) {
      const source = { open: () => Readable.from(pieces(wrong, 700_001)) };
      await expect(store.put(digest, bytes.length, source)).rejects.toMatchObject({ kind: 'integrity' });
      expect(await store.stat(digest)).toBeUndefined();
    }
    expect(await (await server()).names(prefix)).toEqual([]);
  });

  it('fails at once when a source ends early', async () => {
    const store = await opened(nextPrefix());
    const started = performance.now();
    const source = { open: () => Readable.from(pieces(sampleBytes(40_000), 10_000)) };
    await expect(store.put(digestOf('another'), 100_000, source)).rejects.toMatchObject({ kind: 'integrity' });
    // Long before any limit.
    expect(performance.now() - started).toBeLessThan(9_000);
  });

  it('keeps the id of the store, and sets damaged blobs aside', async () => {
    const prefix = nextPrefix();
    const azurite = await server();
    const store = await opened(prefix);
    expect(await store.storeId?.()).toBeUndefined();
    await store.setStoreId?.('the id');
    expect(await (await opened(prefix)).storeId?.()).toBe('the id');
    const bytes = sampleBytes(1000);
    const digest = await put(store, bytes);
    expect(await store.setAside?.(digest)).toBe(false);
    expect(await readAll(store, digest)).toEqual(bytes);
    await azurite.write(`${prefix}/v1/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`, 'torn');
    expect(await store.setAside?.(digest)).toBe(true);
    expect(await store.setAside?.(digest)).toBe(true);
    expect(await store.stat(digest)).toBeUndefined();
    expect(await azurite.names(prefix)).toEqual([`${prefix}/damaged/${digest.slice(7)}`, `${prefix}/layout.json`]);
    await put(store, bytes);
    await azurite.write(`${prefix}/v1/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`, 'x'.repeat(1000));
    await put(store, bytes);
    expect(await readAll(store, digest)).toEqual(bytes);
  });

  it('lists more blobs than a page has', async () => {
    const pageSize = 10;
    const store = await opened(nextPrefix(), undefined, pageSize);
    const all = Array.from({ length: 30 }, (_, number) => Buffer.from(`blob ${number}`));
    for (const bytes of all) await put(store, bytes);
    const found = (await Array.fromAsync(store.list())).map(({ digest }) => digest);
    expect(found.sort()).toEqual(all.map((bytes) => digestOf(bytes)).sort());
  });

  it('is refused where the layout is another', async () => {
    const prefix = nextPrefix();
    await (await server()).write(`${prefix}/layout.json`, '{"version":9}');
    await expect(open(await server(), prefix)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('expected layout version 1, found 9'),
    });
  });

  it.each([
    ['no container', { container: 'not-there' }, 'there is no container not-there'],
    ['a wrong key', { accountKey: Buffer.from('wrong').toString('base64') }, 'set storage.accountKey'],
    [
      'nobody',
      { endpoint: 'http://127.0.0.1:1/devstoreaccount1' },
      'http://127.0.0.1:1/devstoreaccount1 cannot be reached',
    ],
  ])('says what to set where there is %s', async (_what, other, expected) => {
    await expect(open(await server(), 'blobs', other)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining(expected),
    });
  });

  it('is opened by a connection string, and by a signature', async () => {
    const azurite = await server();
    const { accountKey, account, endpoint } = azurite;
    const connectionString = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${accountKey};BlobEndpoint=${endpoint};`;
    const none = { account: undefined, accountKey: undefined, endpoint: undefined };
    const store = await open(azurite, nextPrefix(), { ...none, connectionString });
    expect(typeof store.signedUrl).toBe('function');
    await store.dispose();
    const { ContainerSASPermissions } = await import('@azure/storage-blob');
    const expiresOn = new Date(Date.now() + 60_000);
    const permissions = ContainerSASPermissions.parse('rwdlc');
    const [, sasToken = ''] = (await azurite.client().generateSasUrl({ permissions, expiresOn })).split('?');
    const signed = await open(azurite, nextPrefix(), { accountKey: undefined, sasToken });
    expect(signed.signedUrl).toBeUndefined();
    await signed.dispose();
  });
});

describe.skipIf(program === undefined)('faults', () => {
  storeFaults({
    it,
    server,
    open: async (endpoint, prefix, limits) => await open(await server(), prefix, { endpoint, ...limits }),
    noBucket: {
      status: 404,
      body: '<?xml version="1.0"?><Error><Code>ContainerNotFound</Code><Message>It is not there.</Message></Error>',
      headers: { 'content-type': 'application/xml', 'x-ms-error-code': 'ContainerNotFound' },
    },
  });
});

async function open(
  azurite: Azurite,
  prefix: string,
  other: object = {},
  sizes?: SendSizes,
  pageSize?: number,
): Promise<BlobStore> {
  const { account, accountKey, endpoint, container } = azurite;
  const options = azureOptions.parse({ account, accountKey, endpoint, container, prefix, ...other });
  if (sizes === undefined && pageSize === undefined)
    return await plugin.create({ options, services: { logger: silentLogger } });
  return await ObjectBlobStore.open(await AzureBucket.open(options, sizes), prefix, pageSize);
}

async function opened(prefix: string, sizes?: SendSizes, pageSize?: number): Promise<BlobStore> {
  const store = await open(await server(), prefix, {}, sizes, pageSize);
  onTestFinished(() => store.dispose());
  return store;
}

async function put(store: BlobStore, bytes: Buffer): Promise<Digest> {
  const digest = digestOf(bytes);
  await store.put(digest, bytes.length, { open: () => Readable.from([bytes]) });
  return digest;
}

async function readAll(store: BlobStore, digest: Digest): Promise<Buffer> {
  return await readStream((await store.open(digest)) as Readable);
}
