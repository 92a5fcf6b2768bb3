import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { chmod, mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { withScratch } from '@entrepot/fixtures/scratch';
import { builtTool } from '@entrepot/fixtures/tools';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { postgresPrograms, startPostgres } from '../servers/postgres.mjs';
import { RedisServer, redisProgram } from '../servers/redis.mjs';
import { S3Server } from '../servers/s3.mjs';
import { COLD_FILE, SET_UPS, ToxicOrigin } from '../servers/toxic-origin.mjs';
import { CONNECTION_FAULTS, Toxiproxy } from '../servers/toxiproxy.mjs';
import { note } from '../tally.mjs';

/** @import { SetUpName } from '../servers/toxic-origin.mjs' */
/** @import { ConnectionFault } from '../servers/toxiproxy.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** @type {readonly SetUpName[]} */
const FORMATS = ['npm', 'pypi', 'go', 'oci', 'helm', 'files'];
const TARGETS = /** @type {const} */ (['upstream', 's3', 'postgres', 'redis']);
/** @type {readonly ConnectionFault[]} */
const SHORT = ['reset', 'black hole'];
/** No answer takes longer than this, whatever is wrong: the sum of the timeouts on its way. Milliseconds. */
const DEADLINE = 25_000;
const TRANSPORT = { connectTimeout: '1s', headersTimeout: '2s', idleTimeout: '2s', totalTimeout: '10s' };

/**
 * Every fault of a connection to everything that a server depends on: what is kept is served, nothing is cut short unnoticed,
 * nothing hangs.
 * @param {Tally} tally
 * @param {{ full: boolean }} options
 */
export async function faultMatrix(tally, { full }) {
  const tools = { toxiproxy: builtTool('toxiproxy'), versitygw: builtTool('versitygw'), redis: await redisProgram() };
  const programs = await postgresPrograms();
  const missing = Object.entries({ ...tools, postgres: programs }).filter(([, found]) => found === undefined);
  if (missing.length > 0) {
    note(`faults of connections: ${missing.map(([name]) => name).join(', ')} not on this machine: left out`);
    return;
  }
  const faults = full ? /** @type {ConnectionFault[]} */ (Object.keys(CONNECTION_FAULTS)) : SHORT;
  await withScratch('matrix', async (folder) => {
    await chmod(folder, 0o711);
    await mkdir(join(folder, 'postgres'));
    const proxy = new Toxiproxy(/** @type {string} */ (tools.toxiproxy));
    const bucket = new S3Server(/** @type {string} */ (tools.versitygw), join(folder, 's3'));
    const redis = new RedisServer(/** @type {string} */ (tools.redis));
    const origin = new ToxicOrigin('refuse');
    /** @type {Awaited<ReturnType<typeof startPostgres>> | undefined} */
    let postgres;
    /** @type {EntrepotServer | undefined} */
    let server;
    try {
      const isUp = await tally.check('faults of connections: a server starts behind them', async () => {
        await Promise.all([proxy.start(), bucket.start(), redis.start(), origin.start()]);
        postgres = await startPostgres(/** @type {string} */ (programs), join(folder, 'postgres'));
        await postgres.create('matrix');
        const upstream = `http://127.0.0.1:${await proxy.before('upstream', Number(new URL(origin.url).port))}`;
        origin.publicUrl = upstream;
        const database = await proxy.before('postgres', postgres.port);
        const cache = await proxy.before('redis', redis.port);
        const s3 = await proxy.before('s3', bucket.port);
        await mkdir(join(folder, 'server'));
        const repositories = Object.fromEntries(
          FORMATS.map((name) => [name, { ...SET_UPS[name].repository(upstream), transport: TRANSPORT }]),
        );
        const more = {
          storage: {
            ...bucket.storage('blobs'),
            endpoint: `http://127.0.0.1:${s3}`,
            cache: { path: join(folder, 'server', 'cache'), maxBytes: '100MiB' },
          },
          metadata: { backend: 'postgres', url: `postgres://test@127.0.0.1:${database}/matrix` },
          cache: { backend: 'redis', url: `redis://127.0.0.1:${cache}` },
          log: { access: false },
        };
        server = new EntrepotServer({
          folder: join(folder, 'server'),
          port: await freePort(),
          repositories,
          env: bucket.env,
          more,
        });
        await server.start();
      });
      if (!isUp || server === undefined) return;
      const { url } = server;
      const kept = new Map();
      for (const name of FORMATS) kept.set(name, await warm(url, name));
      /** @type {string[][]} */
      const table = [['fault', ...FORMATS, 'not kept']];
      for (const target of TARGETS) {
        for (const fault of faults) {
          await tally.check(
            `${target}, ${fault}: what is kept is served, and nothing is cut short or hangs`,
            async () => {
              await proxy.ail(target, fault);
              const cold = askCold(url, `${target}-${fault}`.replaceAll(' ', '-'));
              const cells = await Promise.all(FORMATS.map((name) => askKept(kept.get(name))));
              table.push([`${target}, ${fault}`, ...cells.map(({ text }) => text), (await cold).text]);
              await proxy.heal(target);
              await isWell(url);
              assert.deepEqual(
                [...cells, await cold].flatMap(({ faults: found }) => found),
                [],
              );
            },
          );
        }
      }
      for (const row of table) note(row.map((cell, at) => cell.padEnd(at === 0 ? 22 : 10)).join(' '));
      await tally.check('faults of connections: the server stops with 0', () =>
        /** @type {EntrepotServer} */ (server).stop(),
      );
    } finally {
      await server?.kill();
      proxy.stop();
      await redis.kill();
      await bucket.kill();
      await postgres?.stop();
      await origin.stop();
    }
  });
}

/** @typedef {{ url: string, headers: Record<string, string>, body: Buffer }} Kept */

/** @param {string} server @param {SetUpName} name @returns {Promise<Kept[]>} */
async function warm(server, name) {
  const { document, artifact, headers = {} } = SET_UPS[name];
  const fetched = async (/** @type {string} */ path) => {
    const { status, complete, body } = await get(server + path, { headers });
    assert.deepEqual([status, complete], [200, true], `${path}: ${body.toString('utf8', 0, 300)}`);
    return { url: server + path, headers, body };
  };
  const page = await fetched(document(name));
  return [page, await fetched(artifact(name, page.body))];
}

/** @param {readonly Kept[]} kept */
async function askKept(kept) {
  /** @type {string[]} */
  const faults = [];
  let slowest = 0;
  await Promise.all(
    kept.map(async ({ url, headers, body }) => {
      const started = performance.now();
      const found = await get(url, { headers, timeout: DEADLINE }).catch((error) => /** @type {Error} */ (error));
      slowest = Math.max(slowest, performance.now() - started);
      if (found instanceof Error) faults.push(`${url}: ${found.message}`);
      else if (found.status !== 200 || !found.complete || !found.body.equals(body))
        faults.push(`${url}: ${found.status}, ${found.body.length} bytes ${found.body.toString('utf8', 0, 200)}`);
    }),
  );
  return { faults, text: faults.length > 0 ? 'FAILED' : `${Math.round(slowest)} ms` };
}

/** Something that is not kept: all of it comes, or a client is told. @param {string} server @param {string} name */
async function askCold(server, name) {
  const url = `${server}/files/cold/${name}.bin`;
  const started = performance.now();
  const found = await get(url, { timeout: DEADLINE }).catch((error) => /** @type {Error} */ (error));
  const took = `${Math.round(performance.now() - started)} ms`;
  if (found instanceof Error) {
    const isLate = found.name === 'TimeoutError';
    return { faults: isLate ? [`${url}: no answer within ${DEADLINE} ms`] : [], text: isLate ? 'LATE' : 'broken' };
  }
  const isWrong = found.status === 200 && found.complete && !found.body.equals(COLD_FILE);
  const what = !found.complete ? 'broken' : found.status === 200 ? '' : `${found.status} `;
  return { faults: isWrong ? [`${url}: 200 with other bytes`] : [], text: isWrong ? 'WRONG' : `${what}${took}` };
}

/** Waits until everything works again. @param {string} server */
async function isWell(server) {
  for (let left = 600; ; left -= 1) {
    const found = await get(`${server}/-/readyz`).catch(() => undefined);
    if (found?.status === 200) return;
    assert.ok(left > 0, 'the server was expected to be ready again within a minute');
    await delay(100);
  }
}
