import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '../../free-port.js';

/** Said where tests are left out for it. */
export const REDIS_MISSING =
  '# Redis is not on this machine (apt-get install redis-server): the tests on it are left out';

/** The path of the program; `undefined` when this machine has none. */
export function redisProgram(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'redis-server')).find((path) => existsSync(path));
}

/** A real server of Redis that can be stopped, paused and started again at the same port. It keeps nothing on disk. */
export class RedisServer {
  readonly #program: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'entrepot-redis-'));
  readonly #settings: readonly string[];
  #process: ChildProcess | undefined;
  port: number;

  private constructor(program: string, port: number, settings: readonly string[]) {
    this.#program = program;
    this.port = port;
    this.#settings = settings;
  }

  /** A server that is not started yet. */
  static async create(program: string, settings: readonly string[] = []): Promise<RedisServer> {
    return new RedisServer(program, await freePort(), settings);
  }

  static async start(program: string, settings: readonly string[] = []): Promise<RedisServer> {
    const server = await RedisServer.create(program, settings);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  async start(): Promise<void> {
    const args = [
      '--port',
      `${this.port}`,
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      ...this.#settings,
    ];
    const child = spawn(this.#program, args, { cwd: this.#folder, stdio: 'ignore' });
    this.#process = child;
    for (let left = 200; !(await isListening(this.port)); left -= 1) {
      if (left === 0 || child.exitCode !== null) throw new Error('redis-server did not start');
      // A real process: nothing tells when it is there.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends one command, as a program of its own, and returns the raw answer. */
  async command(...words: readonly string[]): Promise<string> {
    const socket = connect(this.port, '127.0.0.1');
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString();
  }

  /** It takes connections and bytes, and answers nothing. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const found = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return found;
}
