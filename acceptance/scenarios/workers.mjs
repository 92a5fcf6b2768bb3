import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { bytesOf } from '@entrepot/fixtures/named-objects';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

const WORKERS = 2;
const FILES = 40;
const CLIENTS = 8;

/**
 * One server of several processes: it fetches once, shows the metrics of all, starts a process anew that was killed, and ends as
 * one.
 * @param {Tally} tally
 */
export async function workers(tally) {
  await withScratch('workers', async (folder) => {
    const origin = await new Origin(async (request, response) => {
      await delay(20);
      response.end(bytesOf(`${request.url}`, 20_000));
    }).start();
    const port = await freePort();
    const repositories = {
      files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
      hosted: { type: 'files', kind: 'hosted' },
    };
    const more = { server: { listen: `127.0.0.1:${port}`, workers: WORKERS } };
    const server = new EntrepotServer({ folder, port, repositories, more });
    try {
      if (!(await tally.check('workers: a server of two processes starts', () => server.start()))) return;
      await until(async () => (await childrenOf(server.pid)).length === WORKERS);
      await tally.check(
        `workers: ${FILES} files, each asked for by ${CLIENTS} clients at once, are fetched once`,
        async () => {
          for (let number = 0; number < FILES; number += 1) {
            const path = `/files/${number}`;
            const found = await Promise.all(Array.from({ length: CLIENTS }, () => get(server.url + path)));
            for (const { status, body } of found)
              assert.ok(status === 200 && body.equals(bytesOf(`/${number}`, 20_000)));
            assert.equal(origin.count(`GET /${number}`), 1, `${path} was fetched more than once`);
          }
          const { led = 0, followed = 0 } = await fetchesOf(server);
          note(`workers: ${led} fetches, ${followed} followed by the other process`);
          assert.ok(led >= FILES, 'the metrics of both processes were expected to be added up');
        },
      );
      await tally.check('workers: what one process stores is served by all of them', async () => {
        const body = bytesOf('stored', 1_000);
        assert.ok((await get(`${server.url}/hosted/a`, { method: 'PUT', body })).status < 300);
        await until(async () => {
          const found = await Promise.all(Array.from({ length: CLIENTS }, () => get(`${server.url}/hosted/a`)));
          return found.every(({ status, body: bytes }) => status === 200 && bytes.equals(body));
        });
      });
      await tally.check('workers: one that is killed is started anew, and the other one serves meanwhile', async () => {
        const [victim = 0, ...others] = await childrenOf(server.pid);
        process.kill(victim, 'SIGKILL');
        for (let number = 0; number < FILES; number += 1) {
          // A connection may have been given to the one that is gone.
          const found = await get(`${server.url}/files/${number}`).catch(() => get(`${server.url}/files/${number}`));
          assert.equal(found.status, 200);
        }
        await until(async () => {
          const now = await childrenOf(server.pid);
          return now.length === WORKERS && !now.includes(victim) && others.every((pid) => now.includes(pid));
        });
      });
      await tally.check('workers: all of them are killed at once, and are started anew', async () => {
        const victims = await childrenOf(server.pid);
        for (const pid of victims) process.kill(pid, 'SIGKILL');
        await until(async () => {
          const now = await childrenOf(server.pid);
          return now.length === WORKERS && !now.some((pid) => victims.includes(pid));
        });
        await until(async () => (await get(`${server.url}/files/0`).catch(() => undefined))?.status === 200);
      });
      await tally.check('workers: the server stops with 0, and with it all processes', async () => {
        const pids = await childrenOf(server.pid);
        await server.stop();
        for (const pid of pids) assert.ok(!isRunning(pid), `process ${pid} goes on`);
      });
      await tally.check('workers: one that starts yet stops, too', async () => {
        await server.start();
        const [victim = 0] = await childrenOf(server.pid);
        process.kill(victim, 'SIGKILL');
        await until(async () => (await childrenOf(server.pid)).some((pid) => pid !== victim && pid > 0));
        await until(async () => (await childrenOf(server.pid)).length === WORKERS);
        await server.stop();
      });
    } finally {
      await server.kill();
      await origin.stop();
    }
  });
}

/** @param {number} pid @returns {Promise<readonly number[]>} */
export async function childrenOf(pid) {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** @param {EntrepotServer} server @returns {Promise<Record<string, number>>} fetches of the cluster by the part of a process in them */
async function fetchesOf(server) {
  const text = (await get(`${server.url}/metrics`)).body.toString();
  const found = text.matchAll(/^entrepot_cluster_fetches_total\{role="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries(Array.from(found, ([, role, count]) => [role, Number(count)]));
}

/** @param {number} pid */
function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until `is` says so. @param {() => Promise<boolean>} is */
async function until(is) {
  for (let left = 600; !(await is()); left -= 1) {
    assert.ok(left > 0, 'it was expected within half a minute');
    await delay(50);
  }
}
