import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FixtureApplication } from '../fixture-application.mjs';
import { FixtureRegistry } from '../fixture-registry.mjs';
import { goClients } from '../go-clients.mjs';
import { GoDatabase, goModule, proxyAnswer } from '../go-database.mjs';
import { Origin } from '../origin.mjs';
import { hasPython, pythonOfMachine } from '../python-clients.mjs';
import { PythonIndex } from '../python-index.mjs';
import { outputOf, runCommand } from '../run-command.mjs';
import { withScratch } from '../scratch.mjs';
import { freePort, get } from '../server.mjs';
import { note } from '../tally.mjs';

/** @import { ChildProcess } from 'node:child_process' */
/** @import { Tally } from '../tally.mjs' */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START = 300_000;

/**
 * What a new user does in the first hour: clones, starts, points each client at the server as the README says, stops, and
 * starts again. The machine is one of its own: its clients are set up with registries on loopback before.
 * @param {Tally} tally
 * @param {{ install: boolean }} options `install`: the dependencies are installed from the registry of this machine, not copied
 */
export async function firstHour(tally, { install }) {
  await withScratch('first-hour', async (folder) => {
    const machine = await new Machine(folder).setUp();
    try {
      await run(tally, machine, install);
    } finally {
      await machine.leave();
    }
  });
}

/** @param {Tally} tally @param {Machine} machine @param {boolean} install */
async function run(tally, machine, install) {
  const { clients } = machine;
  if (!(await tally.check('first hour: a clone', () => machine.clone(install)))) return;
  if (!(await tally.check('first hour: npm start serves', () => machine.start()))) return;
  for (const client of clients) {
    await tally.check(`first hour: ${client.name}: the line of the README, and a package`, async () => {
      await client.point();
      await client.fetch(1);
    });
  }
  await tally.check('first hour: a signal to npm ends everything', () => machine.stop());
  await tally.check('first hour: while the server is down, packages are installed from elsewhere', async () => {
    const ask = "import('./scripts/registry.mjs').then((m) => console.log(...m.registryOptions()))";
    const { stdout, stderr } = await machine.run([process.execPath, '-e', ask], machine.folder);
    assert.equal(stdout.trim(), `--registry ${machine.npm.url}`, stderr);
  });
  if (!(await tally.check('first hour: npm start serves again', () => machine.start()))) return;
  for (const client of clients) {
    await tally.check(`first hour: ${client.name}: what is kept, and what is new`, async () => {
      await client.fetch(1);
      await client.fetch(2);
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
  npm = new FixtureRegistry(new FixtureApplication());
  #home;
  #python = new PythonIndex();
  #modules = Array.from({ length: 2 }, (_, at) =>
    goModule({
      path: `example.test/m${at + 1}`,
      version: 'v1.0.0',
      files: { 'm.go': 'package m\n' },
      database: new GoDatabase(),
    }),
  );
  #go = new Origin((request, response) => {
    const answer = proxyAnswer(this.#modules, new GoDatabase(), (request.url ?? '').slice(1));
    if (answer === undefined) return void response.writeHead(404).end('not found');
    response.writeHead(200, { 'content-type': answer.mediaType }).end(answer.body);
  });
  #port = 0;
  /** @type {{ name: string, point: () => Promise<void>, fetch: (time: number) => Promise<void> }[]} */
  clients = [];
  /** @type {ChildProcess | undefined} */
  #npmStart;
  #output = '';

  /** @param {string} folder */
  constructor(folder) {
    this.folder = join(folder, 'entrepot');
    this.#home = join(folder, 'home');
  }

  async setUp() {
    await Promise.all([this.npm.start(), this.#python.start(), this.#go.start()]);
    this.#port = await freePort();
    await this.#write('.npmrc', `registry=${this.npm.url}/\n`);
    await this.#write('.config/pip/pip.conf', `[global]\nindex-url = ${this.#python.index.url}/simple/\n`);
    await this.#write('.config/go/env', `GOPROXY=${this.#go.url}\nGOSUMDB=off\n`);
    await this.#addClients();
    return this;
  }

  async leave() {
    this.#npmStart?.kill('SIGKILL');
    for (const pid of await this.#processes()) process.kill(pid, 'SIGKILL');
    await Promise.all([this.npm.stop(), this.#python.stop(), this.#go.stop()]);
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
    };
  }

  /** @param {string} name @param {string} text */
  async #write(name, text) {
    await mkdir(dirname(join(this.#home, name)), { recursive: true });
    await writeFile(join(this.#home, name), text);
  }

  async #workspaces() {
    const plugins = await readdir(join(ROOT, 'plugins'));
    return ['core', 'host', ...plugins.map((name) => `plugins/${name}`)];
  }

  async #answers() {
    return get(`http://127.0.0.1:${this.#port}/-/livez`).then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** Those of the clone, whoever started them. */
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

  async #addClients() {
    const rows = await readRows(this.#port);
    const python = (await hasPython()) ? await pythonOfMachine() : undefined;
    /** @param {readonly string[]} command @param {string} [cwd] */
    const ok = async (command, cwd) => {
      const result = await this.run(command, cwd);
      assert.equal(result.code, 0, outputOf(result));
    };
    /** @param {string} name */
    const lineOf = (name) => {
      const line = rows.get(name);
      assert.ok(line, `the README has a line for ${name}`);
      return line.split(' ');
    };
    this.clients.push({
      name: 'npm',
      point: () => ok(lineOf('npm')),
      fetch: async (time) => {
        const project = join(this.#home, `npm-${time}-${performance.now()}`);
        await mkdir(project);
        await ok(
          ['npm', 'install', '--no-audit', '--no-fund', '--cache', join(project, 'cache'), `leaf-0${time}`],
          project,
        );
      },
    });
    if (python !== undefined) {
      this.clients.push({
        name: 'pip',
        point: () => ok([python, '-m', ...lineOf('pip')]),
        fetch: (time) =>
          ok([python, '-m', 'pip', 'download', '--no-deps', '-d', join(this.#home, 'wheels'), `fixture-leaf-${time}`]),
      });
    } else note('no python3 with pip on this machine: pip is left out');
    if ((await goClients()).length > 0) {
      this.clients.push({
        name: 'go',
        point: () => ok(lineOf('go')),
        fetch: async (time) => {
          await ok(['go', 'clean', '-modcache']);
          await ok(['go', 'mod', 'download', `example.test/m${time}@v1.0.0`]);
        },
      });
    } else note('no go on this machine: it is left out');
  }
}

/** The command of each client's row in the README, for a server on `port`. @param {number} port */
async function readRows(port) {
  /** @type {Map<string, string>} */
  const rows = new Map();
  for (const line of (await readFile(join(ROOT, 'README.md'), 'utf8')).split('\n')) {
    const row = /^\| (?<client>[^|]+) \| `(?<command>[^`]+)`/.exec(line)?.groups;
    if (row !== undefined) rows.set(row.client ?? '', (row.command ?? '').replaceAll(':8080', `:${port}`));
  }
  return rows;
}
