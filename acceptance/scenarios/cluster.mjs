import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { Agent, get as getHttp } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Origin } from '@entrepot/fixtures/origin';
import { bytesOf } from '@entrepot/fixtures/named-objects';
import { withScratch } from '@entrepot/fixtures/scratch';
import { Replicas } from '../servers/replicas.mjs';
import { note } from '../tally.mjs';
import { assertOneCopy, movingModules } from './consistency.mjs';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { EntrepotServer } from '../servers/entrepot.mjs' */
/** @import { Tally } from '../tally.mjs' */

const MIB = 1024 ** 2;
/** The pieces in which the origin sends a body, and the pause behind each of them; bytes and milliseconds. */
const PIECE = 128 * 1024;
const PAUSE = 20;
/** Pieces of the beginning of a body, and how much of it comes so: first bytes are measured before 100 bodies fill the machine. */
const TRICKLE = { piece: 4 * 1024, pause: 50, bytes: 80 * 1024 };
/** The path of a body of one trickle alone. */
const SMALL = '/files/small';
/** How long a server sleeps, in milliseconds. */
const SLEEP = 60_000;
/** The longest time until a survivor has further bytes of a body whose server was killed, in milliseconds. */
const TAKEOVER = 10_000;

/**
 * Three servers over PostgreSQL, S3 and Redis that fetch once: many clients on one cold artifact, and the server that fetches it is
 * killed at several moments.
 * @param {Tally} tally
 * @param {{ clients: number, size: number, kills: readonly number[], versions: number, firstByte: number, sleeps?: boolean }} options `size` in MiB, `kills` in
 * hundredths of the body, `versions` of Go modules, `firstByte` the longest median until a client has one, in milliseconds
 */
export async function cluster(tally, { clients, size, kills, versions, firstByte, sleeps = false }) {
  const lacking = await Replicas.lacking();
  if (lacking !== undefined) {
    note(`cluster: ${lacking} is not on this machine (node acceptance/install-tools.mjs): the scenario is left out`);
    return;
  }
  await withScratch('cluster', async (folder) => {
    const trickle = new TrickleOrigin(size * MIB);
    const origin = await new Origin((request, response) => trickle.answer(request, response)).start();
    const modules = await new Origin(movingModules).start();
    const replicas = new Replicas(folder);
    const { servers } = replicas;
    try {
      const isUp = await tally.check('cluster: three servers start over PostgreSQL, S3 and Redis', () =>
        replicas.start({
          files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
          go: { type: 'go', upstream: modules.url, sumdb: 'off' },
        }),
      );
      if (!isUp) return;
      /** @param {string} path @param {string} digest @returns the median until a first byte, by server, in milliseconds */
      const downloadByAll = async (path, digest) => {
        const found = await Promise.all(
          Array.from({ length: clients }, (_, index) => download(servers, index, path, digest)),
        );
        assert.equal(origin.count(`GET ${path.slice('/files'.length)}`), 1, 'one GET of the origin was expected');
        const times = servers.map((_, at) =>
          median(found.filter(({ server }) => server === at).map(({ first }) => first)),
        );
        const shown = times.map((time) => `${Math.round(time)} ms`).join(', ');
        note(`cluster: ${path}: first byte, median by server: ${shown}; ${await leaderOf(replicas)}`);
        return times;
      };
      // The first requests of a process run code that was never run before.
      await tally.check(`cluster: ${clients} clients on a small cold artifact, of servers that were just started`, () =>
        downloadByAll(SMALL, trickle.smallDigest),
      );
      await tally.check(`cluster: ${clients} clients on a cold artifact of ${size} MiB: one fetch`, async () => {
        trickle.begin();
        for (const time of await downloadByAll('/files/cold', trickle.digest))
          assert.ok(time <= firstByte, `a first byte after ${Math.round(time)} ms`);
      });
      for (const kill of kills) {
        await tally.check(`cluster: the server that fetches is killed at ${kill} %: everybody gets all`, async () => {
          const path = `/files/killed-${kill}`;
          const at = trickle.begin(kill);
          const coming = Promise.all(
            Array.from({ length: clients }, (_, index) => download(servers, index, path, trickle.digest)),
          );
          await at;
          const name = await leaderOf(replicas);
          const leader = /** @type {EntrepotServer} */ (servers[replicas.addresses.indexOf(name)]);
          const killed = performance.now();
          await leader.kill();
          const found = await coming;
          // Whatever is found wrong here is no fault of what comes next.
          await leader.start();
          const survivors = found.filter(({ attempts }) => attempts === 1);
          assert.ok(survivors.length > 0, 'clients of other servers were expected to go on');
          const gap = Math.max(...survivors.map(({ gap: longest }) => longest));
          const asked = origin.count(`GET ${path.slice('/files'.length)}`);
          note(
            `cluster: killed at ${kill} %: ${asked} fetches, ${survivors.length} of ${clients} clients never lost their connection, the longest pause ${Math.round(gap)} ms, all done ${Math.round(performance.now() - killed)} ms later`,
          );
          assert.ok(asked <= 2, `one further fetch at the most was expected, found ${asked} in all`);
          assert.ok(gap <= TAKEOVER, `a pause of ${Math.round(gap)} ms`);
        });
      }
      if (sleeps) {
        await tally.check(
          'cluster: the server that fetches sleeps for a minute and wakes: one copy, and everybody gets it',
          async () => {
            const path = '/files/slept';
            const at = trickle.begin(50);
            const coming = Promise.all(servers.map((_, index) => download(servers, index, path, trickle.digest)));
            await at;
            const leader = /** @type {EntrepotServer} */ (
              servers[replicas.addresses.indexOf(await leaderOf(replicas))]
            );
            process.kill(leader.pid, 'SIGSTOP');
            const waking = delay(SLEEP).then(() => process.kill(leader.pid, 'SIGCONT'));
            const awake = servers.filter((server) => server !== leader);
            await Promise.all(awake.map((_, index) => download(awake, index, path, trickle.digest)));
            await waking;
            await coming;
            const rows = await replicas.query("select digest from entries where key = 'slept'");
            assert.deepEqual(rows, [{ digest: `sha256:${trickle.digest}` }]);
            note(`cluster: ${origin.count('GET /slept')} fetches of what a sleeping server fetched`);
          },
        );
      }
      await tally.check(`cluster: ${versions} versions of a moving upstream have one copy on all servers`, () =>
        assertOneCopy(servers, versions),
      );
      for (const server of servers) await tally.check('cluster: a server stops with 0', () => server.stop());
    } finally {
      await replicas.kill();
      await origin.stop();
      await modules.stop();
    }
  });
}

/** Sends one body piece by piece, also a part of it. */
class TrickleOrigin {
  digest;
  smallDigest;
  #body;
  /** @type {{ at: number, reached: () => void } | undefined} */
  #mark;

  /** @param {number} size */
  constructor(size) {
    this.#body = bytesOf('trickle', size);
    this.digest = createHash('sha256').update(this.#body).digest('hex');
    this.smallDigest = createHash('sha256').update(this.#small).digest('hex');
  }

  get #small() {
    return this.#body.subarray(0, TRICKLE.bytes);
  }

  /** @param {number} [percent] @returns {Promise<void>} settled when so much of the next body was sent */
  begin(percent = 101) {
    return new Promise((resolve) => {
      this.#mark = { at: (this.#body.length * percent) / 100, reached: resolve };
    });
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async answer(request, response) {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const body = SMALL.endsWith(request.url ?? '') ? this.#small : this.#body;
    const { length } = body;
    const headers = { 'content-type': 'application/octet-stream', etag: '"trickle"', 'content-length': length - from };
    if (from === 0) response.writeHead(200, headers);
    else response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${length - 1}/${length}` });
    for (let at = from; at < length && !response.destroyed;) {
      const { piece, pause } = at < TRICKLE.bytes ? TRICKLE : { piece: PIECE, pause: PAUSE };
      response.write(body.subarray(at, at + piece));
      if (at >= (this.#mark?.at ?? Infinity)) this.#mark?.reached();
      await delay(pause);
      at += piece;
    }
    response.end();
  }
}

/** The address of the server that has the only live lease. @param {Replicas} replicas @returns {Promise<string>} */
async function leaderOf(replicas) {
  const [row] = await replicas.query('select address from flights order by until desc limit 1');
  return row?.address ?? '(released)';
}

/**
 * Downloads from one server, and from the next one where that breaks off: as a client behind a balancer does.
 * @param {readonly EntrepotServer[]} servers
 * @param {number} index of the client
 * @param {string} path
 * @param {string} digest
 */
async function download(servers, index, path, digest) {
  for (let attempts = 1; attempts <= 20; attempts += 1) {
    const server = (index + attempts - 1) % servers.length;
    const found = await attempt(`${/** @type {EntrepotServer} */ (servers[server]).url}${path}`).catch(() => undefined);
    if (found === undefined) {
      await delay(200);
      continue;
    }
    assert.equal(found.digest, digest, `${path}: other bytes`);
    return { ...found, attempts, server };
  }
  throw new Error(`${path}: no server gave it`);
}

/** @param {string} url @returns {Promise<{ digest: string, first: number, gap: number }>} */
function attempt(url) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const agent = new Agent();
    const sent = getHttp(url, { agent }, (response) => {
      const hash = createHash('sha256');
      let first = 0;
      let last = performance.now();
      let gap = 0;
      response.on('data', (bytes) => {
        const now = performance.now();
        if (first === 0) first = now - begun;
        else gap = Math.max(gap, now - last);
        last = now;
        hash.update(bytes);
      });
      response.on('error', reject);
      response.on('end', () => {
        agent.destroy();
        if (response.statusCode === 200 && response.complete) resolve({ digest: hash.digest('hex'), first, gap });
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    sent.on('error', reject);
  });
}

/** @param {readonly number[]} values */
function median(values) {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
