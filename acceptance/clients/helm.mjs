import { strict as assert } from 'node:assert';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool } from '@entrepot/fixtures/tools';

/** A real `helm` of one major version. @typedef {{ name: 'helm-3' | 'helm-4', program: string }} HelmClient */

/** @type {readonly HelmClient['name'][]} */
const NAMES = ['helm-3', 'helm-4'];

/**
 * Those of these names that are on this machine; `helm` names all.
 * @param {readonly string[]} names
 * @returns {Promise<HelmClient[]>}
 */
export async function chooseHelmClients(names) {
  const found = [];
  for (const name of NAMES) {
    if (!names.includes('helm') && !names.includes(name)) continue;
    const program = await provideTool(name);
    if (program !== undefined) found.push({ name, program });
  }
  return found;
}

/**
 * Runs `helm` with nothing but what is in `home`, and gives what it printed.
 * @param {HelmClient} client
 * @param {string} home
 * @param {readonly string[]} args
 */
export async function helm(client, home, args) {
  const result = await tryHelm(client, home, args);
  assert.equal(result.code, 0, `${client.name} ${args.join(' ')}: ${outputOf(result)}`);
  return result.stdout;
}

/** As `helm`, whatever comes of it. @param {HelmClient} client @param {string} home @param {readonly string[]} args */
export async function tryHelm({ program }, home, args) {
  await mkdir(home, { recursive: true });
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    TMPDIR: home,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    HELM_PLUGINS: join(home, 'plugins'),
    KUBECONFIG: join(home, 'kubeconfig'),
    // A client that would go past the repository under test reaches a closed port.
    HTTPS_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
  };
  return runCommand([program, ...args], { cwd: home, env, timeout: 120_000, kept: 4_000_000 });
}

/** Puts `helm cm-push` below `home`. @param {string} home @returns {Promise<boolean>} whether there is one */
export async function installCmPush(home) {
  const program = await provideTool('helm-cm-push');
  if (program === undefined) return false;
  const folder = join(home, 'plugins/cm-push');
  await mkdir(folder, { recursive: true });
  await copyFile(program, join(folder, 'helm-cm-push'));
  const lines = [
    'name: cm-push',
    'version: 0.10.4',
    'usage: Push a chart to ChartMuseum',
    'description: Push a chart to ChartMuseum',
    'command: $HELM_PLUGIN_DIR/helm-cm-push',
  ];
  await writeFile(join(folder, 'plugin.yaml'), `${lines.join('\n')}\n`);
  return true;
}

/**
 * A key to sign charts with, in the older form that helm reads.
 * @param {string} folder empty
 * @returns {Promise<{ secret: string, public: string, user: string } | undefined>} files; absent without gpg
 */
export async function signingKey(folder) {
  const program = await provideTool('gpg');
  if (program === undefined) return undefined;
  const user = 'charts@example.test';
  const env = { PATH: process.env.PATH, HOME: folder, GNUPGHOME: folder };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const run = async (/** @type {string} */ command, /** @type {readonly string[]} */ args) => {
    const result = await runCommand([command, ...args], { cwd: folder, env, timeout: 60_000 });
    if (result.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${outputOf(result)}`);
  };
  const quiet = ['--batch', '--quiet', '--passphrase', '', '--pinentry-mode', 'loopback'];
  const files = { secret: join(folder, 'secret.gpg'), public: join(folder, 'public.gpg') };
  try {
    await run(program, [...quiet, '--quick-generate-key', user, 'rsa2048', 'sign', 'never']);
    await run(program, [...quiet, '--output', files.secret, '--export-secret-keys', user]);
    await run(program, [...quiet, '--output', files.public, '--export', user]);
  } finally {
    // What gpg starts stays, otherwise.
    await run(join(dirname(program), 'gpgconf'), ['--kill', 'all']).catch(() => {});
  }
  return { ...files, user };
}

/**
 * Writes a chart as a folder, and packages it with a client.
 * @param {HelmClient} client
 * @param {{ folder: string, home: string, files: Readonly<Record<string, string>>, name: string,
 *   key?: Awaited<ReturnType<typeof signingKey>> }} options
 * @returns {Promise<{ archive: Buffer, provenance?: Buffer, file: string }>}
 */
export async function packageChart(client, { folder, home, files, name, key }) {
  const source = await writeChart(join(folder, name), files);
  const sign = key === undefined ? [] : ['--sign', '--key', key.user, '--keyring', key.secret];
  const out = join(folder, `${name}-packaged`);
  await mkdir(out, { recursive: true });
  await helm(client, home, ['package', source, '--destination', out, ...sign]);
  const archive = (await readdir(out)).find((file) => file.endsWith('.tgz')) ?? '';
  const file = join(out, archive);
  const bytes = await readFile(file);
  return { archive: bytes, file, ...(key !== undefined && { provenance: await readFile(`${file}.prov`) }) };
}

/** @param {string} folder @param {Readonly<Record<string, string>>} files */
export async function writeChart(folder, files) {
  for (const [path, body] of Object.entries(files)) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, body);
  }
  return folder;
}
