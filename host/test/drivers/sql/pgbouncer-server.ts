import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../free-port.js';
import { ownerOf, type PostgresServer } from './postgres-server.js';

/** Said where tests are left out for it. */
export const PGBOUNCER_MISSING =
  '# PgBouncer is not on this machine (apt-get install pgbouncer): the tests on it are left out';

/** The path of the program; `undefined` when this machine has none. */
export function pgbouncerProgram(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path));
}

/** A real PgBouncer in transaction mode before a server of PostgreSQL, with four connections to it. */
export class PgBouncer {
  readonly #port: number;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(port: number, folder: string, bouncer: ChildProcess) {
    this.#port = port;
    this.#folder = folder;
    this.#process = bouncer;
  }

  static async start(program: string, server: PostgresServer): Promise<PgBouncer> {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-pgbouncer-'));
    const port = await freePort();
    const users = join(folder, 'users.txt');
    const file = join(folder, 'pgbouncer.ini');
    writeFileSync(users, '"test" ""\n');
    const settings = [
      '[databases]',
      `* = host=127.0.0.1 port=${server.port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'pool_mode = transaction',
      'default_pool_size = 4',
      'auth_type = trust',
      `auth_file = ${users}`,
      'server_login_retry = 1',
    ];
    writeFileSync(file, `${settings.join('\n')}\n`);
    // It refuses to run as root.
    const owner = process.getuid?.() === 0 ? ownerOf('postgres', 'nobody') : undefined;
    if (owner !== undefined) for (const path of [folder, users, file]) chownSync(path, owner.uid, owner.gid);
    const bouncer = spawn(program, [file], { ...owner, cwd: folder, stdio: 'ignore' });
    const started = new PgBouncer(port, folder, bouncer);
    await started.#reached();
    return started;
  }

  /** The same database through it. */
  url(direct: string): string {
    const url = new URL(direct);
    url.port = `${this.#port}`;
    return url.href;
  }

  async stop(): Promise<void> {
    const ended = this.#process.exitCode === null && once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #reached(): Promise<void> {
    for (let left = 100; ; left -= 1) {
      const client = new pg.Client({ connectionString: this.url('postgres://test@127.0.0.1:1/postgres') });
      try {
        await client.connect();
        return;
      } catch (error) {
        if (left === 0 || this.#process.exitCode !== null) throw error;
        // A real process: nothing tells when it is there.
        await new Promise((resolve) => setTimeout(resolve, 50));
      } finally {
        await client.end().catch(() => {});
      }
    }
  }
}
