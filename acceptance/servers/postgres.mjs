import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, readdir } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { withScratch } from '@entrepot/fixtures/scratch';
import { freePort } from './entrepot.mjs';

/** @import { Socket } from 'node:net' */

const run = promisify(execFile);
const PLACES = '/usr/lib/postgresql';

/** The folder with the programs of PostgreSQL; `undefined` where there is none. */
export async function postgresPrograms() {
  if (!existsSync(PLACES)) return undefined;
  const versions = (await readdir(PLACES)).sort((one, other) => Number(other) - Number(one));
  return versions.map((version) => join(PLACES, version, 'bin')).find((folder) => existsSync(join(folder, 'initdb')));
}

/**
 * Starts a server of databases.
 * @param {string} programs
 * @param {string} folder of its own
 */
export async function startPostgres(programs, folder) {
  /** @type {{ uid?: number, gid?: number }} */
  const owner = {};
  if (process.getuid?.() === 0) {
    // It refuses to run as root.
    const [{ stdout: uid }, { stdout: gid }] = await Promise.all([
      run('id', ['-u', 'postgres']),
      run('id', ['-g', 'postgres']),
    ]);
    Object.assign(owner, { uid: Number(uid), gid: Number(gid) });
    await chown(folder, Number(uid), Number(gid));
  }
  const cluster = join(folder, 'cluster');
  const options = { ...owner, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' } };
  await run(join(programs, 'initdb'), ['-D', cluster, '-U', 'test', '-A', 'trust', '-E', 'UTF8', '--no-sync'], options);
  const port = await freePort();
  const settings = ['fsync=off', 'listen_addresses=127.0.0.1', `port=${port}`, `unix_socket_directories=${folder}`];
  const args = ['-D', cluster, ...settings.flatMap((setting) => ['-c', setting])];
  const server = spawn(join(programs, 'postgres'), args, { ...options, stdio: 'ignore' });
  const isUp = () =>
    run(join(programs, 'pg_isready'), ['-h', '127.0.0.1', '-p', `${port}`]).then(
      () => true,
      () => false,
    );
  while (!(await isUp())) {
    if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`);
    await delay(50);
  }
  return {
    port,
    /** Makes an empty database. @param {string} name */
    async create(name) {
      await run(join(programs, 'createdb'), ['-h', '127.0.0.1', '-p', `${port}`, '-U', 'test', name]);
    },
    async stop() {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
    },
  };
}

/**
 * Hands an empty database to `use`, on a server of its own.
 * @param {string} name of the database
 * @param {(url: string) => Promise<void>} use
 * @returns {Promise<boolean>} whether there is a PostgreSQL on this machine
 */
export async function withPostgres(name, use) {
  const programs = await postgresPrograms();
  if (programs === undefined) return false;
  await withScratch('postgres', async (folder) => {
    const postgres = await startPostgres(programs, folder);
    try {
      await postgres.create(name);
      await use(`postgres://test@127.0.0.1:${postgres.port}/${name}`);
    } finally {
      await postgres.stop();
    }
  });
  return true;
}

/** A relay in front of a port that can be let hang, or go down. */
export class Relay {
  #target;
  /** @type {Set<Socket>} */
  #sockets = new Set();
  /** @type {'open' | 'hangs' | 'down'} */
  #state = 'open';
  #server = createServer((socket) => this.#relay(socket));
  port = 0;

  /** @param {number} target */
  constructor(target) {
    this.#target = target;
  }

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP address was expected');
    this.port = address.port;
  }

  /** @param {'open' | 'hangs' | 'down'} state */
  be(state) {
    this.#state = state;
    for (const socket of this.#sockets) {
      if (state === 'hangs') socket.pause();
      else if (state === 'open') socket.resume();
      else socket.resetAndDestroy();
    }
  }

  stop() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  /** @param {Socket} client */
  #relay(client) {
    if (this.#state === 'down') return void client.resetAndDestroy();
    const server = connect(this.#target, '127.0.0.1');
    const ways = /** @type {const} */ ([
      [client, server],
      [server, client],
    ]);
    for (const [from, to] of ways) {
      this.#sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#state === 'hangs') from.pause();
    }
  }
}
