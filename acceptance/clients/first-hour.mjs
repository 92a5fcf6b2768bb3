import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool } from '@entrepot/fixtures/tools';
import { note } from '../tally.mjs';
import { hasCargo } from '@entrepot/fixtures/cargo';
import { CLIENTS, yarn1Home } from './npm.mjs';
import { hasPython, pythonCommand, pythonOfMachine } from './python.mjs';

/** @import { ToolName } from '@entrepot/fixtures/tools' */
/** @import { ReadmeRow } from './readme-rows.mjs' */

/** The folders of a client: all that it knows, and where it runs. @typedef {{ home: string, project: string }} Place */

/**
 * A client that a row of the README is for.
 * @typedef {object} Program
 * @property {string} name
 * @property {string} row what the README calls it
 * @property {readonly string[]} command what stands for the first word of the commands of its row
 * @property {(place: Place) => Record<string, string>} [env]
 * @property {Readonly<Record<string, string>>} [files] of the project, before the client is pointed anywhere
 * @property {boolean} [hasEnvironment] whether the project has a virtual environment of Python
 * @property {boolean} [isFetch] whether the command of the row fetches by itself, and there is nothing to set
 * @property {(time: number, row: ReadmeRow) => readonly (readonly string[])[]} fetch arguments; the first time another thing
 *   than the second time
 * @property {(place: Place, time: number) => unknown} check throws when what was fetched is not there
 */

const TIMEOUT = 180_000;

const IN_README =
  'npm, pnpm, yarn 1, yarn 4, bun, pip, uv, poetry, pdm, go, cargo, docker, podman, skopeo, crane, oras, containerd, helm, Flux, curl';

/**
 * The clients of the README. containerd is run by the tests of images, with a daemon of its own; Flux needs a cluster, and asks as
 * helm does.
 */
export const README_CLIENTS = IN_README.split(', ');

/** A program with a home of its own, on a machine that reaches nothing but loopback. */
export class FirstHourClient {
  #program;
  #place;
  #copies = 0;

  /** @param {Program} program @param {string} folder */
  constructor(program, folder) {
    this.#program = program;
    const own = join(folder, program.name);
    this.#place = { home: join(own, 'home'), project: join(own, 'project') };
  }

  get name() {
    return this.#program.name;
  }

  get row() {
    return this.#program.row;
  }

  /** Does what the README says. @param {ReadmeRow} row */
  async point(row) {
    const { files = {}, hasEnvironment = false, isFetch = false } = this.#program;
    const { home, project } = this.#place;
    await mkdir(home, { recursive: true });
    await mkdir(project, { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(project, name), text);
    if (hasEnvironment) {
      await this.#run([await pythonOfMachine(), '-m', 'venv', '--without-pip', '.venv'], this.#place);
    }
    if (row.file !== undefined) {
      const file = join(project, row.file.name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, row.file.text);
    }
    if (isFetch) return;
    for (const [, ...args] of row.commands) await this.#run([...this.#program.command, ...args], this.#place);
  }

  /** Fetches something, with nothing in its caches. @param {number} time @param {ReadmeRow} row */
  async fetch(time, row) {
    const { command, check, fetch } = this.#program;
    this.#copies += 1;
    const place = { home: `${this.#place.home}-${this.#copies}`, project: `${this.#place.project}-${this.#copies}` };
    await cp(this.#place.home, place.home, { recursive: true, verbatimSymlinks: true });
    await cp(this.#place.project, place.project, { recursive: true, verbatimSymlinks: true });
    for (const args of fetch(time, row)) await this.#run([...command, ...args], place);
    await check(place, time);
  }

  /** @param {readonly string[]} command @param {Place} place */
  async #run(command, place) {
    const env = {
      PATH: [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter),
      HOME: place.home,
      // A client that was not pointed at the server reaches a closed port.
      HTTPS_PROXY: 'http://127.0.0.1:9',
      https_proxy: 'http://127.0.0.1:9',
      NO_PROXY: '127.0.0.1',
      no_proxy: '127.0.0.1',
      ...this.#program.env?.(place),
    };
    const result = await runCommand(command, { cwd: place.project, env, timeout: TIMEOUT });
    assert.equal(result.code, 0, `${command.join(' ')}: ${outputOf(result)}`);
  }
}

/**
 * The programs that this machine has, or can have. What it cannot have is named in the output.
 * @param {{ short: boolean, images: boolean }} options `short`: one of each family; `images`: whether there are images to pull
 * @returns {Promise<Program[]>}
 */
export async function firstHourPrograms({ short, images }) {
  const programs = [...(await npmFamily(short)), ...(await pythonFamily(short))];
  if (images) programs.push(...(await imageClients(short)));
  for (const name of /** @type {ToolName[]} */ (short ? ['helm-3'] : ['helm-3', 'helm-4'])) {
    const program = await provideTool(name);
    if (program !== undefined) programs.push(helmProgram(name, program));
  }
  if (await hasCargo()) programs.push(CARGO);
  else note('no cargo 1.70 or newer on this machine: it is left out');
  programs.push(CURL);
  return programs;
}

/** Names of the programs in the README. */
const NPM_ROWS = new Map([
  ['npm-12', 'npm'],
  ['pnpm-10', 'pnpm'],
  ['pnpm-12', 'pnpm'],
  ['yarn-1', 'yarn 1'],
  ['yarn-4', 'yarn 4'],
  ['bun', 'bun'],
]);
const NPM_SHORT = new Set(['pnpm-12', 'yarn-1', 'yarn-4', 'bun']);

/** @param {boolean} short @returns {Promise<Program[]>} */
async function npmFamily(short) {
  /** @type {Program[]} */
  const programs = [];
  for (const client of CLIENTS) {
    const row = NPM_ROWS.get(client.name);
    if (row === undefined || (short && !NPM_SHORT.has(client.name))) continue;
    const prepared = await orNote(client.name, client.prepare());
    if (prepared === undefined) continue;
    const add = client.name.startsWith('npm') ? ['install', '--no-audit', '--no-fund'] : ['add'];
    programs.push({
      name: client.name,
      row,
      command: prepared.command,
      env: ({ home }) => ({ npm_config_globalconfig: join(home, 'none') }),
      files: {
        'package.json': '{ "name": "application", "version": "1.0.0", "private": true, "license": "UNLICENSED" }\n',
        ...(row === 'yarn 4' && {
          'yarn.lock': '',
          '.yarnrc.yml': 'nodeLinker: node-modules\nenableTelemetry: false\n',
        }),
      },
      ...(row === 'yarn 1' && { env: ({ home }) => yarn1Home(home) }),
      fetch: (time) => [[...add, `leaf-0${time}`]],
      check: ({ project }, time) => has(join(project, 'node_modules', `leaf-0${time}`, 'package.json')),
    });
  }
  return programs;
}

/** @param {boolean} short @returns {Promise<Program[]>} */
async function pythonFamily(short) {
  if (!(await hasPython())) {
    note('no python3 with pip on this machine: pip, uv, poetry and pdm are left out');
    return [];
  }
  const project = '[project]\nname = "application"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = []\n';
  const python = await pythonOfMachine();
  /** @type {Program['check']} */
  const isInstalled = async ({ project: cwd }, time) => {
    const command = [join(cwd, '.venv/bin/python'), '-I', '-c', `import fixture_leaf_${time}`];
    const result = await runCommand(command, { cwd, env: {}, timeout: TIMEOUT });
    assert.equal(result.code, 0, outputOf(result));
  };
  /** @type {Record<'pip-26' | 'uv' | 'poetry' | 'pdm', Pick<Program, 'files' | 'fetch'>>} */
  const how = {
    'pip-26': { fetch: (time) => [['--python', '.venv/bin/python', 'install', `fixture-leaf-${time}`]] },
    uv: { fetch: (time) => [['pip', 'install', '--python', '.venv', `fixture-leaf-${time}`]] },
    poetry: {
      files: { 'pyproject.toml': `${project}[tool.poetry]\npackage-mode = false\n` },
      fetch: (time) => [['add', '--no-interaction', `fixture-leaf-${time}`]],
    },
    pdm: {
      files: { 'pyproject.toml': `${project}[tool.pdm]\ndistribution = false\n` },
      fetch: (time) => [['add', '--no-self', `fixture-leaf-${time}`]],
    },
  };
  /** @type {Program[]} */
  const programs = [];
  for (const name of /** @type {(keyof typeof how)[]} */ (short ? ['uv'] : Object.keys(how))) {
    const prepared = await orNote(name, pythonCommand(name));
    if (prepared === undefined) continue;
    programs.push({
      ...how[name],
      name,
      row: name === 'pip-26' ? 'pip' : name,
      command: prepared.command,
      env: ({ project: cwd }) => ({
        ...prepared.env,
        VIRTUAL_ENV: join(cwd, '.venv'),
        PATH: [dirname(python), process.env.PATH ?? ''].join(delimiter),
      }),
      hasEnvironment: true,
      check: isInstalled,
    });
  }
  return programs;
}

/** The commands with which each of them pulls what the README names to `docker pull`. @type {Record<string, (reference: string) => string[]>} */
const PULLS = {
  skopeo: (reference) => ['copy', '--src-tls-verify=false', `docker://${reference}`, 'dir:pulled'],
  crane: (reference) => ['pull', '--insecure', '--format=oci', reference, 'pulled'],
  oras: (reference) => ['copy', '--from-plain-http', reference, '--to-oci-layout', 'pulled:1'],
  podman: (reference) => ['pull', '--tls-verify=false', reference],
};

/** @param {boolean} short @returns {Promise<Program[]>} */
async function imageClients(short) {
  /** @type {Program[]} */
  const programs = [];
  const docker = await runCommand(['docker', 'info'], { cwd: '/', env: process.env, timeout: 20_000 }).catch(() => {});
  if (docker?.code === 0) programs.push(imageProgram('docker', 'docker', (reference) => ['pull', reference]));
  else note('no docker that answers on this machine: it is left out');
  for (const name of short ? ['skopeo'] : Object.keys(PULLS)) {
    const program = await provideTool(/** @type {ToolName} */ (name));
    if (program !== undefined) programs.push(imageProgram(name, program, PULLS[name] ?? (() => [])));
  }
  return programs;
}

/** @param {string} name @param {string} program @param {(reference: string) => string[]} pull @returns {Program} */
function imageProgram(name, program, pull) {
  return {
    name,
    row: name,
    command: [program],
    env: ({ home }) => ({ TMPDIR: home, XDG_RUNTIME_DIR: home }),
    isFetch: true,
    // The second time the tag is 32.
    fetch: (time, row) => [pull(`${row.commands[0]?.at(-1)}${time === 1 ? '' : time}`)],
    check: ({ project }) => name === 'docker' || name === 'podman' || has(join(project, 'pulled')),
  };
}

/** @param {string} name @param {string} program @returns {Program} */
function helmProgram(name, program) {
  const charts = ['beside', 'below'];
  return {
    name,
    row: 'helm',
    command: [program],
    fetch: (time) => [
      ['repo', 'update'],
      ['pull', `charts/${charts[time - 1]}`],
    ],
    check: ({ project }, time) => has(join(project, `${charts[time - 1]}-1.0.0.tgz`)),
  };
}

/** @type {Program} */
const CARGO = {
  name: 'cargo',
  row: 'cargo',
  command: ['cargo'],
  // Where rustup has its toolchains, if cargo is one of those.
  env: ({ home }) => ({
    CARGO_HOME: join(home, 'cargo'),
    RUSTUP_HOME: process.env.RUSTUP_HOME ?? join(process.env.HOME ?? '/', '.rustup'),
  }),
  files: {
    'Cargo.toml': '[package]\nname = "application"\nversion = "0.1.0"\nedition = "2021"\n\n[lib]\npath = "lib.rs"\n',
    'lib.rs': '',
  },
  fetch: (time) => [['add', `leaf${time}`], ['fetch']],
  check: async ({ project }, time) => {
    assert.match(await readFile(join(project, 'Cargo.lock'), 'utf8'), new RegExp(`name = "leaf${time}"`));
  },
};

/** @type {Program} */
const CURL = {
  name: 'curl',
  row: 'curl',
  command: ['curl', '--silent', '--show-error', '--fail'],
  isFetch: true,
  fetch: (time, row) => [(row.commands[0] ?? []).slice(1).map((word) => word.replace(/\/file$/, `/file${time}`))],
  check: async ({ project }, time) => {
    assert.equal(await readFile(join(project, `file${time}`), 'utf8'), `this is /path/to/file${time}`);
  },
};

/** @param {string} file */
function has(file) {
  assert.ok(existsSync(file), `${file} was expected`);
}

/**
 * @template T
 * @param {string} name
 * @param {Promise<T>} prepared
 * @returns {Promise<T | undefined>}
 */
function orNote(name, prepared) {
  return prepared.catch((error) => {
    note(`${name}: ${error.message}; it is left out`);
    return undefined;
  });
}
