import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { CACHE } from '@entrepot/fixtures/tools';

// Images to build and to run on, where no registry of images can be reached: a small root of Debian, the program of Node
// out of its npm package, and for the build npm.

const NODE = '24.22.3';
const NPM = '11.19.1';
const SUITE = 'bookworm';

const BUILD_PACKAGES = ['ca-certificates'];
/** Packages that Node needs, and that every network program looks for. */
const RUN_PACKAGES = [
  'libc6',
  'libstdc++6',
  'libgcc-s1',
  'ca-certificates',
  'tzdata',
  'netbase',
  'base-files',
  'base-passwd',
];

/** The path in an image that nothing installed by Debian needs at run time. */
const LEFT_OUT = ['doc', 'man', 'locale', 'info'].map((name) => `usr/share/${name}`);

/**
 * The roots of the two images as archives, made once for these packages and this Node.
 * @returns {Promise<{ build: string, run: string, key: string }>} their files
 */
export async function provideRoots() {
  const key = createHash('sha256')
    .update(JSON.stringify([NODE, NPM, SUITE, BUILD_PACKAGES, RUN_PACKAGES, LEFT_OUT, 1]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(CACHE, `images-${key}`);
  const roots = { build: join(folder, 'build.tar'), run: join(folder, 'run.tar'), key };
  if (existsSync(roots.build) && existsSync(roots.run)) return roots;
  const draft = `${folder}.${process.pid}`;
  await mkdir(draft, { recursive: true });
  try {
    await makeRoot(join(draft, 'run'), ['--variant=extract', `--include=${RUN_PACKAGES.join(',')}`]);
    await finishExtracted(join(draft, 'run'));
    await makeRoot(join(draft, 'build'), ['--variant=minbase', `--include=${BUILD_PACKAGES.join(',')}`]);
    await addNode(draft, [join(draft, 'run'), join(draft, 'build')]);
    await addNpm(draft, join(draft, 'build'));
    for (const name of ['run', 'build']) {
      await archive(join(draft, name), join(draft, `${name}.tar`));
      await rm(join(draft, name), { recursive: true });
    }
    await rename(draft, folder).catch((error) => {
      // Another run was first.
      if (!existsSync(roots.run)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return roots;
}

/** @param {string} root @param {readonly string[]} flags */
async function makeRoot(root, flags) {
  const excluded = LEFT_OUT.map((path) => `--dpkgopt=path-exclude=/${path}/*`);
  await expectSuccess(['mmdebstrap', '--quiet', ...flags, ...excluded, SUITE, root]);
  for (const path of [...LEFT_OUT, 'var/cache/apt', 'var/lib/apt', 'var/log']) {
    await rm(join(root, path), { recursive: true, force: true });
    await mkdir(join(root, path), { recursive: true });
  }
  // Those of this machine.
  for (const path of ['etc/resolv.conf', 'etc/hostname']) await rm(join(root, path), { force: true });
}

/** Does what the scripts of packages do that were only unpacked. @param {string} root */
async function finishExtracted(root) {
  const masters = join(root, 'usr/share/base-passwd');
  await cp(join(masters, 'passwd.master'), join(root, 'etc/passwd'));
  await cp(join(masters, 'group.master'), join(root, 'etc/group'));
  const authorities = join(root, 'usr/share/ca-certificates/mozilla');
  const names = (await readdir(authorities)).filter((name) => name.endsWith('.crt')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(authorities, name), 'utf8')));
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), texts.join(''));
}

/** @param {string} draft @param {readonly string[]} roots */
async function addNode(draft, roots) {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x64';
  const unpacked = await unpack(draft, `node-linux-${architecture}@${NODE}`);
  for (const root of roots) {
    await mkdir(join(root, 'usr/local/bin'), { recursive: true });
    await cp(join(unpacked, 'bin/node'), join(root, 'usr/local/bin/node'));
  }
  await rm(unpacked, { recursive: true });
}

/** @param {string} draft @param {string} root */
async function addNpm(draft, root) {
  const place = join(root, 'usr/local/lib/node_modules/npm');
  await mkdir(join(place, '..'), { recursive: true });
  await rename(await unpack(draft, `npm@${NPM}`), place);
  for (const name of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, 'usr/local/bin', name));
}

/** Unpacks a package of the machine's npm registry. @param {string} draft @param {string} specifier */
async function unpack(draft, specifier) {
  const packed = await expectSuccess(['npm', 'pack', '--silent', specifier], draft);
  const file = packed.stdout.trim().split('\n').at(-1) ?? '';
  await expectSuccess(['tar', '-xzf', file, '--no-same-owner'], draft);
  await rm(join(draft, file));
  return join(draft, 'package');
}

/** The same bytes for the same files. @param {string} root @param {string} file */
async function archive(root, file) {
  const flags = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--exclude=./dev/*'];
  await expectSuccess(['tar', ...flags, '-C', root, '-cf', file, '.']);
}

/** @param {readonly string[]} command */
async function expectSuccess(command, cwd = '/') {
  const result = await runCommand(command, { cwd, env: process.env, timeout: 900_000 });
  if (result.code !== 0) throw new Error(`${command[0]} was expected to end with 0: ${outputOf(result)}`);
  return result;
}
