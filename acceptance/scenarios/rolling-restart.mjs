import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { Agent, request as requestHttp } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { Balancer } from '../servers/balancer.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/** Requests a second. */
export const RATE = 300;
/** The time between two groups of them, in milliseconds. */
const STEP = 10;
const SMALL = Buffer.alloc(2_000, 'a');
const LARGE = Buffer.alloc(1_000_000, 'b');

/**
 * Two servers behind a balancer that polls readiness are restarted in turn, again and again, while requests come: none fails.
 * @param {Tally} tally
 * @param {{ rounds: number }} options each restarts both servers
 */
export async function rollingRestart(tally, { rounds }) {
  await withScratch('rolling', async (folder) => {
    const origin = new Origin((request, response) => {
      response.setHeader('content-type', 'application/octet-stream');
      response.end(request.url?.endsWith('large') ? LARGE : SMALL);
    });
    await origin.start();
    const servers = await Promise.all(['one', 'two'].map((name) => serverIn(join(folder, name), origin.url)));
    const balancer = new Balancer(servers.map(({ url }) => url));
    const load = new Load();
    try {
      const isUp = await tally.check('rolling restart: two servers start', async () => {
        for (const server of servers) await server.start();
        await balancer.start();
        while (balancer.ready < servers.length) await delay(STEP);
      });
      if (!isUp) return;
      await tally.check(`rolling restart: ${rounds} rounds at ${RATE} requests a second, none fails`, async () => {
        const running = load.run(balancer.url);
        for (let round = 0; round < rounds; round += 1) {
          for (const server of servers) {
            await server.stop();
            await server.start();
            while (balancer.ready < servers.length) await delay(STEP);
            await delay(500);
          }
        }
        load.stop();
        await running;
        note(`rolling restart: ${load.sent} requests, ${load.failures.length} failed`);
        assert.deepEqual(load.failures.slice(0, 10), []);
        assert.ok(load.sent > rounds * RATE, `expected more than ${rounds * RATE} requests, found ${load.sent}`);
      });
      await tally.check('rolling restart: the servers stop with 0', async () => {
        for (const server of servers) await server.stop();
      });
    } finally {
      load.stop();
      await balancer.stop();
      for (const server of servers) await server.kill();
      await origin.stop();
    }
  });
}

/** @param {string} folder @param {string} upstream */
async function serverIn(folder, upstream) {
  await mkdir(folder);
  const port = await freePort();
  const files = { type: 'files', upstream, rules: [{ match: '**', policy: 'immutable' }] };
  const more = { server: { listen: `127.0.0.1:${port}`, drainDelay: '2s' }, log: { access: false } };
  return new EntrepotServer({ folder, port, repositories: { files }, more });
}

/** Requests at a steady rate, whatever becomes of them. */
export class Load {
  sent = 0;
  /** @type {string[]} */
  failures = [];
  #isRunning = true;
  #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  stop() {
    this.#isRunning = false;
  }

  /** @param {string} url */
  async run(url) {
    const started = performance.now();
    /** @type {Promise<void>[]} */
    const open = [];
    while (this.#isRunning) {
      const due = Math.min(((performance.now() - started) * RATE) / 1_000, this.sent + RATE);
      while (this.sent < due)
        open.push(this.#ask(`${url}/files/${this.sent % 50}/${this.sent % 60 === 0 ? 'large' : 'small'}`));
      await delay(STEP);
    }
    await Promise.all(open);
    this.#agent.destroy();
  }

  /** @param {string} url @returns {Promise<void>} */
  #ask(url) {
    this.sent += 1;
    const expected = url.endsWith('large') ? LARGE.length : SMALL.length;
    return new Promise((resolve) => {
      const fail = (/** @type {string} */ reason) => {
        this.failures.push(`${url}: ${reason}`);
        resolve();
      };
      const sent = requestHttp(url, { agent: this.#agent }, (response) => {
        let size = 0;
        let text = '';
        response.on('data', (/** @type {Buffer} */ chunk) => {
          size += chunk.length;
          if (response.statusCode !== 200) text += chunk.toString();
        });
        response.on('error', (error) => fail(error.message));
        response.on('end', () => {
          if (response.statusCode === 200 && size === expected) resolve();
          else fail(`status ${response.statusCode}, ${size} bytes ${text}`);
        });
      });
      sent.on('error', (error) => fail(error.message));
      sent.end();
    });
  }
}
