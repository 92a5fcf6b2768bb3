import { constants } from 'node:fs';
import { copyFile } from 'node:fs/promises';

/** Secrets of a server, which clients' tokens are signed with. */
const SECRETS = ['token.key', 'admin.token'];

/** Copies the secrets that are there, and replaces none. */
export async function copySecrets(from: (name: string) => string, to: (name: string) => string): Promise<void> {
  for (const name of SECRETS) {
    await copyFile(from(name), to(name), constants.COPYFILE_EXCL).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
    });
  }
}
