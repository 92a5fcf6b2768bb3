import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { BlobStore, Digest } from '@entrepot/core';
import { ObjectBlobStore } from '@entrepot/core/blobs';
import { type BlobStoreFixture, blobStoreSuite, digestOf, sampleBytes } from '@entrepot/core/testing';
import { FAKE_GCS_MISSING, FakeGcs } from '@entrepot/fixtures/fake-gcs';
import { bucketStoreSuite } from '@entrepot/fixtures/bucket-store';
import { FaultRelay } from '@entrepot/fixtures/fault-relay';
import { storeFaults } from '@entrepot/fixtures/store-faults';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { GcsBucket } from '../src/gcs-bucket.js';
import plugin from '../src/index.js';
import { gcsOptions } from '../src/options.js';

const MIB = 1024 * 1024;
/** Objects above this size are sent as large ones are. */
const LARGE = 3 * MIB;

const program = FakeGcs.program();
if (program === undefined) console.log(FAKE_GCS_MISSING);

let starting: Promise<FakeGcs> | undefined;
const start = (): Promise<FakeGcs> => FakeGcs.start(program as string);
const server = (): Promise<FakeGcs> => (starting ??= start());
let stores = 0;
const nextPrefix = (): string => `store-${(stores += 1)}/blobs`;
afterAll(async () => await (await starting)?.stop());

async function fixture(): Promise<BlobStoreFixture> {
  const gcs = await server();
  const prefix = nextPrefix();
  return { store: await open(gcs, prefix), reopen: () => open(gcs, prefix) };
}

describe.skipIf(program === undefined)('the kit', () => {
  blobStoreSuite({ describe, it }, fixture, { replicas: true });
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
    { outage: true },
  );
});

describe.skipIf(program === undefined)('Google Cloud Storage', () => {
  bucketStoreSuite({
    it,
    server,
    nextPrefix,
    open: async (prefix, { large = false, pageSize } = {}) =>
      await open(await server(), prefix, {}, large ? LARGE : undefined, pageSize),
  });

  it.each([
    ['no bucket', { bucket: 'not-there' }, 'there is no bucket not-there'],
    ['nobody', { endpoint: 'http://127.0.0.1:1' }, 'http://127.0.0.1:1 cannot be reached'],
    [
      'no key',
      { anonymous: false, keyFile: '/not/there.json' },
      'storage.keyFile: expected the key of a service account',
    ],
  ])('says what to set where there is %s', async (_what, other, expected) => {
    await expect(open(await server(), 'blobs', other)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining(expected),
    });
  });

  it('signs URLs by a key of its own', async () => {
    const prefix = nextPrefix();
    const gcs = await server();
    const bytes = sampleBytes(1000);
    const digest = await put(await opened(prefix), bytes);
    const folder = await mkdtemp(join(tmpdir(), 'entrepot-gcs-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const keyFile = join(folder, 'key.json');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = {
      type: 'service_account',
      client_email: 'entrepot@example.org',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    };
    await writeFile(keyFile, JSON.stringify(key));
    const { endpoint, bucket: name } = gcs;
    // Not opened as a store: that would fetch a token from Google.
    const bucket = await GcsBucket.open(gcsOptions.parse({ bucket: name, endpoint, keyFile }));
    const url = (await bucket.signUrl?.(`${prefix}/v1/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`, {
      ttl: 60_000,
    })) as URL;
    expect(url.origin).toBe(endpoint);
    expect(url.searchParams.get('X-Goog-Expires')).toMatch(/^(59|60)$/);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer())).toEqual(bytes);
    await bucket.dispose();
  });
});

describe.skipIf(program === undefined)('faults', () => {
  storeFaults({
    it,
    server,
    open: async (endpoint, prefix, limits) => await open(await server(), prefix, { endpoint, ...limits }),
    noBucket: {
      status: 404,
      body: '{"error":{"code":404,"message":"The specified bucket does not exist.","errors":[{"reason":"notFound"}]}}',
      headers: { 'content-type': 'application/json' },
    },
  });
});

async function open(
  gcs: FakeGcs,
  prefix: string,
  other: object = {},
  above?: number,
  pageSize?: number,
): Promise<BlobStore> {
  const { endpoint, bucket } = gcs;
  const options = gcsOptions.parse({ endpoint, bucket, prefix, anonymous: true, ...other });
  if (above === undefined && pageSize === undefined) return await plugin.create({ options, services: {} });
  return await ObjectBlobStore.open(await GcsBucket.open(options, above), prefix, pageSize);
}

async function opened(prefix: string, above?: number, pageSize?: number): Promise<BlobStore> {
  const store = await open(await server(), prefix, {}, above, pageSize);
  onTestFinished(() => store.dispose());
  return store;
}

async function put(store: BlobStore, bytes: Buffer): Promise<Digest> {
  const digest = digestOf(bytes);
  await store.put(digest, bytes.length, { open: () => Readable.from([bytes]) });
  return digest;
}
