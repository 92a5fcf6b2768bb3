import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { S3Settings } from '../../../src/drivers/blob/s3/settings.js';
import { freePort } from '../../free-port.js';

/** Where acceptance/install-tools.mjs puts what it builds. */
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'entrepot-acceptance');

export type S3Program = 'versitygw' | 'gofakes3';

/** The path of a server of S3; `undefined` when this machine has none. */
export function s3Program(name: S3Program): string | undefined {
  const built = existsSync(CACHE) ? readdirSync(CACHE).filter((folder) => folder.startsWith(`${name}@`)) : [];
  const folders = [...built.map((folder) => join(CACHE, folder)), ...(process.env.PATH ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Said where tests are left out for it. */
export function s3Missing(name: S3Program): string {
  return `# ${name} is not on this machine (node acceptance/install-tools.mjs): the tests on it are left out`;
}

export const BUCKET = 'entrepot-test';
const CREDENTIALS = { accessKeyId: 'entrepot', secretAccessKey: 'entrepot-secret' };

/** A server of S3 with a bucket, in memory or in a temporary folder. */
export class S3Server {
  readonly endpoint: string;
  readonly #process: ChildProcess;
  readonly #folder: string;
  #prefixes = 0;

  private constructor(endpoint: string, server: ChildProcess, folder: string) {
    this.endpoint = endpoint;
    this.#process = server;
    this.#folder = folder;
  }

  /** @param keepAlive whether versitygw keeps connections */
  static async start(name: S3Program, program: string, { keepAlive = true } = {}): Promise<S3Server> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-s3-'));
    mkdirSync(join(folder, BUCKET));
    const args =
      name === 'gofakes3'
        ? ['-backend', 'memory', '-host', `127.0.0.1:${port}`, '-initialbucket', BUCKET, '-quiet']
        : ['--port', `127.0.0.1:${port}`, '--quiet', ...(keepAlive ? ['--keep-alive'] : []), 'posix', folder];
    const env = {
      PATH: process.env.PATH,
      ROOT_ACCESS_KEY: CREDENTIALS.accessKeyId,
      ROOT_SECRET_KEY: CREDENTIALS.secretAccessKey,
    };
    const server = spawn(program, args, { cwd: folder, env, stdio: 'ignore' });
    await reached(port, server);
    return new S3Server(`http://127.0.0.1:${port}`, server, folder);
  }

  /** The settings of an empty store in the bucket. */
  settings(other: Partial<S3Settings> = {}): S3Settings {
    this.#prefixes += 1;
    return s3Settings({ endpoint: this.endpoint, prefix: `store-${this.#prefixes}/blobs`, ...other });
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    const ended = exitCode === null && signalCode === null && once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Settings as a configuration has them, with short limits. */
export function s3Settings(other: Partial<S3Settings> = {}): S3Settings {
  return {
    bucket: BUCKET,
    region: undefined,
    endpoint: undefined,
    prefix: '',
    pathStyle: undefined,
    credentials: { ...CREDENTIALS, sessionToken: undefined },
    encryption: undefined,
    connections: 32,
    connectTimeout: 2_000,
    headersTimeout: 10_000,
    idleTimeout: 30_000,
    ...other,
  };
}

async function reached(port: number, server: ChildProcess): Promise<void> {
  for (let left = 200; ; left -= 1) {
    const socket = connect(port, '127.0.0.1');
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isThere) return;
    if (left === 0 || server.exitCode !== null) throw new Error(`the server of S3 did not start (${server.exitCode})`);
    // A real process: nothing tells when it is there.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
