import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { withPostgres } from '../../servers/postgres.mjs';
import { StoreView } from '../../servers/store-view.mjs';
import { note } from '../../tally.mjs';
import { Client, Flying, MOST, objects } from './load-client.mjs';

/** @import { Tally } from '../../tally.mjs' */

const MIB = 1024 ** 2;
const CLIENTS = 8;
/** The least that is stored meanwhile, as a multiple of the bound: much of it has to go again. */
const TURNOVER = 1.5;
/** The longest that this may take beyond the time of the load, in milliseconds: a machine may be busy with other things. */
const PATIENCE = 120_000;
const PINNED = '/files/pinned/always.bin';

/** @typedef {{ maxBytes: number, seconds: number, seed: number }} Options */

/**
 * Random load against a bound that holds a part of what there is: the disk never has more than the bound besides what is in flight,
 * and every answer is right.
 * @param {Tally} tally
 * @param {Options} options
 */
export async function loadWithinBound(tally, options) {
  await withScratch('space-load', async (folder) => {
    const database = join(folder, 'entrepot.db');
    const view = StoreView.ofFile(join(folder, 'blobs'), database);
    await withServers(folder, [{ path: database }], options.maxBytes, async (servers, origin) => {
      await tally.check(nameOf('load', options), () => run(servers, view, origin, options));
      await tally.check('space: the server stops with 0', () => servers[0]?.stop());
    });
  });
}

/**
 * The same with two servers on one PostgreSQL and one folder, of which each evicts.
 * @param {Tally} tally
 * @param {Options} options
 */
export async function loadOfTwoWithinBound(tally, options) {
  const isThere = await withPostgres('load', (url) =>
    withScratch('space-load', async (folder) => {
      const view = StoreView.ofPostgres(join(folder, 'blobs'), url);
      const metadata = { backend: 'postgres', url };
      await withServers(folder, [metadata, metadata], options.maxBytes, async (servers, origin) => {
        await tally.check(nameOf('load of two servers', options), () => run(servers, view, origin, options));
        for (const server of servers) await tally.check('space: one of two servers stops with 0', () => server.stop());
      });
    }),
  );
  if (!isThere) note('PostgreSQL was expected on this machine: load of two servers is left out');
}

/** @param {string} load @param {Options} options */
function nameOf(load, { maxBytes, seconds }) {
  return `${seconds} s of ${load} against ${maxBytes / MIB} MiB: never above the bound, every answer is right`;
}

/**
 * Starts a server for each of `databases`, on one store of blobs.
 * @param {string} folder
 * @param {readonly Record<string, unknown>[]} databases
 * @param {number} maxBytes
 * @param {(servers: readonly EntrepotServer[], origin: Origin) => Promise<void>} use
 */
async function withServers(folder, databases, maxBytes, use) {
  const origin = await new Origin((request, response) => objects.answer(request, response)).start();
  const servers = await Promise.all(
    databases.map(async (metadata, at) => {
      const own = join(folder, `server-${at}`);
      await mkdir(own);
      const gc = { interval: '5s', grace: '0s' };
      return new EntrepotServer({
        folder: own,
        port: await freePort(),
        repositories: {
          files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
          npm: { type: 'npm', upstream: `${origin.url}/registry` },
          own: { type: 'files', kind: 'hosted', overwrite: true },
        },
        more: {
          storage: { path: join(folder, 'blobs'), maxBytes, spool: { path: join(own, 'spool') }, gc },
          metadata,
          log: { access: false },
        },
      });
    }),
  );
  try {
    for (const server of servers) await server.start({ timeout: PATIENCE });
    await use(servers, origin);
  } finally {
    for (const server of servers) await server.kill();
    await origin.stop();
  }
}

/** @param {readonly EntrepotServer[]} servers @param {StoreView} view @param {Origin} origin @param {Options} options */
async function run(servers, view, origin, { maxBytes, seconds, seed }) {
  const [first] = servers;
  if (first === undefined) throw new Error('a server was expected');
  await first.command(['pin', 'files/pinned/**']).end();
  const flying = new Flying();
  const over = new AbortController();
  const clients = Array.from(
    { length: CLIENTS },
    (_, at) =>
      new Client((servers[at % servers.length] ?? first).url, flying, { maxBytes, share: 1 / CLIENTS, at, seed }),
  );
  const sum = (/** @type {keyof Client['counts']} */ name) =>
    clients.reduce((total, { counts }) => total + counts[name], 0);
  const pinned = await get(first.url + PINNED);
  assert.ok(pinned.status === 200 && objects.isRight(PINNED, pinned.body), 'the pinned file was expected');
  const end = performance.now() + seconds * 1000;
  const goesOn = () => {
    const late = over.signal.aborted ? Infinity : performance.now() - end;
    return late < 0 || (late < PATIENCE && sum('stored') < TURNOVER * maxBytes);
  };
  const loading = Promise.all(clients.map((client) => client.run(goesOn)));
  const [{ samples, highest, most }] = await Promise.all([
    sample(view, flying, { maxBytes, slack: (servers.length - 1) * CLIENTS * MOST }, over.signal).finally(() =>
      over.abort(),
    ),
    loading.finally(() => over.abort()),
  ]);
  note(
    `${sum('requests')} requests, ${sum('hits')} hits, ${sum('misses')} misses, ${sum('changes')} uploads and deletions, ` +
      `${(sum('stored') / MIB).toFixed(0)} MiB stored; ${samples} samples: ` +
      `at the most ${(highest / MIB).toFixed(1)} MiB, of them ${(most / MIB).toFixed(1)} MiB above the bound`,
  );
  const failures = clients.flatMap((client) => client.failures);
  assert.deepEqual(failures.slice(0, 10), [], `seed ${seed}: ${failures.length} wrong answers`);
  assert.deepEqual(servers.flatMap((server) => server.errors).slice(0, 10), [], 'no errors were expected in the log');
  assert.ok(
    sum('stored') >= TURNOVER * maxBytes,
    `${TURNOVER} × the bound was expected to be stored, found ${sum('stored')}`,
  );
  assert.ok(sum('misses') > 0 && sum('hits') > 0, 'hits and misses were expected');
  for (const client of clients) await client.assertAll();
  const again = await get(first.url + PINNED);
  assert.ok(again.status === 200 && objects.isRight(PINNED, again.body), 'the pinned file was expected');
  assert.equal(origin.count(`GET ${PINNED.slice('/files'.length)}`), 1, 'the pinned file was expected to stay');
  await assertExact(view, maxBytes);
}

/** The catalogue, the counted usage and the disk say the same. @param {StoreView} view @param {number} maxBytes */
async function assertExact(view, maxBytes) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
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
    // The collector may be at work, and bounds are looked at every ten seconds.
    if (performance.now() > deadline) assert.deepEqual(differences, []);
    await delay(50);
  }
}

/**
 * Looks at the disk and at the counted usage, again and again.
 * @param {StoreView} view
 * @param {Flying} flying
 * @param {{ maxBytes: number, slack: number }} bound `slack`: what servers may let in that do not know of each other yet
 * @param {AbortSignal} signal
 */
async function sample(view, flying, { maxBytes, slack }, signal) {
  let samples = 0;
  let highest = 0;
  let most = 0;
  while (!signal.aborted) {
    const since = performance.now();
    const [onDisk, used] = await Promise.all([view.bytesOnDisk(), view.usedBytes()]);
    const allowed = maxBytes + slack + flying.since(since);
    for (const [what, bytes] of /** @type {const} */ ([
      ['the disk has', onDisk],
      ['the usage is', used],
    ])) {
      assert.ok(
        bytes <= allowed,
        `${what} ${bytes} bytes: ${maxBytes} and ${allowed - maxBytes} on their way were expected at the most`,
      );
      highest = Math.max(highest, bytes);
      most = Math.max(most, bytes - maxBytes);
    }
    samples += 1;
    await delay(50);
  }
  return { samples, highest, most };
}
