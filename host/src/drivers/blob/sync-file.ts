import { open } from 'node:fs/promises';
import { systemCode } from './storage-error.js';

/** File systems that cannot sync a directory say so in one of these ways. */
const UNSYNCABLE = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EISDIR', 'EPERM', 'EBADF']);

/** Makes the bytes of a file durable. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the names in a directory durable, where its file system can. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    await syncFile(path);
  } catch (error) {
    if (!UNSYNCABLE.has(systemCode(error) ?? '')) throw error;
  }
}
