import { join } from 'node:path';
import { withScratch } from '@entrepot/fixtures/scratch';
import { builtTool } from '@entrepot/fixtures/tools';
import { S3Server } from '../../servers/s3.mjs';
import { StoreView } from '../../servers/store-view.mjs';
import { note } from '../../tally.mjs';
import { randomSchedules } from './schedules.mjs';

/** @import { Tally } from '../../tally.mjs' */

/**
 * Random schedules over stores that are no folder.
 * @param {Tally} tally
 * @param {{ schedules: number, seed: number }} options
 */
export async function schedulesOverStores(tally, { schedules, seed }) {
  const program = builtTool('versitygw');
  if (program === undefined) return note('space over S3: versitygw is not on this machine: left out');
  await withScratch('space-s3', async (folder) => {
    const bucket = new S3Server(program, join(folder, 's3'));
    try {
      await bucket.start();
      const store = {
        name: 'S3',
        storage: (/** @type {string} */ prefix) => bucket.storage(prefix),
        env: bucket.env,
        files: (/** @type {string} */ prefix) => new StoreView(bucket.folderOf(prefix), async () => []).files(),
      };
      await randomSchedules(tally, { schedules, seed, store });
    } finally {
      await bucket.kill();
    }
  });
}
