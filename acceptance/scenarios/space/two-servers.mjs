import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { bytesOf } from '@entrepot/fixtures/named-objects';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { withPostgres } from '../../servers/postgres.mjs';
import { StoreView } from '../../servers/store-view.mjs';
import { note } from '../../tally.mjs';

/** @import { Tally } from '../../tally.mjs' */

/** Rounds that run at the same time. */
const WIDTH = 4;
const SIZES = [100, 5_000, 80_000, 400_000];
/** The longest wait for a collector to come by, in milliseconds. */
const PATIENCE = 120_000;

/**
 * Two servers on one PostgreSQL and one folder: one collects in a loop, and so does a process beside it, while the other one takes
 * the very bytes that are just being deleted. Nothing is lost.
 * @param {Tally} tally
 * @param {{ rounds: number }} options
 */
export async function twoServers(tally, { rounds }) {
  const isThere = await withPostgres('space', (url) =>
    withScratch('space-two', async (folder) => {
      // The bytes of a file follow from the first part of its path: files of different names share them.
      const origin = await new Origin((request, response) => {
        const [, round = ''] = (request.url ?? '').split('/');
        response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(bodyOf(Number(round)));
      }).start();
      const view = StoreView.ofPostgres(join(folder, 'blobs'), url);
      const collecting = await serverIn(folder, 'collecting', url, origin.url, '100ms');
      const working = await serverIn(folder, 'working', url, origin.url, '0s');
      try {
        await collecting.start({ timeout: PATIENCE });
        await working.start({ timeout: PATIENCE });
        await tally.check(`${rounds} rounds beside a collector on one database and one folder: nothing is lost`, () =>
          run({ collecting, working, view, rounds }),
        );
        for (const server of [collecting, working])
          await tally.check('space: one of two servers stops with 0', () => server.stop());
      } finally {
        await collecting.kill();
        await working.kill();
        await origin.stop();
      }
    }),
  );
  if (!isThere) note('PostgreSQL was expected on this machine: two servers on one database are left out');
}

/** @param {string} folder @param {string} name @param {string} url @param {string} upstream @param {string} interval */
async function serverIn(folder, name, url, upstream, interval) {
  const own = join(folder, name);
  await mkdir(own);
  return new EntrepotServer({
    folder: own,
    port: await freePort(),
    repositories: {
      files: { type: 'files', upstream, rules: [{ match: '**', policy: 'immutable' }] },
      own: { type: 'files', kind: 'hosted' },
    },
    more: {
      storage: { path: join(folder, 'blobs'), spool: { path: join(own, 'spool') }, gc: { interval, grace: '0s' } },
      metadata: { backend: 'postgres', url },
      log: { access: false },
    },
  });
}

/** @param {{ collecting: EntrepotServer, working: EntrepotServer, view: StoreView, rounds: number }} rig */
async function run({ collecting, working, view, rounds }) {
  const over = new AbortController();
  const collectors = collectUntil(over.signal, collecting);
  let next = 0;
  const rest = async () => {
    while (next < rounds) {
      next += 1;
      await round(next, working, collecting, view);
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, rest)).finally(() => over.abort());
  note(`${rounds} rounds beside ${await collectors} runs of gc, and those of the server`);
  // Long after: nothing of it may have gone since.
  for (let number = 1; number <= rounds; number += 1) {
    for (const server of [working, collecting])
      for (const path of pathsOf(number)) await assertThere(server, path, number);
  }
  for (const server of [collecting, working])
    assert.deepEqual(server.errors.slice(0, 10), [], 'no errors were expected in the log');
  let differences = await view.differences();
  const deadline = performance.now() + PATIENCE;
  while (differences.length > 0 && performance.now() < deadline) {
    await delay(50);
    differences = await view.differences();
  }
  assert.deepEqual(differences, [], 'exactly what entries point at was expected on the disk');
}

/** @param {AbortSignal} signal @param {EntrepotServer} server @returns {Promise<number>} how often */
async function collectUntil(signal, server) {
  let runs = 0;
  while (!signal.aborted) {
    await server.command(['gc']).end();
    runs += 1;
  }
  return runs;
}

/**
 * Puts bytes, deletes them, and puts them again when they are on their way out: the round's number says how far.
 * @param {number} number
 * @param {EntrepotServer} working
 * @param {EntrepotServer} collecting
 * @param {StoreView} view
 */
async function round(number, working, collecting, view) {
  const body = bodyOf(number);
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const [first, second, fetched] = /** @type {[string, string, string]} */ ([
    `/own/first/${number}`,
    ...pathsOf(number),
  ]);
  await put(working, first, body);
  await assertThere(collecting, first, number);
  const deleted = await get(working.url + first, { method: 'DELETE' });
  assert.ok(deleted.status < 300, `DELETE ${first}: ${deleted.status} ${deleted.body}`);
  await until(number % 4, () => view.stateOf(digest));
  // Together: an upload and a fetch of the same bytes.
  await Promise.all([put(working, second, body), assertThere(working, fetched, number)]);
  for (const server of [working, collecting])
    for (const path of [second, fetched]) await assertThere(server, path, number);
}

/**
 * Waits until the deletion of a blob has come so far.
 * @param {number} phase 0: not at all; 1, 2: it is no longer live; 3: its row is gone
 * @param {() => Promise<string | undefined>} stateNow
 */
async function until(phase, stateNow) {
  if (phase === 0) return;
  const deadline = performance.now() + PATIENCE;
  for (let state = await stateNow(); state !== undefined; state = await stateNow()) {
    if ((phase < 3 && state !== 'live') || performance.now() > deadline) return;
  }
}

/** @param {EntrepotServer} server @param {string} path @param {Buffer} body */
async function put(server, path, body) {
  const found = await get(server.url + path, { method: 'PUT', body });
  assert.equal(found.status, 201, `PUT ${path}: ${found.body}`);
}

/** @param {EntrepotServer} server @param {string} path @param {number} number */
async function assertThere(server, path, number) {
  const { status, body } = await get(server.url + path);
  assert.ok(
    status === 200 && body.equals(bodyOf(number)),
    `${path}: the right bytes were expected, found ${status}, ${body.length} bytes`,
  );
}

/** The paths of a round that stay. @param {number} number */
function pathsOf(number) {
  return [`/own/second/${number}`, `/files/${number}/again`];
}

/** @param {number} round */
function bodyOf(round) {
  return bytesOf(`round ${round}`, /** @type {number} */ (SIZES[round % SIZES.length]));
}
