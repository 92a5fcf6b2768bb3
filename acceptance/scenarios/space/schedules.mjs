import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pseudoRandom } from '@entrepot/core/testing';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { StoreView } from '../../servers/store-view.mjs';
import { note } from '../../tally.mjs';
import { BODIES, bodyAt, HostedWorker, ProxyWorker } from './schedule-workers.mjs';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Tally } from '../../tally.mjs' */

const LANES = 2;
const WORKERS = 3;
/** Less than all bodies take together. Bytes. */
const MAX_BYTES = 6 * 1024 ** 2;
/** The chances that a schedule kills the server, each collector, or stops the server as an operator does. */
const CHANCES = { server: 0.6, collector: 0.5, stop: 0.1 };
/** Collectors that run beside the workers. One more runs after them. */
const MOST_COLLECTORS = 2;
/** Rounds of the collector after which nothing may be left. */
const ROUNDS = 2;
/** The longest wait for a server, in milliseconds: a machine may be busy with other things. */
const PATIENCE = 120_000;

/**
 * A store of blobs that is no folder.
 * @typedef {object} OtherStore
 * @property {string} name
 * @property {(prefix: string) => Record<string, unknown>} storage the section of a configuration
 * @property {Record<string, string>} env
 * @property {(prefix: string) => Promise<Map<string, number>>} files lists the blobs with their sizes
 */

/**
 * Random schedules of uploads, fetches, deletions, evictions, collectors and kills. After each one everything that was confirmed is
 * there, every answer is right, and what nobody needs is gone after the collector has run.
 * @param {Tally} tally
 * @param {{ schedules: number, seed: number, store?: OtherStore | undefined }} options `store`: not a folder of each lane
 */
export async function randomSchedules(tally, { schedules, seed, store }) {
  await withScratch('space-schedules', async (folder) => {
    const origin = await new Origin(answer).start();
    try {
      const over = store === undefined ? '' : ` over ${store.name}`;
      const name = `${schedules} random schedules${over} of put, delete, evict, gc and kill: nothing is lost, nothing is left over`;
      await tally.check(name, async () => {
        let next = 0;
        const lanes = Array.from(
          { length: LANES },
          (_, at) => new Lane(join(folder, `${at}`), origin.url, seed + at, store),
        );
        const run = async (/** @type {Lane} */ lane) => {
          await lane.start();
          try {
            while (next < schedules) {
              next += 1;
              await lane.schedule();
              if (next % 50 === 0) note(`${next} schedules`);
            }
            await lane.server.stop();
          } catch (error) {
            // The other one has nothing to find any more.
            next = schedules;
            throw error;
          } finally {
            await lane.server.kill();
          }
        };
        const results = await Promise.allSettled(lanes.map(run));
        for (const result of results) if (result.status === 'rejected') throw result.reason;
        const sum = (/** @type {keyof Lane['counts']} */ what) =>
          lanes.reduce((total, { counts }) => total + counts[what], 0);
        note(
          `${sum('answers')} answers, ${sum('refused')} of uploads that were refused, ${sum('kills')} kills of servers, ` +
            `${sum('collectorKills')} of ${sum('collectors')} collectors, ${sum('rounds')} rounds of gc afterwards`,
        );
        assert.ok(sum('kills') + sum('collectorKills') > 0, 'kills were expected');
      });
    } finally {
      await origin.stop();
    }
  });
}

/** The upstream: `/kept/<body>/…` is always that body, `/moving/…` another one at each request. @param {IncomingMessage} request @param {ServerResponse} response */
function answer(request, response) {
  const [, kind, at] = (request.url ?? '').split('/');
  const body = bodyAt(kind === 'kept' ? Number(at) : Math.floor(Math.random() * BODIES));
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length }).end(body);
}

/** Schedules one after the other, on stores of their own. */
class Lane {
  counts = { answers: 0, refused: 0, kills: 0, collectors: 0, collectorKills: 0, rounds: 0 };
  #folder;
  #upstream;
  #seed;
  #number = 0;
  /** How long a collector takes, in milliseconds. */
  #collecting = 500;
  /** @type {EntrepotServer | undefined} */
  #server;
  #view;
  /** @type {readonly HostedWorker[]} */
  #hosted = [];
  /** @type {readonly ProxyWorker[]} */
  #proxied = [];

  #store;

  /** @param {string} folder @param {string} upstream @param {number} seed @param {OtherStore} [store] */
  constructor(folder, upstream, seed, store) {
    this.#store = store;
    this.#folder = folder;
    this.#upstream = upstream;
    this.#seed = seed;
    const files = store && (() => store.files(this.#prefix));
    this.#view = StoreView.ofFile(join(folder, 'blobs'), join(folder, 'data', 'entrepot.db'), files);
  }

  get #prefix() {
    return `lane-${this.#seed}`;
  }

  get server() {
    if (this.#server === undefined) throw new Error('a server that was started was expected');
    return this.#server;
  }

  async start() {
    await mkdir(this.#folder);
    const upstream = this.#upstream;
    const gc = { interval: '0s', grace: '0s', batchSize: 10 };
    this.#server = new EntrepotServer({
      folder: this.#folder,
      port: await freePort(),
      repositories: {
        files: {
          type: 'files',
          upstream,
          rules: [
            { match: 'kept/**', policy: 'immutable' },
            { match: '**', policy: 'revalidate', freshFor: '1ms' },
          ],
        },
        own: { type: 'files', kind: 'hosted', overwrite: true },
      },
      more: {
        storage: {
          ...(this.#store?.storage(this.#prefix) ?? { path: join(this.#folder, 'blobs') }),
          maxBytes: MAX_BYTES,
          gc,
        },
        metadata: { path: join(this.#folder, 'data', 'entrepot.db') },
        log: { access: false },
      },
      env: this.#store?.env ?? {},
    });
    await this.#server.start({ timeout: PATIENCE });
    const { url } = this.#server;
    this.#hosted = Array.from({ length: WORKERS }, (_, at) => new HostedWorker(url, `worker-${at}`));
    this.#proxied = Array.from({ length: WORKERS }, () => new ProxyWorker(url));
  }

  async schedule() {
    const number = this.#number;
    this.#number += 1;
    const seed = this.#seed * 1_000_003 + number;
    try {
      await this.#act(seed);
      await this.#verify();
    } catch (error) {
      if (error instanceof Error)
        error.message = `seed ${this.#seed}, schedule ${number}: ${error.message}\n${this.server.log.slice(-3000)}`;
      throw error;
    }
  }

  /** All at once: workers, collectors, and whoever kills them. @param {number} seed */
  async #act(seed) {
    const random = pseudoRandom(seed);
    const over = new AbortController();
    const workers = [...this.#hosted, ...this.#proxied];
    for (const worker of workers) worker.counts = { answers: 0, refused: 0 };
    const working = workers.map((worker, at) => worker.run(pseudoRandom(seed + 7919 * (at + 1)), over.signal));
    const collectors = Math.floor(random() * (MOST_COLLECTORS + 1));
    const collecting = Array.from({ length: collectors }, () =>
      this.#collect(random(), random() < CHANCES.collector ? random() : undefined),
    );
    const end = random();
    const when = delay(random() * 1.2 * this.#collecting);
    if (end < CHANCES.server) {
      await when;
      await this.server.kill();
      this.counts.kills += 1;
      over.abort();
    }
    await Promise.all(collecting);
    over.abort();
    await Promise.all(working);
    for (const { counts } of workers) {
      this.counts.answers += counts.answers;
      this.counts.refused += counts.refused;
    }
    if (this.server.isRunning && end > 1 - CHANCES.stop) await this.server.stop();
  }

  /**
   * Runs a collector.
   * @param {number} start the part of its usual time after which it begins
   * @param {number} [kill] the part of its usual time after which it is killed
   */
  async #collect(start, kill) {
    await delay(start * 0.3 * this.#collecting);
    this.counts.collectors += 1;
    const since = performance.now();
    const collector = this.server.command(['gc']);
    if (kill !== undefined) {
      // The first half of its time it only starts.
      await delay((0.4 + 0.7 * kill) * this.#collecting);
      collector.kill();
    }
    if (await collector.end()) this.#collecting = 0.8 * this.#collecting + 0.2 * (performance.now() - since);
    else this.counts.collectorKills += 1;
  }

  async #verify() {
    if (!this.server.isRunning) {
      // Holds of the dead end by themselves, only later.
      await this.#view.forgetTheDead();
      await this.server.start({ timeout: PATIENCE });
    }
    for (const worker of [...this.#hosted, ...this.#proxied]) await worker.verify();
    await this.#released();
    for (let round = 1; ; round += 1) {
      await this.server.command(['gc']).end();
      this.counts.rounds += 1;
      const differences = await this.#view.differences();
      if (differences.length === 0) return;
      if (round === ROUNDS) assert.deepEqual(differences, [], `after ${ROUNDS} rounds of gc`);
    }
  }

  /** A server at rest holds nothing. */
  async #released() {
    const deadline = performance.now() + PATIENCE;
    for (;;) {
      const holds = await this.#view.holds();
      if (holds === 0) return;
      assert.ok(performance.now() < deadline, `no holds were expected of a server at rest, found ${holds}`);
      await delay(50);
    }
  }
}
