import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { folderBeside } from '../config/beside-blobs.js';
import type { Config } from '../config/schema.js';

const SECRET_BYTES = 32;
const SECRET = /^[0-9a-f]{64}$/;

/** The file of the secret `name` of a server: beside its database, else with its blobs, else beside its spool. */
export function secretFileOf({ metadata, storage }: Pick<Config, 'metadata' | 'storage'>, name: string): string {
  if (metadata.backend === 'sqlite') return path.join(path.dirname(metadata.path), name);
  const isFolder = storage.backend === 'filesystem';
  return path.join(isFolder ? folderBeside(storage.path) : path.dirname(storage.spool.path), name);
}

/** The file of the generated token of administration. */
export function adminTokenFileOf(config: Pick<Config, 'metadata' | 'storage'>): string {
  return secretFileOf(config, 'admin.token');
}

/**
 * The secret in `file`, made at the first start, which only the user of the server may read.
 * @returns 64 hexadecimal digits
 * @throws Error when it can be neither read nor made
 */
export async function readOrMakeSecret(file: string): Promise<string> {
  const known = await readSecret(file);
  if (known !== undefined) return known;
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const made = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(made, `${randomBytes(SECRET_BYTES).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
    // Whole or not at all; where two make one at a time, the first one's holds.
    await link(made, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await unlink(made).catch(() => {});
  }
  return (await readSecret(file)) as string;
}

/**
 * The secret in `file`; `undefined` when there is no such file.
 * @throws Error when it cannot be read, or holds something else
 */
export async function readSecret(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const secret = text.trim();
  if (!SECRET.test(secret)) throw new Error(`${file} holds no secret of this server; remove it to have one made`);
  return secret;
}
