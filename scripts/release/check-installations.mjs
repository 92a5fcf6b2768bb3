// Installs as strangers do: they install the published packages, start them, and install through them.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withServer } from './installed-server.mjs';
import { outerEnvironment, run } from './run.mjs';
import { expect } from './steps.mjs';

/** @import { LoopbackRegistry } from './loopback-registry.mjs' */
/** @import { Steps } from './steps.mjs' */

const INVALID = 78;
const LISTEN = { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0' };
/** The packages that a bare host must not bring. */
const NOT_BARE = ['@aws-sdk', '@smithy', '@azure', '@keyv/redis', '@redis', 'entrepot', '@entrepot/plugin-oci'];

/**
 * @typedef {object} Published
 * @property {string} scratch
 * @property {string} folder of the release
 * @property {LoopbackRegistry} registry with the published packages
 * @property {Readonly<Record<string, string>>} env settings of npm
 * @property {string} version of the release
 * @property {Steps} steps
 */

/** @param {Published} published */
export async function checkInstallations(published) {
  const { steps } = published;
  await steps.step('npx entrepot: its version, and an installation through it', () => checkNpx(published));
  await steps.step('npm install --global entrepot, and an installation through it', () => checkGlobal(published));
  const site = await steps.step('the bare host with two plugins, and an installation through it', () =>
    checkBare(published),
  );
  await steps.step('the bare host says what to install', () => checkMissing(published, site));
}

/** @param {Published} published */
async function checkNpx({ scratch, registry, env, version, steps }) {
  const folder = await made(scratch, 'npx');
  const npx = ['npx', '--yes', 'entrepot'];
  const first = await run(folder, [...npx, '--version'], env);
  expect(first.stdout.trim() === version, `expected ${version}, found ${first.stdout}`);
  const again = await run(folder, [...npx, '--version'], env);
  steps.note(`npx entrepot: ${seconds(first)} the first time, ${seconds(again)} the second`);
  // Without a configuration the upstream is that of npm's own settings.
  await withServer(folder, npx, { ...env, ...LISTEN }, (base, ready) => {
    steps.note(`npx entrepot: ready after ${(ready / 1000).toFixed(1)} s`);
    return installThrough(scratch, 'npx-client', registry, env, `${base}/npm/`);
  });
}

/** @param {Published} published */
async function checkGlobal({ scratch, folder: release, registry, env, version, steps }) {
  const prefix = await made(scratch, 'global');
  const installed = await run(prefix, ['npm', 'install', '--global', '--prefix', prefix, 'entrepot'], env);
  const folder = await made(scratch, 'global-data');
  const program = join(prefix, 'bin/entrepot');
  const { stdout } = await run(folder, [program, '--version']);
  expect(stdout.trim() === version, `expected ${version}, found ${stdout}`);
  const programs = await readdir(join(prefix, 'bin'));
  expect(programs.join() === 'entrepot', `expected one program, found ${programs.join()}`);
  await checkBill(join(release, `entrepot-${version}.cdx.json`), prefix);
  steps.note(`npm install --global entrepot: ${seconds(installed)}, ${await sizeOf(prefix)}`);
  await withServer(folder, [program], { ...env, ...LISTEN }, (base) =>
    installThrough(scratch, 'global-client', registry, env, `${base}/npm/`),
  );
}

/**
 * Holds what is installed against the bill of materials.
 * @param {string} bill
 * @param {string} prefix
 */
async function checkBill(bill, prefix) {
  const listed = await run(prefix, ['npm', 'ls', '--global', '--prefix', prefix, '--all', '--parseable']);
  const paths = listed.stdout.split('\n').filter((path) => path.includes('node_modules'));
  const installed = new Set(paths.map((path) => path.replace(/^.*node_modules[\\/]/, '')));
  /** @type {{ metadata: { component: { name: string } }, components: { name: string, group?: string }[] }} */
  const { metadata, components } = JSON.parse(await readFile(bill, 'utf8'));
  const named = new Set([metadata.component, ...components].map(({ name }) => name));
  const missing = [...installed].filter((name) => !named.has(name));
  expect(installed.size > 100 && missing.length === 0, `expected everything that is installed in ${bill}: ${missing.join(' ')}`);
}

/** @param {Published} published @returns {Promise<string>} the folder */
async function checkBare({ scratch, registry, env, steps }) {
  const site = await made(scratch, 'bare');
  await writeFile(join(site, 'package.json'), '{ "private": true }');
  const packages = ['@entrepot/host', '@entrepot/plugin-npm', '@entrepot/plugin-files'];
  const installed = await run(site, ['npm', 'install', ...packages], env);
  const surplus = NOT_BARE.filter((name) => existsSync(join(site, 'node_modules', name)));
  expect(surplus.length === 0, `expected none of ${NOT_BARE.join(', ')}, found ${surplus.join(', ')}`);
  steps.note(`bare host with two plugins: ${seconds(installed)}, ${await sizeOf(site)}`);
  const { stdout: initial } = await run(site, ['npx', 'entrepot-host', 'init', '--output', '-']);
  const types = [...initial.matchAll(/type: (\w+)/g)].map(([, type]) => type);
  expect(types.sort().join() === 'files,npm', `expected the formats that are installed, found ${types.join()}`);
  await configure(site, {
    repositories: { npm: { type: 'npm', upstream: registry.url }, files: { type: 'files', upstream: registry.url } },
  });
  await withServer(site, ['npx', 'entrepot-host', 'serve'], {}, async (base) => {
    const tarball = await installThrough(scratch, 'bare-client', registry, env, `${base}/npm/`);
    const file = await fetch(`${base}/files${tarball}`);
    expect(file.ok && (await file.arrayBuffer()).byteLength > 0, `expected ${tarball} as a file, found ${file.status}`);
  });
  return site;
}

/**
 * Configures what is not installed, one after the other, and does what the messages say.
 * @param {Published} published
 * @param {string} site
 */
async function checkMissing({ env, steps }, site) {
  const npm = { npm: { type: 'npm', upstream: 'https://registry.example.com' } };
  const bucket = { backend: 's3', bucket: 'packages', endpoint: 'http://127.0.0.1:1' };
  const credentials = { accessKeyId: 'a', secretAccessKey: '${env:SECRET}' };
  /** @type {readonly { configuration: Record<string, unknown>, wanted: string, place: string }[]} */
  const cases = [
    {
      configuration: { repositories: { pypi: { type: 'pypi' } } },
      wanted: '@entrepot/plugin-pypi',
      place: 'repositories',
    },
    {
      configuration: { repositories: npm, storage: { ...bucket, credentials } },
      wanted: '@aws-sdk/client-s3@',
      place: 'storage.backend',
    },
    {
      configuration: {
        repositories: npm,
        cache: { backend: 'redis', url: 'redis://127.0.0.1:1' },
        metadata: { backend: 'postgres', url: 'postgres://127.0.0.1:1/x' },
      },
      wanted: '@keyv/redis@',
      place: 'cache.backend',
    },
    {
      configuration: { repositories: npm, scanners: [{ type: 'osv', from: 'https://osv.example.com' }] },
      wanted: '@entrepot/plugin-scanner-osv',
      place: 'scanners',
    },
  ];
  /** @type {string[]} */
  const advised = [];
  for (const { configuration, wanted, place } of cases) {
    await configure(site, configuration);
    const { code, stderr } = await validate(site);
    const [line = '', ...others] = stderr.trimEnd().split('\n');
    const advice = /npm install ([^;)\n]+)/.exec(line)?.[1] ?? '';
    const isSaid = line.startsWith(`${place}: `) && others.length === 0 && advice.includes(wanted);
    expect(code === INVALID && isSaid, `expected one line with ${wanted}, found ${stderr}`);
    steps.note(line);
    advised.push(...advice.split(' '));
  }
  await run(site, ['npm', 'install', ...advised], env);
  for (const { configuration } of cases) {
    await configure(site, configuration);
    const result = await validate(site);
    expect(result.code === 0, `expected a valid configuration after npm install ${advised.join(' ')}: ${outputOf(result)}`);
  }
}

/** @param {string} site */
function validate(site) {
  const command = [join(site, 'node_modules/.bin/entrepot-host'), 'validate'];
  const env = { ...outerEnvironment({ SECRET: 'secret' }) };
  return runCommand(command, { cwd: site, env, timeout: 60_000 });
}

/**
 * Installs a package of ours by the real npm, and sees that it came through the server.
 * @param {string} scratch
 * @param {string} name of the folder
 * @param {LoopbackRegistry} registry that is the server's upstream
 * @param {Readonly<Record<string, string>>} env settings of npm
 * @param {string} url of the repository
 * @returns {Promise<string>} the path of the tarball, at the upstream
 */
async function installThrough(scratch, name, registry, env, url) {
  const folder = await made(scratch, name);
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  const before = registry.fetched.length;
  // Without the cache that the other installations filled.
  const settings = { ...env, npm_config_registry: url, npm_config_cache: join(folder, 'cache') };
  // Without dependencies, which would come from elsewhere.
  await run(folder, ['npm', 'install', '@entrepot/create-plugin'], settings);
  const lock = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8'));
  const { resolved } = lock.packages['node_modules/@entrepot/create-plugin'];
  expect(resolved.startsWith(url), `expected a tarball below ${url}, found ${resolved}`);
  const fetched = registry.fetched.slice(before);
  expect(fetched.length === 1, `expected one tarball from the upstream, found ${fetched.join(' ')}`);
  return fetched[0] ?? '';
}

/** @param {string} site @param {Record<string, unknown>} configuration */
async function configure(site, configuration) {
  const whole = { server: { listen: '127.0.0.1:0' }, ...configuration };
  await writeFile(join(site, 'entrepot.yaml'), JSON.stringify(whole));
}

/** @param {string} scratch @param {string} name */
async function made(scratch, name) {
  const folder = join(scratch, name);
  await mkdir(folder);
  return folder;
}

/** @param {string} folder */
async function sizeOf(folder) {
  const { stdout } = await run(folder, ['du', '--summarize', '--block-size=M', folder]);
  return `${stdout.split('M')[0]} MB`;
}

/** @param {{ milliseconds: number }} result */
function seconds({ milliseconds }) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
