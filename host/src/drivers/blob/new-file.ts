import { type FileHandle, open, rm } from 'node:fs/promises';

/** Nobody but the user of the server reads what is kept. */
export const FILE_MODE = 0o600;

/** Runs `work` on a new file, which is closed and gone afterwards unless `work` says that it renamed it. */
export async function withNewFile(path: string, work: (handle: FileHandle) => Promise<boolean>): Promise<boolean> {
  const handle = await open(path, 'wx+', FILE_MODE);
  let renamed = false;
  try {
    renamed = await work(handle);
  } finally {
    await handle.close();
    if (!renamed) await rm(path, { force: true });
  }
  return renamed;
}
