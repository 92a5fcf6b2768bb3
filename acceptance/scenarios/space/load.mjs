import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { StoreView } from '../../servers/store-view.mjs';
import { note } from '../../tally.mjs';
import { Client, Flying, objects } from './load-client.mjs';

/** @import { Tally } from '../../tally.mjs' */

const MIB = 1024 ** 2;
const CLIENTS = 8;
/** What is stored meanwhile, at the least, as a multiple of the bound: much of it has to go again. */
const TURNOVER = 1.5;
/** The longest that this may take beyond the time of the load, in milliseconds: a machine may be busy with other things. */
const PATIENCE = 120_000;
const PINNED = '/files/pinned/always.bin';

/**
 * Random load against a bound that holds a part of what there is: the disk never has more than the bound besides what is in flight,
 * and every answer is right.
 * @param {Tally} tally
 * @param {{ maxBytes: number, seconds: number, seed: number }} options
 */
export async function loadWithinBound(tally, options) {
  const { maxBytes, seconds } = options;
  await withScratch('space-load', async (folder) => {
    const origin = await new Origin((request, response) => objects.answer(request, response)).start();
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
        npm: { type: 'npm', upstream: `${origin.url}/registry` },
        own: { type: 'files', kind: 'hosted', overwrite: true },
      },
      more: {
        storage: { path: join(folder, 'blobs'), maxBytes, gc: { interval: '5s', grace: '0s' } },
        log: { access: false },
      },
    });
    const view = StoreView.ofFile(join(folder, 'blobs'), join(folder, 'entrepot.db'));
    try {
      const name = `${seconds} s of load against ${maxBytes / MIB} MiB: never above the bound, every answer is right`;
      await tally.check(name, () => run(server, view, origin, options));
      await tally.check('space: the server stops with 0', () => server.stop());
    } finally {
      await server.kill();
      await origin.stop();
    }
  });
}

/** @param {EntrepotServer} server @param {StoreView} view @param {Origin} origin @param {{ maxBytes: number, seconds: number, seed: number }} options */
async function run(server, view, origin, { maxBytes, seconds, seed }) {
  await server.start({ timeout: 120_000 });
  await server.command(['pin', 'files/pinned/**']).end();
  const flying = new Flying();
  const over = new AbortController();
  const clients = Array.from(
    { length: CLIENTS },
    (_, at) => new Client(server.url, flying, { maxBytes, share: 1 / CLIENTS, at, seed }),
  );
  const sum = (/** @type {keyof Client['counts']} */ name) =>
    clients.reduce((total, { counts }) => total + counts[name], 0);
  const pinned = await get(server.url + PINNED);
  assert.ok(pinned.status === 200 && objects.isRight(PINNED, pinned.body), 'the pinned file was expected');
  const end = performance.now() + seconds * 1000;
  const goesOn = () => {
    const late = over.signal.aborted ? Infinity : performance.now() - end;
    return late < 0 || (late < PATIENCE && sum('stored') < TURNOVER * maxBytes);
  };
  const loading = Promise.all(clients.map((client) => client.run(goesOn)));
  const [{ samples, highest, most }] = await Promise.all([
    sample(view, flying, maxBytes, over.signal).finally(() => over.abort()),
    loading.finally(() => over.abort()),
  ]);
  note(
    `${sum('requests')} requests, ${sum('hits')} hits, ${sum('misses')} misses, ${sum('changes')} uploads and deletions, ` +
      `${(sum('stored') / MIB).toFixed(0)} MiB stored; ${samples} samples: ` +
      `at the most ${(highest / MIB).toFixed(1)} MiB, of them ${(most / MIB).toFixed(1)} MiB above the bound`,
  );
  const failures = clients.flatMap((client) => client.failures);
  assert.deepEqual(failures.slice(0, 10), [], `seed ${seed}: ${failures.length} wrong answers`);
  assert.deepEqual(server.errors.slice(0, 10), [], 'no errors were expected in the log');
  assert.ok(
    sum('stored') >= TURNOVER * maxBytes,
    `${TURNOVER} × the bound was expected to be stored, found ${sum('stored')}`,
  );
  assert.ok(sum('misses') > 0 && sum('hits') > 0, 'hits and misses were expected');
  for (const client of clients) await client.assertAll();
  const again = await get(server.url + PINNED);
  assert.ok(again.status === 200 && objects.isRight(PINNED, again.body), 'the pinned file was expected');
  assert.equal(origin.count(`GET ${PINNED.slice('/files'.length)}`), 1, 'the pinned file was expected to stay');
  await assertExact(view, maxBytes);
}

/** The catalogue, the counted usage and the disk say the same. @param {StoreView} view @param {number} maxBytes */
async function assertExact(view, maxBytes) {
  for (let tries = 1; ; tries += 1) {
    const [files, catalogue, used] = await Promise.all([view.files(), view.catalogue(), view.usedBytes()]);
    const differences = [];
    let sum = 0;
    for (const [digest, { size, state }] of catalogue) {
      sum += size;
      if (files.get(digest) !== size) {
        differences.push(`${digest} (${state}): ${size} bytes were expected, found ${files.get(digest)}`);
      }
    }
    for (const digest of files.keys()) if (!catalogue.has(digest)) differences.push(`${digest}: it has no row`);
    if (sum !== used) differences.push(`a usage of ${sum} bytes was expected, found ${used}`);
    if (used > maxBytes) differences.push(`a usage of ${maxBytes} bytes at the most was expected, found ${used}`);
    if (differences.length === 0) return;
    // The collector may be at work.
    if (tries === 100) assert.deepEqual(differences, []);
    await delay(50);
  }
}

/**
 * Looks at the disk and at the counted usage, again and again.
 * @param {StoreView} view
 * @param {Flying} flying
 * @param {number} maxBytes
 * @param {AbortSignal} signal
 */
async function sample(view, flying, maxBytes, signal) {
  let samples = 0;
  let highest = 0;
  let most = 0;
  while (!signal.aborted) {
    const since = performance.now();
    const [onDisk, used] = await Promise.all([view.bytesOnDisk(), view.usedBytes()]);
    const allowed = maxBytes + flying.since(since);
    for (const [what, bytes] of /** @type {const} */ ([
      ['the disk has', onDisk],
      ['the usage is', used],
    ])) {
      assert.ok(
        bytes <= allowed,
        `${what} ${bytes} bytes: ${maxBytes} and ${allowed - maxBytes} in flight were expected at the most`,
      );
      highest = Math.max(highest, bytes);
      most = Math.max(most, bytes - maxBytes);
    }
    samples += 1;
    await delay(50);
  }
  return { samples, highest, most };
}
