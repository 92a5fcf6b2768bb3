import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import {
  integrityOfBunLock,
  integrityOfNpmLock,
  integrityOfPnpmLock,
  integrityOfYarn1Lock,
  integrityOfYarn4Lock,
} from './lockfiles.mjs';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/**
 * A real, unmodified client.
 * @typedef {object} Client
 * @property {string} name what `--client` takes
 * @property {string} version
 * @property {string} lockfile
 * @property {'published' | 'own'} integrity whether the lockfile holds the integrity that the registry published, or
 *   a sum of the client's own making
 * @property {readonly string[]} install arguments that install from `package.json`, and write a lockfile
 * @property {readonly string[]} frozen arguments that install exactly what the lockfile says
 * @property {(text: string) => Map<string, string>} readIntegrity from the lockfile: `name@version` to integrity
 * @property {(place: ClientPlace) => Promise<Record<string, string>>} settings writes the client's settings below
 *   `home` and gives the environment that it needs
 * @property {() => Promise<{ command: readonly string[] }>} prepare installs the client once on this machine
 */

/**
 * @typedef {object} ClientPlace
 * @property {string} home a folder that holds everything that the client knows: settings, caches, stores
 * @property {string} project the folder of the application
 * @property {string} registry the URL of the registry, without a trailing slash
 */

const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'entrepot-acceptance');
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'x64';
const BUN = `@oven/bun-linux-${ARCHITECTURE === 'arm64' ? 'aarch64' : 'x64'}`;
const PNPM = `@pnpm/exe.linux-${ARCHITECTURE}`;

/**
 * Installs one package from the machine's configured registry into a cache folder outside of the repository, once.
 * @param {string} name
 * @param {string} version
 * @returns {Promise<string>} the folder of the package
 */
async function provide(name, version) {
  const folder = join(CACHE, `${name.replace('/', '+')}@${version}`);
  const installed = join(folder, 'node_modules', name);
  if (existsSync(installed)) return installed;
  const draft = `${folder}.${process.pid}`;
  await mkdir(draft, { recursive: true });
  try {
    await writeFile(join(draft, 'package.json'), '{"private":true}\n');
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--loglevel=error'];
    const command = ['npm', 'install', '--prefix', draft, ...flags, `${name}@${version}`];
    const result = await runCommand(command, { cwd: draft, env: process.env, timeout: 300_000 });
    if (result.code !== 0) throw new Error(`${name}@${version} could not be installed: ${outputOf(result)}`);
    await rename(draft, folder).catch((error) => {
      // Another run was first.
      if (!existsSync(installed)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return installed;
}

/** @param {ClientPlace} place */
async function npmSettings({ home, registry }) {
  const lines = [
    `registry=${registry}/`,
    `cache=${join(home, 'npm-cache')}`,
    'fund=false',
    'audit=false',
    'update-notifier=false',
  ];
  await writeFile(join(home, '.npmrc'), `${lines.join('\n')}\n`);
  // An empty global configuration: the machine's own must not be read.
  await writeFile(join(home, 'global-npmrc'), '');
  return { npm_config_userconfig: join(home, '.npmrc'), npm_config_globalconfig: join(home, 'global-npmrc') };
}

/** @param {ClientPlace} place */
async function pnpmSettings({ home, registry }) {
  await writeFile(join(home, '.npmrc'), `registry=${registry}/\n`);
  return { PNPM_HOME: join(home, 'pnpm-home'), npm_config_userconfig: join(home, '.npmrc') };
}

/** @param {ClientPlace} place */
async function yarn1Settings({ home, registry }) {
  await writeFile(join(home, '.yarnrc'), `registry "${registry}/"\ndisable-self-update-check true\n`);
  return { YARN_CACHE_FOLDER: join(home, 'yarn-cache'), ...yarn1Home(home) };
}

/**
 * Keeps yarn 1 in its home: as root it takes /usr/local/share for that, unless it thinks of fakeroot, and it reads the settings of
 * the prefix that Node is in.
 * @param {string} home
 */
export function yarn1Home(home) {
  return { FAKEROOTKEY: 'none', PREFIX: join(home, 'prefix') };
}

/** @param {ClientPlace} place */
async function yarn4Settings({ home, project, registry }) {
  const lines = [
    `npmRegistryServer: "${registry}"`,
    'unsafeHttpWhitelist: ["127.0.0.1"]',
    `globalFolder: "${join(home, 'yarn-berry')}"`,
    'nodeLinker: node-modules',
    'enableTelemetry: false',
    'enableScripts: false',
  ];
  await writeFile(join(home, '.yarnrc.yml'), `${lines.join('\n')}\n`);
  // Without a lockfile of its own, yarn looks for a project in the folders above.
  const lockfile = join(project, 'yarn.lock');
  if (!existsSync(lockfile)) await writeFile(lockfile, '');
  return {};
}

/** @param {ClientPlace} place */
async function bunSettings({ home, project, registry }) {
  const cache = join(home, 'bun-cache');
  const lines = ['[install]', `registry = "${registry}/"`, '[install.cache]', `dir = "${cache}"`];
  await writeFile(join(project, 'bunfig.toml'), `${lines.join('\n')}\n`);
  return { BUN_INSTALL: join(home, 'bun'), BUN_INSTALL_CACHE_DIR: cache };
}

/** @type {Pick<Client, 'lockfile' | 'integrity' | 'install' | 'frozen' | 'readIntegrity' | 'settings'>} */
const NPM = {
  lockfile: 'package-lock.json',
  integrity: 'published',
  install: ['install', '--ignore-scripts'],
  frozen: ['ci', '--ignore-scripts'],
  readIntegrity: integrityOfNpmLock,
  settings: npmSettings,
};

/** @type {Pick<Client, 'lockfile' | 'integrity' | 'install' | 'frozen' | 'readIntegrity' | 'settings'>} */
const PNPM_FAMILY = {
  lockfile: 'pnpm-lock.yaml',
  integrity: 'published',
  install: ['install', '--ignore-scripts', '--no-frozen-lockfile'],
  frozen: ['install', '--ignore-scripts', '--frozen-lockfile'],
  readIntegrity: integrityOfPnpmLock,
  settings: pnpmSettings,
};

/** @type {readonly Client[]} */
export const CLIENTS = [
  {
    ...NPM,
    name: 'npm',
    version: 'of this machine',
    prepare: async () => ({ command: ['npm'] }),
  },
  {
    ...NPM,
    name: 'npm-12',
    version: '12.2.0',
    prepare: async () => ({ command: [process.execPath, join(await provide('npm', '12.2.0'), 'bin/npm-cli.js')] }),
  },
  {
    ...PNPM_FAMILY,
    name: 'pnpm-10',
    version: '10.34.9',
    prepare: async () => ({ command: [process.execPath, join(await provide('pnpm', '10.34.9'), 'bin/pnpm.cjs')] }),
  },
  {
    ...PNPM_FAMILY,
    name: 'pnpm-12',
    version: '12.21.0',
    prepare: async () => ({ command: [join(await provide(PNPM, '12.21.0'), 'pnpm')] }),
  },
  {
    name: 'yarn-1',
    version: '1.22.22',
    lockfile: 'yarn.lock',
    integrity: 'published',
    install: ['install', '--non-interactive', '--ignore-scripts', '--no-progress'],
    frozen: ['install', '--non-interactive', '--ignore-scripts', '--no-progress', '--frozen-lockfile'],
    readIntegrity: integrityOfYarn1Lock,
    settings: yarn1Settings,
    prepare: async () => ({ command: [process.execPath, join(await provide('yarn', '1.22.22'), 'bin/yarn.js')] }),
  },
  {
    name: 'yarn-4',
    version: '4.18.1',
    lockfile: 'yarn.lock',
    integrity: 'own',
    install: ['install', '--no-immutable'],
    frozen: ['install', '--immutable'],
    readIntegrity: integrityOfYarn4Lock,
    settings: yarn4Settings,
    prepare: async () => ({
      command: [process.execPath, join(await provide('@yarnpkg/cli-dist', '4.18.1'), 'bin/yarn.js')],
    }),
  },
  {
    name: 'bun',
    version: '1.4.4',
    lockfile: 'bun.lock',
    integrity: 'published',
    install: ['install', '--ignore-scripts'],
    frozen: ['install', '--ignore-scripts', '--frozen-lockfile'],
    readIntegrity: integrityOfBunLock,
    settings: bunSettings,
    prepare: async () => ({ command: [join(await provide(BUN, '1.4.4'), 'bin/bun')] }),
  },
];

/**
 * The clients with these names, or all of them. `npm` names the machine's own.
 * @param {readonly string[]} names
 */
export function chooseClients(names) {
  return names.length === 0 ? CLIENTS : names.map(chooseClient);
}

/** @param {string} name */
export function chooseClient(name) {
  const found = CLIENTS.find((client) => client.name === name);
  if (found !== undefined) return found;
  throw new Error(`--client: one of ${CLIENTS.map((client) => client.name).join(', ')} was expected, found ${name}`);
}

/**
 * Runs a client in `project` with an environment that holds nothing of the machine's own settings and caches.
 * @param {Client} client
 * @param {readonly string[]} args
 * @param {ClientPlace} place
 * @param {{ timeout?: number }} [options]
 * @returns {Promise<CommandResult>}
 */
export async function runClient(client, args, place, { timeout = 180_000 } = {}) {
  await mkdir(place.home, { recursive: true });
  await mkdir(place.project, { recursive: true });
  const { command } = await client.prepare();
  const settings = await client.settings(place);
  const path = [dirname(process.execPath), process.env.PATH ?? ''];
  const env = {
    PATH: path.join(delimiter),
    HOME: place.home,
    XDG_CACHE_HOME: join(place.home, 'cache'),
    XDG_CONFIG_HOME: join(place.home, 'config'),
    XDG_DATA_HOME: join(place.home, 'share'),
    XDG_STATE_HOME: join(place.home, 'state'),
    // A client that would go past the registry under test reaches a closed port.
    HTTPS_PROXY: 'http://127.0.0.1:9',
    https_proxy: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
    ...settings,
  };
  return runCommand([...command, ...args], { cwd: place.project, env, timeout });
}
