import { randomBytes, randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EntrepotError, isFull } from '@entrepot/core';
import { withNewFile } from './new-file.js';
import { systemCode } from './storage-error.js';

const SIZE = 64;

/**
 * Tries what a store of files needs of its file system: bytes that are synced, a rename that replaces, and files that stay readable
 * after they were deleted. Mounts of other machines may lack each of these.
 * @param folder on the file system of the blobs. Nothing is left in it.
 * @throws EntrepotError `configuration` that says what is lacking
 */
export async function tryFolder(folder: string): Promise<void> {
  const place = join(folder, `probe.${randomUUID()}`);
  const step = async (what: string, work: () => Promise<boolean>): Promise<void> => {
    let reason = 'other bytes were read than were written';
    try {
      if (await work()) return;
    } catch (error) {
      if (isFull(error)) throw error;
      reason = systemCode(error) ?? String(error);
    }
    throw new EntrepotError(
      'configuration',
      `storage.path: ${folder} cannot ${what} (${reason}); expected a file system that can, see “Folders on a mount” in docs/storage.md`,
    );
  };
  const [first, second] = [randomBytes(SIZE), randomBytes(SIZE)];
  const put = (bytes: Buffer): Promise<boolean> =>
    withNewFile(`${place}.tmp`, async (handle) => {
      await handle.writeFile(bytes);
      await handle.sync();
      await rename(`${place}.tmp`, place);
      return true;
    });
  try {
    await step('keep a file', async () => (await put(first)) && (await readFile(place)).equals(first));
    await step(
      'replace a file by another one',
      async () => (await put(second)) && (await readFile(place)).equals(second),
    );
    await step('let a file be read to its end that was deleted', async () => {
      const handle = await open(place, 'r');
      try {
        await rm(place);
        return (await handle.readFile()).equals(second);
      } finally {
        await handle.close();
      }
    });
  } catch (error) {
    // A full disk tells nothing of the rest, and what is kept is served from it.
    if (!isFull(error)) throw error;
  } finally {
    await rm(place, { force: true }).catch(() => {});
  }
}
