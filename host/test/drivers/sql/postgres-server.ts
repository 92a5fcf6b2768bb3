import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../free-port.js';

/** Where Debian and others put the programs of PostgreSQL, by version. */
const PLACES = '/usr/lib/postgresql';

/** Said where tests are left out for it. */
export const POSTGRES_MISSING =
  '# PostgreSQL is not on this machine (apt-get install postgresql): the tests on it are left out';

/** The folder with `initdb` and `postgres`; `undefined` when this machine has none. */
export function postgresPrograms(): string | undefined {
  const versions = existsSync(PLACES) ? readdirSync(PLACES).sort((one, other) => Number(other) - Number(one)) : [];
  const folders = [...versions.map((version) => join(PLACES, version, 'bin')), ...(process.env.PATH ?? '').split(':')];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
}

/** A server of PostgreSQL for tests, with an empty database for each that asks. */
export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #run: () => ChildProcess;
  #server: ChildProcess;
  #databases = 0;

  private constructor(folder: string, port: number, run: () => ChildProcess) {
    this.#folder = folder;
    this.port = port;
    this.#run = run;
    this.#server = run();
  }

  /**
   * @param rules lines of pg_hba.conf before those that trust everybody
   * @param pair files with a certificate and its key: TLS is taken, too
   */
  static async start(
    programs: string,
    { rules = [], pair }: { readonly rules?: readonly string[]; readonly pair?: { cert: string; key: string } } = {},
  ): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-postgres-'));
    // It refuses to run as root.
    const owner = process.getuid?.() === 0 ? ownerOf('postgres', 'nobody') : undefined;
    if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
    const cluster = join(folder, 'cluster');
    const options = { ...owner, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' } };
    const init = ['-D', cluster, '-U', 'test', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
    const made = spawnSync(join(programs, 'initdb'), init, { ...options, encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
    const port = await freePort();
    const access = join(cluster, 'pg_hba.conf');
    writeFileSync(access, `${rules.join('\n')}\n${readFileSync(access, 'utf8')}`);
    const settings = ['fsync=off', 'listen_addresses=127.0.0.1', `port=${port}`, `unix_socket_directories=${folder}`];
    if (pair !== undefined) {
      for (const file of ['cert', 'key'] as const) {
        const copy = join(folder, file);
        copyFileSync(pair[file], copy);
        if (owner !== undefined) chownSync(copy, owner.uid, owner.gid);
        settings.push(`ssl_${file}_file=${copy}`);
      }
      settings.push('ssl=on');
    }
    const args = ['-D', cluster, ...settings.flatMap((setting) => ['-c', setting])];
    const started = new PostgresServer(folder, port, () =>
      spawn(join(programs, 'postgres'), args, { ...options, stdio: 'ignore' }),
    );
    await started.#reached();
    return started;
  }

  /** The URL of an empty database. */
  async database(): Promise<string> {
    this.#databases += 1;
    const name = `test${this.#databases}`;
    const client = new pg.Client({ connectionString: this.url('postgres') });
    await client.connect();
    await client.query(`create database ${name}`);
    await client.end();
    return this.url(name);
  }

  /** Ends it at once for all who are connected (a "fast" shutdown), and starts it again. */
  async restart(): Promise<void> {
    await this.#end();
    this.#server = this.#run();
    await this.#reached();
  }

  async stop(): Promise<void> {
    await this.#end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(): Promise<void> {
    const ended = this.#server.exitCode === null && once(this.#server, 'exit');
    this.#server.kill('SIGINT');
    await ended;
  }

  url(name: string): string {
    return `postgres://test@127.0.0.1:${this.port}/${name}`;
  }

  async #reached(): Promise<void> {
    for (let left = 100; ; left -= 1) {
      const client = new pg.Client({ connectionString: this.url('postgres') });
      // It may still be starting, and end what it has taken.
      client.on('error', () => {});
      try {
        await client.connect();
        return;
      } catch (error) {
        if (left === 0 || this.#server.exitCode !== null) throw error;
        // A real process: nothing tells when it is there.
        await new Promise((resolve) => setTimeout(resolve, 50));
      } finally {
        await client.end().catch(() => {});
      }
    }
  }
}

/** The first of these users that this machine has. */
export function ownerOf(...users: readonly string[]): { readonly uid: number; readonly gid: number } {
  for (const user of users) {
    const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, user], { encoding: 'utf8' }));
    if (uid?.status === 0 && gid?.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error(`expected one of the users ${users.join(', ')} on this machine`);
}
