import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { bytesOf } from '@entrepot/fixtures/named-objects';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { Balancer } from '../servers/balancer.mjs';
import { Replicas } from '../servers/replicas.mjs';
import { note } from '../tally.mjs';
import { Load, RATE } from './rolling-restart.mjs';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { EntrepotServer } from '../servers/entrepot.mjs' */
/** @import { Tally } from '../tally.mjs' */

const MIB = 1024 ** 2;
/** The size of a long download, and how it comes: pieces, and the pause behind each of them. */
const LONG = { size: 8 * MIB, piece: 64 * 1024, pause: 40 };
/** The longest time until all servers show what one of them has stored; milliseconds. */
const VISIBLE = 1_000;
/** Clients that upload at the same time. */
const UPLOADERS = 6;

/**
 * Three servers over PostgreSQL and S3: restarts behind a balancer while requests and long downloads go on, and kills while clients
 * upload.
 * @param {Tally} tally
 * @param {{ rounds: number, downloads: number, kills: number }} options
 */
export async function replicas(tally, { rounds, downloads, kills }) {
  const lacking = await Replicas.lacking();
  if (lacking !== undefined) {
    note(`replicas: ${lacking} is not on this machine (node acceptance/install-tools.mjs): the scenario is left out`);
    return;
  }
  await withScratch('replicas', async (folder) => {
    const origin = await new Origin(answer).start();
    const stores = new Replicas(folder);
    const { servers } = stores;
    const rules = [{ match: '**', policy: 'immutable' }];
    try {
      const isUp = await tally.check('replicas: three servers start', () =>
        stores.start(
          {
            files: { type: 'files', upstream: origin.url, rules },
            hosted: { type: 'files', kind: 'hosted', overwrite: true },
          },
          { drainDelay: '2s' },
        ),
      );
      if (!isUp) return;
      await tally.check(
        `replicas: ${rounds} rolling restarts at ${RATE} requests a second and ${downloads} long downloads, none fails`,
        () => restartInTurn(servers, origin, { rounds, downloads }),
      );
      await tally.check(`replicas: ${kills} kills while clients upload: what was confirmed is on all servers`, () =>
        killUploads(servers, kills),
      );
      for (const server of servers) await tally.check('replicas: a server stops with 0', () => server.stop());
    } finally {
      await stores.kill();
      await origin.stop();
    }
  });
}

/** @param {IncomingMessage} request @param {ServerResponse} response */
async function answer(request, response) {
  const { url = '' } = request;
  response.setHeader('content-type', 'application/octet-stream');
  if (!url.includes('long')) return void response.end(Buffer.alloc(url.endsWith('large') ? 1_000_000 : 2_000, 'a'));
  const body = bytesOf(url, LONG.size);
  response.setHeader('content-length', body.length);
  for (let at = 0; at < body.length && !response.destroyed; at += LONG.piece) {
    response.write(body.subarray(at, at + LONG.piece));
    await delay(LONG.pause);
  }
  response.end();
}

/**
 * @param {readonly EntrepotServer[]} servers
 * @param {Origin} origin
 * @param {{ rounds: number, downloads: number }} options
 */
async function restartInTurn(servers, origin, { rounds, downloads }) {
  const balancer = new Balancer(servers.map(({ url }) => url));
  const load = new Load();
  const over = new AbortController();
  await balancer.start();
  try {
    while (balancer.ready < servers.length) await delay(20);
    let whole = 0;
    const long = Array.from({ length: downloads }, async (_, client) => {
      for (let turn = 0; !over.signal.aborted; turn += 1) {
        // Two clients each want the same one, and mostly of different servers.
        const path = `/long-${Math.floor(client / 2)}-${turn}`;
        const found = await get(`${balancer.url}/files${path}`, { timeout: 120_000 });
        assert.ok(found.status === 200 && found.complete, `${path}: ${found.status} ${found.body.length} bytes`);
        const digest = (/** @type {Buffer} */ bytes) => createHash('sha256').update(bytes).digest('hex');
        assert.equal(digest(found.body), digest(bytesOf(path, LONG.size)), `${path}: other bytes`);
        whole += 1;
      }
    });
    const running = Promise.all([load.run(balancer.url), ...long]);
    // Whatever fails ends it.
    const failed = running.then(() => {});
    const restarting = (async () => {
      for (let round = 0; round < rounds; round += 1) {
        for (const server of servers) {
          await server.stop();
          await server.start();
          while (balancer.ready < servers.length) await delay(20);
          await delay(500);
        }
      }
    })();
    await Promise.race([restarting, failed]);
    await restarting;
    load.stop();
    over.abort();
    await running;
    const asked = [...origin.requests.entries()].filter(([name]) => name.includes('long'));
    const twice = asked.filter(([, count]) => count > 1).length;
    note(
      `replicas: ${load.sent} requests, ${load.failures.length} failed; ${whole} long downloads of ${asked.length} files, ${twice} of them fetched more than once`,
    );
    assert.deepEqual(load.failures.slice(0, 10), []);
  } finally {
    load.stop();
    over.abort();
    await balancer.stop();
  }
}

/** @param {readonly EntrepotServer[]} servers @param {number} kills */
async function killUploads(servers, kills) {
  /** The content of each file, as it was confirmed. @type {Map<string, Buffer>} */
  const confirmed = new Map();
  const over = new AbortController();
  let latest = 0;
  const uploads = Array.from({ length: UPLOADERS }, async (_, client) => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const path = `/hosted/${client}/${turn % 50}`;
      const body = bytesOf(`${path} ${turn}`, 3_000 + turn);
      confirmed.delete(path);
      const server = /** @type {EntrepotServer} */ (servers[(client + turn) % servers.length]);
      const answered = await get(server.url + path, { method: 'PUT', body }).catch(() => undefined);
      if (answered === undefined || answered.status >= 300) {
        await delay(50);
        continue;
      }
      const since = performance.now();
      confirmed.set(path, body);
      for (const other of servers) {
        for (;;) {
          const found = await get(other.url + path).catch(() => undefined);
          // One that was killed shows it when it is back.
          if (found === undefined || !other.isRunning) break;
          if (found.status === 200 && found.body.equals(body)) break;
          const waited = performance.now() - since;
          assert.ok(waited < VISIBLE + 4_000, `${path}: not on ${other.url} after ${Math.round(waited)} ms`);
          await delay(20);
        }
      }
      latest = Math.max(latest, performance.now() - since);
    }
  });
  const running = Promise.all(uploads);
  const killing = (async () => {
    for (let kill = 0; kill < kills; kill += 1) {
      await delay(200 + Math.random() * 400);
      const victim = /** @type {EntrepotServer} */ (servers[kill % servers.length]);
      await victim.kill();
      await victim.start();
    }
  })();
  await Promise.race([killing, running]);
  await killing;
  over.abort();
  await running;
  for (const [path, body] of confirmed) {
    for (const server of servers) {
      const found = await get(server.url + path);
      assert.ok(found.status === 200 && found.body.equals(body), `${path} is lost on ${server.url}: ${found.status}`);
    }
  }
  note(`replicas: ${confirmed.size} files confirmed and on all servers, the latest after ${Math.round(latest)} ms`);
}
