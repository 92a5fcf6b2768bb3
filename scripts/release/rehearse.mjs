import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { withScratch } from '@entrepot/fixtures/scratch';
import { PUBLISHED } from '../published.mjs';
import { checkInstallations } from './check-installations.mjs';
import { checkTemplates } from './check-templates.mjs';
import { LoopbackRegistry } from './loopback-registry.mjs';
import { prepareRelease } from './prepare.mjs';
import { publishRelease } from './publish.mjs';
import { run } from './run.mjs';

/** @import { Steps } from './steps.mjs' */

/**
 * Releases a copy of the repository, as it is in the working tree, to a registry on loopback, and uses what is published
 * there as strangers do.
 * @param {string} root of the repository, built
 * @param {Steps} steps
 */
export async function rehearse(root, steps) {
  /** @type {<T>(name: string, work: () => Promise<T> | T) => Promise<T>} */
  const step = (name, work) => steps.step(name, work);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  await withScratch('release', async (scratch) => {
    const copy = join(scratch, 'repository');
    const folder = join(scratch, 'release');
    await step('copy the repository', () => copyRepository(root, copy));
    // What is built has no version in it.
    const build = async () => {};
    const { version } = await prepareRelease({ root: copy, folder, privateKey, build, step });
    const registry = new LoopbackRegistry();
    await registry.start(scratch);
    try {
      const env = await registry.settings(scratch);
      // A publication that broke off goes on.
      const workspaces = PUBLISHED.slice(0, 1);
      await step('publish the first package', () => publishRelease(copy, folder, publicKey, { env, workspaces }));
      await step('publish', () => publishRelease(copy, folder, publicKey, { env }));
      await step('verify the release as its page says', () => followVerification(root, folder, version));
      await checkInstallations({ scratch, folder, registry, env, version, steps });
      await checkTemplates({ scratch, env, steps });
    } finally {
      registry.stop();
    }
  });
}

/**
 * Copies what git knows or would add, and what is built of it, into a repository of its own.
 * @param {string} root
 * @param {string} copy
 */
async function copyRepository(root, copy) {
  const { stdout } = await run(root, ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z']);
  const { stdout: gone } = await run(root, ['git', 'ls-files', '--deleted', '-z']);
  const deleted = new Set(gone.split('\0'));
  const built = [...PUBLISHED.map((workspace) => `${workspace}/dist`), 'create-plugin/templates'];
  for (const name of [...stdout.split('\0').filter((one) => one !== '' && !deleted.has(one)), ...built]) {
    await mkdir(join(copy, dirname(name)), { recursive: true });
    await cp(join(root, name), join(copy, name), { recursive: true });
  }
  // No more than writing versions needs: npm would take all of them for those of the copy, and write into them.
  await mkdir(join(copy, 'node_modules'));
  await symlink(join(root, 'node_modules/@changesets'), join(copy, 'node_modules/@changesets'), 'junction');
  await run(copy, ['git', 'init', '--quiet', '--initial-branch', 'main']);
  const settings = { 'user.name': 'Rehearsal', 'user.email': 'rehearsal@example.com' };
  for (const [key, value] of Object.entries(settings)) await run(copy, ['git', 'config', key, value]);
  await run(copy, ['git', 'add', '--all']);
  await run(copy, ['git', 'commit', '--quiet', '--message', 'Begin']);
}

/**
 * Runs the commands of the page about verification, and sees that they find a changed file.
 * @param {string} root
 * @param {string} folder
 * @param {string} version
 */
async function followVerification(root, folder, version) {
  const page = await readFile(join(root, 'docs/verifying-a-release.md'), 'utf8');
  const commands = [...page.matchAll(/```sh\n([^`]*)```/g)].map(([, text = '']) => text);
  if (commands.length < 2)
    throw new Error('docs/verifying-a-release.md: expected commands, found fewer than two blocks');
  const follow = (/** @type {string} */ text) => run(folder, ['sh', '-e', '-c', text.replaceAll('1.2.3', version)]);
  for (const text of commands) await follow(text);
  const bill = join(folder, `entrepot-${version}.cdx.json`);
  const whole = await readFile(bill);
  await writeFile(bill, `${whole.toString()} `);
  for (const text of commands) {
    const found = await follow(text).then(
      () => false,
      () => true,
    );
    if (!found) throw new Error(`expected a failure of a changed file, found none:\n${text}`);
  }
  await writeFile(bill, whole);
}
