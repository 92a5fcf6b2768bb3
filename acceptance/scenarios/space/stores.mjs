import { join } from 'node:path';
import { Azurite, AZURITE_MISSING } from '@entrepot/fixtures/azurite';
import { FAKE_GCS_MISSING, FakeGcs } from '@entrepot/fixtures/fake-gcs';
import { withScratch } from '@entrepot/fixtures/scratch';
import { builtTool } from '@entrepot/fixtures/tools';
import { S3Server } from '../../servers/s3.mjs';
import { StoreView } from '../../servers/store-view.mjs';
import { note } from '../../tally.mjs';
import { randomSchedules } from './schedules.mjs';

/** @import { Tally } from '../../tally.mjs' */
/** @import { OtherStore } from './schedules.mjs' */

/**
 * Random schedules over stores that are no folder.
 * @param {Tally} tally
 * @param {{ schedules: number, seed: number }} options of each store
 * @param {readonly string[]} names of the stores. Empty: all of them
 */
export async function schedulesOverStores(tally, options, names = []) {
  for (const [name, run] of Object.entries({ s3: overS3, azure: overAzure, google: overGoogle }))
    if (names.length === 0 || names.includes(name)) await run(tally, options);
}

/** @param {Tally} tally @param {{ schedules: number, seed: number }} options */
async function overS3(tally, options) {
  const program = builtTool('versitygw');
  if (program === undefined) return note('versitygw is not on this machine: schedules over S3 are left out');
  await withScratch('space-s3', async (folder) => {
    const bucket = new S3Server(program, join(folder, 's3'));
    try {
      await bucket.start();
      /** @type {OtherStore} */
      const store = {
        name: 'S3',
        storage: (prefix) => bucket.storage(prefix),
        env: bucket.env,
        files: (prefix) => new StoreView(bucket.folderOf(prefix), async () => []).files(),
      };
      await randomSchedules(tally, { ...options, store });
    } finally {
      await bucket.kill();
    }
  });
}

/** @param {Tally} tally @param {{ schedules: number, seed: number }} options */
async function overAzure(tally, { schedules, seed }) {
  const program = Azurite.program();
  if (program === undefined) return note(AZURITE_MISSING.slice(2));
  // The emulator keeps all that it ever had in memory, and its answers take longer each time.
  for (let done = 0; done < schedules; done += ONE_EMULATOR)
    await overAzurite(tally, program, { schedules: Math.min(ONE_EMULATOR, schedules - done), seed: seed + done });
}

/** The bound on schedules over one emulator of Azure. */
const ONE_EMULATOR = 25;

/** @param {Tally} tally @param {string} program @param {{ schedules: number, seed: number }} options */
async function overAzurite(tally, program, options) {
  const azurite = await Azurite.start(program);
  const { account, container, endpoint } = azurite;
  try {
    await randomSchedules(tally, {
      ...options,
      store: {
        name: 'Azure',
        storage: (prefix) => ({
          backend: 'azure',
          account,
          container,
          endpoint,
          accountKey: '${env:AZURE_KEY}',
          prefix,
        }),
        env: { AZURE_KEY: azurite.accountKey },
        files: async (prefix) => blobsOf(await azurite.sizes(`${prefix}/v1/`)),
      },
    });
  } finally {
    await azurite.stop();
  }
}

/** @param {Tally} tally @param {{ schedules: number, seed: number }} options */
async function overGoogle(tally, options) {
  const program = FakeGcs.program();
  if (program === undefined) return note(FAKE_GCS_MISSING.slice(2));
  const gcs = await FakeGcs.start(program);
  const { bucket, endpoint } = gcs;
  try {
    await randomSchedules(tally, {
      ...options,
      store: {
        name: 'Google Cloud Storage',
        storage: (prefix) => ({ backend: 'gcs', bucket, endpoint, anonymous: true, prefix }),
        env: {},
        files: async (prefix) => blobsOf(await gcs.sizes(`${prefix}/v1/`)),
      },
    });
  } finally {
    await gcs.stop();
  }
}

/** The sizes of blobs by digest. @param {ReadonlyMap<string, number>} sizes of objects, by name */
function blobsOf(sizes) {
  return new Map(Array.from(sizes, ([name, size]) => [`sha256:${name.slice(name.lastIndexOf('/') + 1)}`, size]));
}
