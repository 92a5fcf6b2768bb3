import { readFile, truncate, unlink, writeFile } from 'node:fs/promises';
import type { Digest } from '@entrepot/core';
import type { FilesystemBlobStore } from '../../src/drivers/blob/filesystem.js';

/** Does to the file of a blob what disks do. */
export async function damage(
  blobs: Pick<FilesystemBlobStore, 'pathOf'>,
  digest: Digest,
  how: 'flipped' | 'short' | 'gone' = 'flipped',
): Promise<void> {
  const path = await blobs.pathOf(digest);
  if (path === undefined) throw new Error(`there is no file of ${digest}`);
  if (how === 'gone') return await unlink(path);
  if (how === 'short') return await truncate(path, 1);
  await flipBit(path);
}

/** Changes one bit in the middle of a file. */
export async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] as number) ^ 1;
  await writeFile(path, bytes);
}
