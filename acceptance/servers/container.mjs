import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';

/** @import { ImageStore } from './image-store.mjs' */

/** A process may have no more of them than the machine lets this one give away. */
const LIMITS = ['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096'];
/** Arguments for what the deployments of deploy/ have, too: nothing can be written but what is mounted, and there are no privileges. */
const LOCKED = ['--read-only', '--read-only-tmpfs=false', '--cap-drop', 'all', '--security-opt', 'no-new-privileges'];

/** The program in the image. */
export const PROGRAM = ['node', '/app/entrepot.js'];

/** A container of an image of a store. */
export class Container {
  #store;
  #image;
  #name;
  #flags;
  #words;

  /**
   * @param {ImageStore} store
   * @param {object} options
   * @param {string} options.image
   * @param {string} options.name
   * @param {readonly (readonly [source: string, target: string, mode?: 'ro' | 'rw'])[]} [options.mounts]
   * @param {Readonly<Record<string, string>>} [options.env]
   * @param {string} [options.user] instead of the image's
   * @param {string} [options.network] `host`: the ports are those of this machine
   * @param {readonly string[]} [options.words] instead of the image's command
   * @param {string} [options.program] instead of the image's
   */
  constructor(store, { image, name, mounts = [], env = {}, user, network = 'host', words = [], program }) {
    this.#store = store;
    this.#image = image;
    this.#name = `entrepot-${process.pid}-${name}`;
    this.#words = words;
    this.#flags = [
      ...LIMITS,
      ...LOCKED,
      // Podman leaves health checks to systemd.
      '--no-healthcheck',
      `--network=${network}`,
      ...(user === undefined ? [] : ['--user', user]),
      ...(program === undefined ? [] : ['--entrypoint', program]),
      ...mounts.flatMap(([source, target, mode = 'ro']) => ['--volume', `${source}:${target}:${mode}`]),
      ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ];
  }

  /**
   * Starts it, and waits until its server is ready.
   * @param {string} url of the server
   * @returns {Promise<{ time: number, work: number }>} how long that took from when the container ran, and how long its first
   *   process had a processor meanwhile; milliseconds
   */
  async start(url) {
    await this.launch();
    const started = performance.now();
    while (!(await isReady(url))) {
      const { isRunning } = await this.state();
      if (!isRunning) throw new Error(`the container ended before its server was ready:\n${await this.logs()}`);
      if (performance.now() - started > 30_000) throw new Error(`the server is not ready:\n${await this.logs()}`);
      await delay(10);
    }
    const time = performance.now() - started;
    return { time, work: await workOf((await this.state()).pid) };
  }

  /** Starts it without waiting for anything. */
  async launch() {
    await this.#podman(['run', '--detach', '--name', this.#name, ...this.#flags, this.#image, ...this.#words]);
  }

  /** Runs it to its end, and removes it. */
  async run() {
    return await this.#command(['run', '--rm', '--name', this.#name, ...this.#flags, this.#image, ...this.#words]);
  }

  /** Runs a program beside the one that it runs. @param {readonly string[]} words */
  async exec(words) {
    return await this.#command(['exec', this.#name, ...words]);
  }

  /** Returns the output of a program beside it. @param {readonly string[]} words */
  async output(words) {
    const result = await this.exec(words);
    if (result.code !== 0) throw new Error(`${words.join(' ')}: ${outputOf(result)}`);
    return result.stdout.trim();
  }

  /** Sends a signal to its first process. @param {string} signal */
  async signal(signal) {
    await this.#podman(['kill', '--signal', signal, this.#name]);
  }

  /** Ends it as an orchestrator does. @returns {Promise<number>} its exit code */
  async stop() {
    await this.#podman(['stop', '--time', '30', this.#name]);
    return (await this.state()).exitCode;
  }

  async state() {
    const { stdout } = await this.#podman(['inspect', '--format', '{{json .State}}', this.#name]);
    const { Running, ExitCode, Pid } = JSON.parse(stdout);
    return { isRunning: Boolean(Running), exitCode: Number(ExitCode), pid: Number(Pid) };
  }

  async logs() {
    const { stdout, stderr } = await this.#command(['logs', this.#name]);
    return `${stdout}${stderr}`.slice(-4000);
  }

  /** Ends it at once, if it is there, and removes it. */
  async remove() {
    await this.#command(['rm', '--force', '--time', '0', '--ignore', this.#name]);
  }

  /** @param {readonly string[]} args */
  async #podman(args) {
    const result = await this.#command(args);
    if (result.code !== 0) throw new Error(`podman ${args[0]}: ${outputOf(result)}`);
    return result;
  }

  /** @param {readonly string[]} args */
  async #command(args) {
    return await runCommand(this.#store.podman(args), {
      cwd: '/',
      env: this.#store.environment,
      timeout: 120_000,
    });
  }
}

/** The processor time of a process, in milliseconds. @param {number} pid */
async function workOf(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name: fields 14 and 15 of proc(5), in hundredths of a second.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** @param {string} url */
async function isReady(url) {
  return await get(`${url}/-/readyz`).then(
    ({ status }) => status === 200,
    () => false,
  );
}
