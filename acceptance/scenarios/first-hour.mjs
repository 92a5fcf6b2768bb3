import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { FirstHourClient, firstHourPrograms, README_CLIENTS } from '../clients/first-hour.mjs';
import { goClients } from '../clients/go.mjs';
import { hasPython, pythonOfMachine } from '../clients/python.mjs';
import { readmeRows } from '../clients/readme-rows.mjs';
import { freePort } from '../servers/entrepot.mjs';
import { FirstHourUpstreams, REPOSITORIES } from '../servers/first-hour-upstreams.mjs';
import { note } from '../tally.mjs';

/** @import { ChildProcess } from 'node:child_process' */
/** @import { ReadmeRow } from '../clients/readme-rows.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** A client: `point` does what its row of the README says, `fetch` fetches one thing the first time and another one the second time. @typedef {{ name: string, row: string, point: (row: ReadmeRow) => Promise<void>, fetch: (time: number, row: ReadmeRow) => Promise<void> }} Client */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START = 300_000;

/**
 * Walks through the first hour of a new user: clone, start, point each client at the server as the README says, stop, start
 * again. The machine is one of its own: npm, pip and go are set up with registries on loopback before, which the server
 * finds. The other clients know only what the README tells them.
 * @param {Tally} tally
 * @param {{ full: boolean }} options `full`: all clients, not one of each family, and the dependencies are installed from the
 *   registry of this machine, not copied
 */
export async function firstHour(tally, { full }) {
  await withScratch('first-hour', async (folder) => {
    const machine = new Machine(folder);
    try {
      await machine.setUp({ short: !full });
      await run(tally, machine, full);
    } finally {
      await machine.leave();
    }
  });
}

/** @param {Tally} tally @param {Machine} machine @param {boolean} install */
async function run(tally, machine, install) {
  const { clients } = machine;
  if (!(await tally.check('first hour: a clone', () => machine.clone(install)))) return;
  const rows = await machine.rows();
  await tally.check('first hour: the clients of the README are those that are known here', () => {
    assert.deepEqual([...rows.keys()].toSorted(), README_CLIENTS.toSorted());
  });
  const rowOf = (/** @type {Client} */ { row }) => /** @type {ReadmeRow} */ (rows.get(row));
  for (const name of rows.keys()) if (!clients.some(({ row }) => row === name)) note(`${name}: left out`);
  if (!(await tally.check('first hour: npm start serves', () => machine.start()))) return;
  for (const client of clients) {
    await tally.check(`first hour: ${client.name}: the line of the README, and a package`, async () => {
      await client.point(rowOf(client));
      await client.fetch(1, rowOf(client));
    });
  }
  await tally.check('first hour: a signal to npm ends everything', () => machine.stop());
  await tally.check('first hour: while the server is down, packages are installed from elsewhere', async () => {
    const ask = "import('./scripts/registry.mjs').then((m) => console.log(...m.registryOptions()))";
    const { stdout, stderr } = await machine.run([process.execPath, '-e', ask], machine.folder);
    assert.equal(stdout.trim(), `--registry ${machine.upstreams.npm.url}`, stderr);
  });
  if (!(await tally.check('first hour: npm start serves again', () => machine.start()))) return;
  for (const client of clients) {
    await tally.check(`first hour: ${client.name}: what is kept, and what is new`, async () => {
      await client.fetch(1, rowOf(client));
      await client.fetch(2, rowOf(client));
    });
  }
  await tally.check('first hour: the other commands run by npm start and npx', async () => {
    const { stdout } = await machine.run(['npm', 'start', '--silent', '--', 'version'], machine.folder);
    assert.match(stdout, /^entrepot \d/m);
    const validated = await machine.run(['npx', 'entrepot', 'validate'], machine.folder);
    assert.equal(validated.stdout.trim(), 'configuration is valid', outputOf(validated));
  });
  await tally.check('first hour: a signal to npm ends everything again', () => machine.stop());
}

/** A machine of a user, with clients that are set up with registries of its own. */
class Machine {
  folder;
  upstreams = new FirstHourUpstreams();
  #own;
  #home;
  #port = 0;
  /** @type {Client[]} */
  clients = [];
  /** @type {ChildProcess | undefined} */
  #npmStart;
  #output = '';

  /** @param {string} folder */
  constructor(folder) {
    this.#own = folder;
    this.folder = join(folder, 'entrepot');
    this.#home = join(folder, 'home');
  }

  /** @param {{ short: boolean }} options `short`: one client of each family */
  async setUp({ short }) {
    await this.upstreams.start(this.#own);
    this.#port = await freePort();
    await this.#write('.npmrc', `registry=${this.upstreams.npm.url}/\n`);
    await this.#write('.config/pip/pip.conf', `[global]\nindex-url = ${this.upstreams.python.index.url}/simple/\n`);
    await this.#write('.config/go/env', `GOPROXY=${this.upstreams.go.url}\nGOSUMDB=off\n`);
    await this.#addOwnClients();
    const images = this.upstreams.images !== undefined;
    for (const program of await firstHourPrograms({ short, images })) {
      this.clients.push(new FirstHourClient(program, join(this.#own, 'clients')));
    }
  }

  async leave() {
    this.#npmStart?.kill('SIGKILL');
    for (const pid of await this.#processes()) process.kill(pid, 'SIGKILL');
    await this.upstreams.stop();
  }

  /** The README's, of the clone. */
  rows() {
    return readmeRows(join(this.folder, 'README.md'), { port: this.#port, repositories: REPOSITORIES });
  }

  /** @param {boolean} install */
  async clone(install) {
    const cloned = await this.run(['git', 'clone', '--quiet', ROOT, this.folder], '/');
    assert.equal(cloned.code, 0, outputOf(cloned));
    if (install) {
      const command = [process.execPath, 'scripts/node.mjs', 'scripts/setup.mjs'];
      const result = await runCommand(command, { cwd: this.folder, env: process.env, timeout: START });
      assert.equal(result.code, 0, outputOf(result));
      return;
    }
    for (const place of ['.', ...(await this.#workspaces())]) {
      const modules = join(ROOT, place, 'node_modules');
      await cp(modules, join(this.folder, place, 'node_modules'), { recursive: true, verbatimSymlinks: true }).catch(
        (/** @type {NodeJS.ErrnoException} */ error) => {
          if (error.code !== 'ENOENT') throw error;
        },
      );
    }
  }

  async start() {
    const started = spawn('npm', ['start'], { cwd: this.folder, env: this.#env(), stdio: ['ignore', 'pipe', 'pipe'] });
    this.#npmStart = started;
    this.#output = '';
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#output = (this.#output + text).slice(-20_000)));
    }
    const until = performance.now() + START;
    while (!(await this.#answers())) {
      assert.ok(started.exitCode === null && started.signalCode === null, `npm start ended:\n${this.#output}`);
      assert.ok(performance.now() < until, `npm start does not serve:\n${this.#output}`);
      await delay(200);
    }
  }

  /** Ends npm alone, as a supervisor ends what it has started. */
  async stop() {
    const started = /** @type {ChildProcess} */ (this.#npmStart);
    const ended = once(started, 'exit');
    started.kill('SIGTERM');
    await ended;
    const until = performance.now() + 30_000;
    for (;;) {
      const left = await this.#processes();
      if (left.length === 0 && !(await this.#answers())) return;
      assert.ok(performance.now() < until, `still running: ${left.join(', ')}`);
      await delay(100);
    }
  }

  /** @param {readonly string[]} command @param {string} [cwd] */
  run(command, cwd = this.#home) {
    return runCommand(command, { cwd, env: this.#env(), timeout: 180_000 });
  }

  #env() {
    return {
      PATH: process.env.PATH,
      HOME: this.#home,
      // A Node that had to be fetched is there already.
      XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
      PIP_NO_CACHE_DIR: '1',
      PIP_DISABLE_PIP_VERSION_CHECK: '1',
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-modcacherw',
      ENTREPOT_SERVER_LISTEN: `127.0.0.1:${this.#port}`,
      // The modules of this test are in no database.
      ENTREPOT_REPOSITORIES_GO_SUMDB: 'off',
      ...this.upstreams.settings,
    };
  }

  /** @param {string} name @param {string} text */
  async #write(name, text) {
    await mkdir(dirname(join(this.#home, name)), { recursive: true });
    await writeFile(join(this.#home, name), text);
  }

  async #workspaces() {
    const plugins = await readdir(join(ROOT, 'plugins'));
    return ['core', 'host', 'deploy/npm', ...plugins.map((name) => `plugins/${name}`)];
  }

  async #answers() {
    return get(`http://127.0.0.1:${this.#port}/-/livez`).then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** Finds the processes of the clone, whoever started them. */
  async #processes() {
    /** @type {number[]} */
    const found = [];
    for (const entry of await readdir('/proc').catch(() => [])) {
      if (!/^\d+$/.test(entry)) continue;
      const cwd = await readlink(`/proc/${entry}/cwd`).catch(() => '');
      if (cwd === this.folder) found.push(Number(entry));
    }
    return found;
  }

  /** Adds the clients whose settings the server reads, so that after a restart they are pointed at itself. */
  async #addOwnClients() {
    const python = (await hasPython()) ? await pythonOfMachine() : undefined;
    /** @param {readonly string[]} command @param {string} [cwd] */
    const ok = async (command, cwd) => {
      const result = await this.run(command, cwd);
      assert.equal(result.code, 0, outputOf(result));
    };
    /** @param {string} row @param {readonly string[]} prefix @param {(time: number) => Promise<void>} fetch */
    const add = (row, prefix, fetch) => {
      const point = async (/** @type {ReadmeRow} */ { commands }) => {
        for (const command of commands) await ok([...prefix, ...command]);
      };
      this.clients.push({ name: row, row, point, fetch });
    };
    add('npm', [], async (time) => {
      const project = join(this.#home, `npm-${time}-${performance.now()}`);
      await mkdir(project);
      const flags = ['--no-audit', '--no-fund', '--cache', join(project, 'cache')];
      await ok(['npm', 'install', ...flags, `leaf-0${time}`], project);
    });
    if (python !== undefined) {
      const download = [python, '-m', 'pip', 'download', '--no-deps', '-d', join(this.#home, 'wheels')];
      add('pip', [python, '-m'], (time) => ok([...download, `fixture-leaf-${time}`]));
    }
    if ((await goClients()).length > 0) {
      add('go', [], async (time) => {
        await ok(['go', 'clean', '-modcache']);
        await ok(['go', 'mod', 'download', `example.test/m${time}@v1.0.0`]);
      });
    }
  }
}
