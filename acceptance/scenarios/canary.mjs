import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Looks for secrets where none may be: the arguments and variables of processes, and files. Linux only. */
export class Canary {
  #folder;
  #secrets;
  #program;
  #stopped = false;
  /** @type {Promise<void> | undefined} */
  #watch;
  /** Where a secret was seen, and which; never the secret. @type {Set<string>} */
  sightings = new Set();
  /** The programs that ran. @type {Set<string>} */
  programs = new Set();

  /**
   * @param {string} folder all files below it are read
   * @param {() => Readonly<Record<string, string>>} secrets by the names under which they are reported
   * @param {string} program what is in the arguments of the process that was given them in its environment: one that it
   *   starts has the same for a moment
   */
  constructor(folder, secrets, program) {
    this.#folder = folder;
    this.#secrets = secrets;
    this.#program = program;
  }

  /** Looks again and again until `stop`. */
  start() {
    this.#watch = (async () => {
      while (!this.#stopped) {
        await this.look();
        await delay(5);
      }
    })();
  }

  async stop() {
    this.#stopped = true;
    await this.#watch;
    await this.look();
  }

  async look() {
    await this.#lookAtProcesses();
    await this.#lookAtFiles(this.#folder);
  }

  /** Files and folders come and go meanwhile. @param {string} folder */
  async #lookAtFiles(folder) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name);
      this.check('the name of a file', Buffer.from(entry.name));
      if (entry.isDirectory()) await this.#lookAtFiles(path);
      else if (entry.isFile()) this.check(path, await readFile(path).catch(() => Buffer.alloc(0)));
    }
  }

  async #lookAtProcesses() {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    for (const pid of pids) {
      const read = (/** @type {string} */ name) => readFile(`/proc/${pid}/${name}`).catch(() => Buffer.alloc(0));
      const line = await read('cmdline');
      this.programs.add(line.toString().split('\0', 1)[0]?.split('/').at(-1) ?? '');
      this.check(`the arguments of ${line.toString().slice(0, 40)}`, line);
      if (line.includes(this.#program)) continue;
      this.check(`a variable of ${line.toString().slice(0, 40)}`, await read('environ'));
    }
  }

  /** @param {string} place @param {Buffer} bytes */
  check(place, bytes) {
    for (const [name, secret] of Object.entries(this.#secrets())) {
      for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').slice(0, -4)]) {
        if (bytes.includes(form)) this.sightings.add(`${name} in ${place}`);
      }
    }
  }
}
