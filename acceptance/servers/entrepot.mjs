import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { get } from '@entrepot/fixtures/get';
import { noteLate } from '../loop-delay.mjs';

/** @import { ChildProcess } from 'node:child_process' */

/** The program. */
export const MAIN = fileURLToPath(new URL('../../deploy/npm/bin/entrepot.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../deploy/npm/dist/index.js', import.meta.url));
const WATCHED = new URL('watched-loop.mjs', import.meta.url).href;
const KEPT_LOG = 16 * 1024 * 1024;

/** A running `entrepot serve`: a process of its own, as a user has it. */
export class EntrepotServer {
  #folder;
  #port;
  #repositories;
  #more;
  #env;
  /** @type {ChildProcess | undefined} */
  #process;
  #log = '';

  /**
   * @param {object} options
   * @param {string} options.folder for the configuration and everything that is kept; the same folder, the same state
   * @param {number} options.port
   * @param {Record<string, unknown>} options.repositories as in the configuration file
   * @param {Record<string, unknown>} [options.more] other top-level keys of the configuration file
   * @param {Record<string, string>} [options.env] what is added to the environment
   */
  constructor({ folder, port, repositories, more = {}, env = {} }) {
    this.#folder = folder;
    this.#port = port;
    this.#repositories = repositories;
    this.#more = more;
    this.#env = env;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port() {
    return this.#port;
  }

  /** The server's output since its last start; at most the end of it. */
  get log() {
    return this.#log;
  }

  /** The process that was started. */
  get pid() {
    return this.#process?.pid ?? 0;
  }

  get isRunning() {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /**
   * Starts the process and waits until it is ready.
   * @param {{ timeout?: number, onSpawn?: (pid: number) => unknown }} [options]
   * @returns {Promise<number>} how long that took, in milliseconds
   */
  async start({ timeout = 20_000, onSpawn } = {}) {
    if (!existsSync(BUILT)) throw new Error(`${BUILT} was expected: run \`npm run build\``);
    const file = await this.#write();
    this.#log = '';
    const started = performance.now();
    // The proxy of the machine, if it has one, is for the upstream: the environment is passed on. The Node is chosen already.
    const { ENTREPOT_NODE: _node, ...environment } = process.env;
    const child = spawn(process.execPath, ['--import', WATCHED, MAIN, 'serve', '-c', file], {
      cwd: this.#folder,
      env: { ...environment, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#log = (this.#log + text).slice(-KEPT_LOG)));
    }
    child.stderr.on('data', (/** @type {string} */ text) => {
      for (const found of text.match(/^event loop late.*/gm) ?? []) noteLate(`server on ${this.#port}: ${found}`);
    });
    await once(child, 'spawn');
    onSpawn?.(this.pid);
    while (!(await this.#isReady())) {
      if (!this.isRunning) throw new Error(`the server ended before it was ready:\n${this.#log.slice(-4000)}`);
      if (performance.now() - started > timeout) {
        await this.kill();
        throw new Error(`the server was not ready within ${timeout} ms:\n${this.#log.slice(-4000)}`);
      }
      await delay(10);
    }
    return performance.now() - started;
  }

  async #write() {
    const file = join(this.#folder, 'entrepot.yaml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(this.#configuration(), undefined, 2));
    return file;
  }

  /**
   * Has the configuration read again.
   * @param {{ repositories: Record<string, unknown>, more: Record<string, unknown> }} configuration written before that
   */
  async hangUp({ repositories, more }) {
    this.#repositories = repositories;
    this.#more = more;
    await this.#write();
    process.kill(this.pid, 'SIGHUP');
  }

  /**
   * Starts another command on the configuration of the last start.
   * @param {readonly string[]} words the command and its arguments
   */
  command(words) {
    return new EntrepotCommand([...words, '-c', join(this.#folder, 'entrepot.yaml')], this.#folder, this.#env);
  }

  /**
   * Ends the process as an operator does. It has to drain and leave with 0.
   * @returns {Promise<void>}
   */
  async stop() {
    const child = this.#process;
    if (child === undefined || !this.isRunning)
      throw new Error(`the server is not running:\n${this.#log.slice(-4000)}`);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 40_000);
    const [code, signal] = await exited;
    clearTimeout(timer);
    this.#process = undefined;
    if (code !== 0)
      throw new Error(`exit code 0 was expected after SIGTERM, found ${code ?? signal}:\n${this.#log.slice(-4000)}`);
  }

  /** Ends the process at once, as a crash does. Does nothing when there is none. */
  async kill() {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** The memory that the process has resident, in bytes. Linux only; elsewhere `undefined`. */
  async residentBytes() {
    const pid = this.#process?.pid;
    if (pid === undefined || process.platform !== 'linux') return undefined;
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /**
   * Records of the access log since the last start.
   * @returns {readonly { path: string, status: number, resource?: string, outcome?: string }[]}
   */
  get requests() {
    const lines = this.#log.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request');
  }

  /** Lines of the log since the last start that say what failed. */
  get errors() {
    return this.#log.split('\n').filter((line) => line.startsWith('{') && line.includes('"level":"error"'));
  }

  /**
   * The sum of a counter over all its labels.
   * @param {string} name
   */
  async metric(name) {
    const text = (await get(`${this.url}/metrics`)).body.toString('utf8');
    if (!text.includes(`# TYPE ${name} `)) throw new Error(`a metric ${name} was expected`);
    let sum = 0;
    for (const line of text.split('\n')) {
      const series = /^(?<name>[a-zA-Z_:][\w:]*)(?:\{.*\})? (?<value>\S+)$/.exec(line)?.groups;
      if (series?.name === name) sum += Number(series.value);
    }
    return sum;
  }

  #configuration() {
    const { server = {}, ...more } = this.#more;
    return {
      server: { listen: `127.0.0.1:${this.#port}`, .../** @type {object} */ (server) },
      storage: { path: join(this.#folder, 'blobs') },
      metadata: { path: join(this.#folder, 'entrepot.db') },
      ...more,
      repositories: this.#repositories,
    };
  }

  /** Other repositories from the next start on. @param {Record<string, unknown>} repositories */
  set repositories(repositories) {
    this.#repositories = repositories;
  }

  async #isReady() {
    try {
      return (await get(`${this.url}/-/readyz`)).status === 200;
    } catch {
      return false;
    }
  }
}

/** A command of the program that ends by itself, in a process of its own. */
export class EntrepotCommand {
  #process;
  #output = '';
  #ended;

  /** @param {readonly string[]} words @param {string} cwd @param {Record<string, string>} env what is added to the environment */
  constructor(words, cwd, env) {
    const { ENTREPOT_NODE: _node, ...environment } = process.env;
    this.#process = spawn(process.execPath, [MAIN, ...words], {
      cwd,
      env: { ...environment, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream.setEncoding('utf8').on('data', (text) => (this.#output = (this.#output + text).slice(-KEPT_LOG)));
    this.#ended = once(this.#process, 'close');
  }

  /**
   * Waits for its end.
   * @returns {Promise<boolean>} whether it came to it; `false`: it was killed
   * @throws {Error} when it says that it failed
   */
  async end() {
    const [code, signal] = await this.#ended;
    if (code === null && signal === 'SIGKILL') return false;
    if (code !== 0) throw new Error(`exit code 0 was expected, found ${code ?? signal}:\n${this.#output.slice(-4000)}`);
    return true;
  }

  /** Ends it at once. */
  kill() {
    this.#process.kill('SIGKILL');
  }
}

/** A port of loopback that nothing listens on. */
export async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP address was expected');
  return address.port;
}
