import { randomBytes } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { builtTool } from '@entrepot/fixtures/tools';
import pg from 'pg';
import { EntrepotServer, freePort } from './entrepot.mjs';
import { postgresPrograms, startPostgres } from './postgres.mjs';
import { RedisServer, redisProgram } from './redis.mjs';
import { S3Server } from './s3.mjs';

/** Servers of Entrepot over one PostgreSQL, one bucket and one Redis, as an operator with several replicas has them. */
export class Replicas {
  /** @type {EntrepotServer[]} */
  servers = [];
  /** The address at which each one is followed. @type {string[]} */
  addresses = [];
  #folder;
  #size;
  /** @type {Awaited<ReturnType<typeof startPostgres>> | undefined} */
  #postgres;
  /** @type {S3Server | undefined} */
  #bucket;
  /** @type {RedisServer | undefined} */
  #redis;
  #url = '';

  /** @param {string} folder of its own @param {number} size */
  constructor(folder, size = 3) {
    this.#folder = folder;
    this.#size = size;
  }

  /** Names the program that this machine lacks. @returns {Promise<string | undefined>} */
  static async lacking() {
    if ((await postgresPrograms()) === undefined) return 'PostgreSQL';
    if ((await redisProgram()) === undefined) return 'redis-server';
    return builtTool('versitygw') === undefined ? 'versitygw' : undefined;
  }

  /**
   * Starts the database, the store, and servers with these repositories.
   * @param {Record<string, unknown>} repositories
   * @param {Record<string, unknown>} [more] other keys of `server`
   */
  async start(repositories, more = {}) {
    const postgresFolder = join(this.#folder, 'postgres');
    await mkdir(postgresFolder, { recursive: true });
    // PostgreSQL has a user of its own.
    await chmod(this.#folder, 0o711);
    this.#postgres = await startPostgres(/** @type {string} */ (await postgresPrograms()), postgresFolder);
    await this.#postgres.create('entrepot');
    this.#url = `postgres://test@127.0.0.1:${this.#postgres.port}/entrepot`;
    const bucket = new S3Server(/** @type {string} */ (builtTool('versitygw')), join(this.#folder, 's3'));
    this.#bucket = bucket;
    await bucket.start();
    const redis = new RedisServer(/** @type {string} */ (await redisProgram()));
    this.#redis = redis;
    await redis.start();
    const secret = randomBytes(24).toString('hex');
    for (let index = 0; index < this.#size; index += 1) {
      const folder = join(this.#folder, `server-${index}`);
      await mkdir(folder);
      const [port, own] = [await freePort(), await freePort()];
      const advertise = `http://127.0.0.1:${own}`;
      this.addresses.push(advertise);
      const shared = {
        server: { listen: `127.0.0.1:${port}`, ...more },
        storage: { ...bucket.storage('blobs'), cache: { path: join(folder, 'cache'), maxBytes: '1GiB' } },
        metadata: { backend: 'postgres', url: this.#url },
        cache: { backend: 'redis', url: `redis://127.0.0.1:${redis.port}` },
        cluster: { secret: '${env:CLUSTER_SECRET}', listen: `127.0.0.1:${own}`, advertise },
        log: { access: false },
      };
      this.servers.push(
        new EntrepotServer({
          folder,
          port,
          repositories,
          env: { ...bucket.env, CLUSTER_SECRET: secret },
          more: shared,
        }),
      );
    }
    // One after the other: the first one makes the tables.
    for (const server of this.servers) await server.start();
  }

  /** Asks the database. @param {string} text @returns {Promise<any[]>} */
  async query(text) {
    const client = new pg.Client({ connectionString: this.#url });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Ends everything at once. */
  async kill() {
    await Promise.all(this.servers.map((server) => server.kill()));
    await this.#bucket?.kill();
    await this.#redis?.kill();
    await this.#postgres?.stop();
  }
}
