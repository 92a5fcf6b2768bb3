import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PUBLISHED } from '../published.mjs';
import { run } from './run.mjs';
import { verifyRelease } from './sums.mjs';

/**
 * Publishes the packages of a release to the registry that npm is set up with, in the order in which they depend on each
 * other. What the registry has already is left out, so that a publication that broke off goes on.
 * @param {string} root of the repository at the commit of the release
 * @param {string} folder of the release
 * @param {string} publicKey with which the release was signed
 * @param {{ env?: Readonly<Record<string, string>>, workspaces?: readonly string[] }} [options] `env`: more settings of npm
 */
export async function publishRelease(root, folder, publicKey, { env, workspaces = PUBLISHED } = {}) {
  const files = await verifyRelease(folder, publicKey);
  for (const workspace of workspaces) {
    const { name, version } = JSON.parse(await readFile(join(root, workspace, 'package.json'), 'utf8'));
    const file = `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
    if (!files.includes(file)) throw new Error(`${folder}: expected ${file}; check out the commit of this release`);
    await run(folder, ['npm', 'publish', join(folder, file)], env).catch(async (/** @type {Error} */ error) => {
      const asked = ['npm', 'view', `${name}@${version}`, 'dist.integrity'];
      const known = await run(folder, asked, env).catch(() => ({ stdout: '' }));
      const sum = createHash('sha512').update(await readFile(join(folder, file)));
      if (known.stdout.trim() !== `sha512-${sum.digest('base64')}`) throw error;
    });
  }
}
