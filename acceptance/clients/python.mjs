import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/**
 * A real, unmodified client that installs into an empty environment.
 * @typedef {object} PythonClient
 * @property {string} name what `--client` takes
 * @property {string} version
 * @property {(place: PythonPlace) => Promise<CommandResult>} install everything in `requirements.txt`, by hash
 */

/**
 * @typedef {object} PythonPlace
 * @property {string} folder empty; holds the environment, caches and settings of one run
 * @property {string} requirements the text of `requirements.txt`, with hashes
 * @property {string} index the URL of the Simple API
 * @property {number} [timeout]
 * @property {boolean} [unhashed] whether the requirements have no hashes
 */

const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'entrepot-acceptance');
const UV_VERSION = '0.13.8';
const PIP_VERSION = '26.2';
const PDM_VERSION = '2.26.6';
const POETRY_VERSION = '2.5.1';
const TIMEOUT = 300_000;

/** The interpreter of this machine itself, not a wrapper that looks at the environment. @type {Promise<string> | undefined} */
let interpreter;

/** @returns {Promise<string>} */
export function pythonOfMachine() {
  interpreter ??= (async () => {
    const ask = ['python3', '-c', 'import os, sys; print(os.path.realpath(sys.executable))'];
    const result = await runCommand(ask, { cwd: '/', env: process.env, timeout: 30_000 });
    if (result.code !== 0) throw new Error(`python3 was expected on this machine: ${outputOf(result)}`);
    return result.stdout.trim();
  })();
  return interpreter;
}

/** Whether this machine has a Python with pip. @returns {Promise<boolean>} */
export async function hasPython() {
  try {
    const command = [await pythonOfMachine(), '-m', 'pip', '--version'];
    return (await runCommand(command, { cwd: '/', env: process.env, timeout: 30_000 })).code === 0;
  } catch {
    return false;
  }
}

/**
 * Installs one package from the machine's configured index into a cache folder outside of the repository, once.
 * @param {string} name with its extras
 * @param {string} version
 * @returns {Promise<string>} the folder with its modules
 */
export async function providePythonPackage(name, version) {
  const folder = join(CACHE, `python-${name.replace('[', '+').replace(']', '')}@${version}`);
  if (existsSync(folder)) return folder;
  const draft = `${folder}.${process.pid}`;
  await mkdir(CACHE, { recursive: true });
  try {
    const command = [
      await pythonOfMachine(),
      '-m',
      'pip',
      'install',
      '--quiet',
      '--target',
      draft,
      `${name}==${version}`,
    ];
    const result = await runCommand(command, { cwd: CACHE, env: process.env, timeout: 300_000 });
    if (result.code !== 0) throw new Error(`${name}==${version} could not be installed: ${outputOf(result)}`);
    await rename(draft, folder).catch((error) => {
      // Another run was first.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

/** Nothing of the machine's own settings, caches and wheels. @param {PythonPlace} place */
async function environment({ folder, index }) {
  return {
    PATH: [dirname(await pythonOfMachine()), process.env.PATH ?? ''].join(delimiter),
    HOME: folder,
    XDG_CACHE_HOME: join(folder, 'cache'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_DATA_HOME: join(folder, 'share'),
    XDG_STATE_HOME: join(folder, 'state'),
    PIP_CONFIG_FILE: '/dev/null',
    PIP_INDEX_URL: index,
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_CACHE_DIR: join(folder, 'pip-cache'),
    PIP_RETRIES: '0',
    UV_DEFAULT_INDEX: index,
    UV_CACHE_DIR: join(folder, 'uv-cache'),
    UV_NO_CONFIG: '1',
    UV_PYTHON_DOWNLOADS: 'never',
    UV_HTTP_RETRIES: '0',
    // A client that would go past the index under test reaches a closed port.
    HTTPS_PROXY: 'http://127.0.0.1:9',
    https_proxy: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
  };
}

/**
 * An empty environment, and `requirements.txt`.
 * @param {PythonPlace} place
 * @returns {Promise<string>} the interpreter of the environment
 */
async function prepare({ folder, requirements }) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'requirements.txt'), requirements);
  const command = [await pythonOfMachine(), '-m', 'venv', '--without-pip', join(folder, 'venv')];
  const result = await runCommand(command, { cwd: folder, env: { PATH: process.env.PATH }, timeout: 60_000 });
  if (result.code !== 0) throw new Error(`an environment could not be made: ${outputOf(result)}`);
  return join(folder, 'venv', 'bin', 'python');
}

/**
 * @param {PythonPlace} place
 * @param {Record<string, string>} own environment that a pip of its own needs
 */
async function installByPip(place, own) {
  const python = await prepare(place);
  const pip = [await pythonOfMachine(), '-m', 'pip', '--python', python, 'install', '--no-input'];
  const env = { ...(await environment(place)), ...own };
  const command = [...pip, ...hashFlags(place), '-r', 'requirements.txt'];
  return runCommand(command, { cwd: place.folder, env, timeout: place.timeout ?? TIMEOUT });
}

/**
 * Runs uv in `place.folder`.
 * @param {PythonPlace} place
 * @param {readonly string[]} args
 */
export async function runUv(place, args) {
  await mkdir(place.folder, { recursive: true });
  const program = join(await providePythonPackage('uv', UV_VERSION), 'bin', 'uv');
  const env = await environment(place);
  return runCommand([program, ...args], { cwd: place.folder, env, timeout: place.timeout ?? TIMEOUT });
}

/**
 * A client as a command, and the environment that it needs, for a machine where it is set up by hand.
 * @param {'pip-26' | 'uv' | 'pdm' | 'poetry'} name
 * @returns {Promise<{ command: readonly string[], env: Record<string, string> }>}
 */
export async function pythonCommand(name) {
  const python = await pythonOfMachine();
  const module = (/** @type {string} */ main, /** @type {string} */ folder, env = {}) => ({
    command: [python, '-m', main],
    env: { PYTHONPATH: folder, ...env },
  });
  if (name === 'pip-26')
    return module('pip', await providePythonPackage('pip', PIP_VERSION), { PIP_DISABLE_PIP_VERSION_CHECK: '1' });
  if (name === 'pdm')
    return module('pdm', await providePythonPackage('pdm[locked]', PDM_VERSION), { PDM_CHECK_UPDATE: '0' });
  if (name === 'poetry') {
    const keyring = { PYTHON_KEYRING_BACKEND: 'keyring.backends.null.Keyring' };
    return module('poetry', await providePythonPackage('poetry', POETRY_VERSION), keyring);
  }
  const env = { UV_PYTHON: python, UV_PYTHON_DOWNLOADS: 'never' };
  return { command: [join(await providePythonPackage('uv', UV_VERSION), 'bin', 'uv')], env };
}

/** @param {PythonPlace} place */
async function installByUv(place) {
  const python = await prepare(place);
  return runUv(place, ['pip', 'install', '--python', python, ...hashFlags(place), '-r', 'requirements.txt']);
}

/** @param {PythonPlace} place */
function hashFlags({ unhashed = false }) {
  return unhashed ? [] : ['--require-hashes'];
}

/**
 * The project file of a client that resolves by itself. The pins are those of `requirements.txt`; the hashes that the client
 * writes into its lockfile, and checks, are the index's.
 * @param {string} requirements
 */
function projectFile(requirements) {
  const pins = [...requirements.matchAll(/^(?<pin>[A-Za-z0-9._-]+==[^\s;\\]+)/gm)].map(({ groups }) => groups?.pin);
  return `[project]
name = "application"
version = "1.0"
requires-python = ">=3.11,<3.12"
dependencies = ${JSON.stringify(pins)}
`;
}

/** @param {PythonPlace} place */
async function installByPdm(place) {
  const python = await prepare(place);
  const modules = await providePythonPackage('pdm[locked]', PDM_VERSION);
  const env = { ...(await environment(place)), PYTHONPATH: modules, PDM_CHECK_UPDATE: '0', PDM_PYPI_URL: place.index };
  await writeFile(
    join(place.folder, 'pyproject.toml'),
    `${projectFile(place.requirements)}[tool.pdm]\ndistribution = false\n`,
  );
  await writeFile(join(place.folder, '.pdm-python'), python);
  const command = [await pythonOfMachine(), '-m', 'pdm', 'install', '--no-self'];
  return runCommand(command, { cwd: place.folder, env, timeout: place.timeout ?? TIMEOUT });
}

/** @param {PythonPlace} place */
async function installByPoetry(place) {
  await prepare(place);
  const modules = await providePythonPackage('poetry', POETRY_VERSION);
  const env = {
    ...(await environment(place)),
    PYTHONPATH: modules,
    VIRTUAL_ENV: join(place.folder, 'venv'),
    POETRY_CACHE_DIR: join(place.folder, 'poetry-cache'),
    POETRY_CONFIG_DIR: join(place.folder, 'poetry-config'),
    POETRY_KEYRING_ENABLED: 'false',
    PYTHON_KEYRING_BACKEND: 'keyring.backends.null.Keyring',
  };
  const source = `[[tool.poetry.source]]\nname = "entrepot"\nurl = "${place.index}"\npriority = "primary"\n`;
  const text = `${projectFile(place.requirements)}[tool.poetry]\npackage-mode = false\n${source}`;
  await writeFile(join(place.folder, 'pyproject.toml'), text);
  const command = [await pythonOfMachine(), '-m', 'poetry', 'install', '--no-root', '--no-interaction'];
  return runCommand(command, { cwd: place.folder, env, timeout: place.timeout ?? TIMEOUT });
}

/** @type {readonly PythonClient[]} */
export const PYTHON_CLIENTS = [
  { name: 'pip', version: 'of this machine', install: (place) => installByPip(place, {}) },
  {
    name: 'pip-26',
    version: PIP_VERSION,
    install: async (place) => installByPip(place, { PYTHONPATH: await providePythonPackage('pip', PIP_VERSION) }),
  },
  { name: 'uv', version: UV_VERSION, install: installByUv },
  { name: 'pdm', version: PDM_VERSION, install: installByPdm },
  { name: 'poetry', version: POETRY_VERSION, install: installByPoetry },
];

/** One of each family, for a short run. */
const FAMILIES = ['pip', 'uv'];

/**
 * The clients that are named; all of them, or one of each family, when none is named at all.
 * @param {readonly string[]} names also of other clients
 * @param {{ short: boolean }} options
 */
export function choosePythonClients(names, { short }) {
  const wanted = names.length === 0 && short ? FAMILIES : names;
  return PYTHON_CLIENTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
}

/**
 * Lists the packages of an environment as `name==version`.
 * @param {string} folder of the run
 * @returns {Promise<readonly string[]>}
 */
export async function installed(folder) {
  const script =
    'from importlib.metadata import distributions\nfor d in distributions(): print(d.metadata["Name"].lower().replace("_", "-").replace(".", "-") + "==" + d.version)';
  const command = [join(folder, 'venv', 'bin', 'python'), '-I', '-c', script];
  const result = await runCommand(command, { cwd: folder, env: {}, timeout: 30_000 });
  if (result.code !== 0) throw new Error(outputOf(result));
  return result.stdout.trim().split('\n').filter(Boolean).sort();
}
