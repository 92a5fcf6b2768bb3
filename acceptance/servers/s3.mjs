import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './entrepot.mjs';
import { isListening } from './redis.mjs';

const BUCKET = 'entrepot';
const KEY = 'acceptance';
const SECRET = 'acceptance-secret';

/** A server of S3 over a folder: versitygw. */
export class S3Server {
  #program;
  #folder;
  #port = 0;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;

  /** @param {string} program @param {string} folder of its own; the same folder, the same objects */
  constructor(program, folder) {
    this.#program = program;
    this.#folder = folder;
  }

  /** The section `storage` of a configuration for it. @param {string} prefix */
  storage(prefix) {
    return {
      backend: 's3',
      bucket: BUCKET,
      endpoint: `http://127.0.0.1:${this.#port}`,
      prefix,
      credentials: { accessKeyId: KEY, secretAccessKey: '${env:S3_SECRET}' },
    };
  }

  get port() {
    return this.#port;
  }

  /** Variables that the configuration expects in the environment. */
  get env() {
    return { S3_SECRET: SECRET };
  }

  /** The folder in which it keeps the objects below a prefix. @param {string} prefix */
  folderOf(prefix) {
    return join(this.#folder, BUCKET, prefix);
  }

  async start() {
    await mkdir(join(this.#folder, BUCKET), { recursive: true });
    if (this.#port === 0) this.#port = await freePort();
    const args = ['--port', `127.0.0.1:${this.#port}`, '--quiet', '--keep-alive', 'posix', this.#folder];
    const env = { ...process.env, ROOT_ACCESS_KEY: KEY, ROOT_SECRET_KEY: SECRET };
    const child = spawn(this.#program, args, { cwd: this.#folder, env, stdio: 'ignore' });
    this.#process = child;
    for (let left = 500; !(await isListening(this.#port)); left -= 1) {
      if (left === 0 || child.exitCode !== null) throw new Error('versitygw did not start');
      await delay(20);
    }
  }

  /** Ends it at once, as a crash does. */
  async kill() {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
}
