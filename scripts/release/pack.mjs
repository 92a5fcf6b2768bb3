import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PUBLISHED } from '../published.mjs';
import { run } from './run.mjs';

/**
 * A packed package.
 * @typedef {{ name: string, version: string, file: string, sha512: string }} Packed `file`: its path; `sha512`: in hex
 */

/**
 * Packs everything that is published, in the order in which it depends on each other.
 * @param {string} root of the repository, where it is built
 * @param {string} folder for the tarballs
 * @returns {Promise<Packed[]>}
 */
export async function packPublished(root, folder) {
  await mkdir(folder, { recursive: true });
  return await pack(
    root,
    folder,
    PUBLISHED.flatMap((workspace) => ['--workspace', workspace]),
  );
}

/**
 * Packs a package.
 * @param {string} root its folder
 * @param {string} folder for the tarball
 * @param {readonly string[]} [workspaces]
 * @returns {Promise<Packed[]>}
 */
export async function pack(root, folder, workspaces = []) {
  const command = [
    'npm',
    'pack',
    '--json',
    '--silent',
    '--ignore-scripts',
    '--pack-destination',
    folder,
    ...workspaces,
  ];
  /** @type {{ name: string, version: string, filename: string }[]} */
  const packed = JSON.parse((await run(root, command)).stdout);
  return await Promise.all(
    packed.map(async ({ name, version, filename }) => {
      const file = join(folder, basename(filename));
      return {
        name,
        version,
        file,
        sha512: createHash('sha512')
          .update(await readFile(file))
          .digest('hex'),
      };
    }),
  );
}
