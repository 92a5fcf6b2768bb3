import { type BlobStore, silentLogger } from '@entrepot/core';
import { ObjectBlobStore } from '@entrepot/core/blobs';
import { type BlobStoreFixture, blobStoreSuite } from '@entrepot/core/testing';
import { Azurite, AZURITE_MISSING } from '@entrepot/fixtures/azurite';
import { bucketStoreSuite } from '@entrepot/fixtures/bucket-store';
import { FaultRelay } from '@entrepot/fixtures/fault-relay';
import { storeFaults } from '@entrepot/fixtures/store-faults';
import { afterAll, describe, expect, it } from 'vitest';
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
  bucketStoreSuite({
    it,
    server,
    nextPrefix,
    open: async (prefix, { large = false, pageSize } = {}) =>
      await open(await server(), prefix, {}, large ? BLOCKS : undefined, pageSize),
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
