// Puts blobs of pseudo-random sizes until it is killed. Arguments: the folder of the store, a number that makes this run's
// blobs unlike those of another run.
import { createHash, randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { FilesystemBlobStore } from '../../../src/drivers/blob/filesystem.js';

const [path = '', seed = '0'] = process.argv.slice(2);

async function putForEver(store: FilesystemBlobStore, lane: number): Promise<never> {
  for (let round = 0; ; round += 1) {
    const bytes = randomBytes(1 + ((Number(seed) * 7919 + lane * 104_729 + round * 50_021) % 400_000));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
    const open = () => Readable.from([bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)]);
    if (lane % 3 === 0) {
      await store.put(digest, bytes.length, { open });
    } else if (lane % 3 === 1) {
      await store.put(digest, bytes.length, { open, bytes });
    } else {
      const file = `${path}-spool-${seed}-${lane}-${round}`;
      await writeFile(file, bytes);
      await store.put(digest, bytes.length, { open, path: file });
      await rm(file);
    }
    // The parent kills at a random moment after the first of these.
    process.stdout.write('.');
  }
}

const store = await FilesystemBlobStore.open({ path, durability: Number(seed) % 2 === 0 ? 'strict' : 'relaxed' });
await Promise.all([0, 1, 2, 3, 4, 5].map((lane) => putForEver(store, lane)));
