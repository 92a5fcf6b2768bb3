import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { billOfMaterials } from './bill-of-materials.mjs';
import { checkLicences } from './licences.mjs';
import { packPublished } from './pack.mjs';
import { run } from './run.mjs';
import { signRelease } from './sums.mjs';

/** @import { Packed } from './pack.mjs' */

/**
 * Parts of a release.
 * @typedef {object} Preparation
 * @property {string} root of the repository, which is changed: versions, changelogs, a commit and its tags
 * @property {string} folder for the files of the release
 * @property {string} privateKey with which the sums are signed
 * @property {() => Promise<void>} build of what the versions were written into
 * @property {boolean} [image] whether an image is built, too
 * @property {<T>(name: string, work: () => Promise<T> | T) => Promise<T>} step
 */

/**
 * Makes a release: versions and changelogs from the changesets, the packages, the bill of materials, the chart and, where it is wanted, the image,
 * the sums of all that and their signature, a commit with tags. Publishes nothing.
 * @param {Preparation} preparation
 * @returns {Promise<{ version: string, packed: Packed[] }>}
 */
export async function prepareRelease({ root, folder, privateKey, build, image = false, step }) {
  const changesets = join(root, 'node_modules/@changesets/cli/bin.js');
  await step('check the licences of what is installed', () => checkLicences(root));
  await step('write versions and changelogs', async () => {
    await run(root, [process.execPath, changesets, 'version']);
    // The lockfile has the versions of the workspaces, too.
    await run(root, ['npm', 'install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund']);
  });
  await step('build', build);
  await mkdir(folder, { recursive: true });
  const packed = await step('pack', () => packPublished(root, folder));
  const version = versionOf(packed);
  await step('write the bill of materials', async () => {
    const bill = await billOfMaterials(root, packed);
    await writeFile(join(folder, `entrepot-${version}.cdx.json`), `${JSON.stringify(bill, undefined, 2)}\n`);
  });
  const chart = join(root, 'deploy/helm/entrepot');
  await step('package the chart', () => packageChart(chart, folder, version));
  if (image) {
    const script = join(root, 'scripts/build-image.mjs');
    await step('build the image', () => run(root, [process.execPath, script, folder, version]));
  }
  await step('sum and sign', () => signRelease(folder, privateKey));
  await step('commit and tag', async () => {
    await run(root, ['git', 'add', '--all']);
    await run(root, ['git', 'commit', '--quiet', '--allow-empty', '--message', `Release ${version}`]);
    await run(root, [process.execPath, changesets, 'tag']);
  });
  return { version, packed };
}

/** The version of the release: that of the distribution, which the host shares. @param {readonly Packed[]} packed */
function versionOf(packed) {
  const found = packed.find(({ name }) => name === 'entrepot');
  if (found === undefined) throw new Error('expected the package entrepot among the packed ones');
  return found.version;
}

/**
 * Packages the chart under a name of its own: that which helm gives it is the one of the npm package.
 * @param {string} chart
 * @param {string} folder
 * @param {string} version
 */
async function packageChart(chart, folder, version) {
  const helm = await provideTool('helm-3');
  if (helm === undefined) throw new Error('expected helm, which packages the chart');
  await withScratch('chart', async (scratch) => {
    await run(scratch, [helm, 'package', chart, '--version', version, '--app-version', version]);
    await cp(join(scratch, `entrepot-${version}.tgz`), join(folder, `entrepot-chart-${version}.tgz`), { force: false });
  });
}

/** The private key of `RELEASE_KEY`: PEM, or a file with it. */
export async function releaseKey() {
  const given = process.env['RELEASE_KEY'] ?? '';
  if (given === '')
    throw new Error(
      'RELEASE_KEY: expected an Ed25519 key (PKCS #8, PEM) or a file with one, found nothing; `openssl genpkey -algorithm ed25519` makes one',
    );
  return given.includes('-----BEGIN') ? given : await readFile(given, 'utf8');
}
