// Measures large stores: 1,000,000 entries and 200,000 blobs, or `--entries N --blobs N`, in a folder of its own on `/dev/shm` where there is
// one. Linux only. Needs a build. Prints, for servers and collectors in processes of their own: start-up and idle memory; how long `entrepot gc`
// takes beside hits, and what these cost with it and without; the longest turns of the event loop while a folder of 50,000 entries is
// listed, while the server collects, and while it evicts. Exits with 1 where a bound is missed. `--folder F` keeps the stores in F for
// further runs; `--only start,gc,listing,turns` measures a part; `--profile F` writes CPU profiles of the servers of `listing` and
// `turns` into F.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fillStores, FOLDER, FOLDER_ENTRIES, hitKey, usedBytes } from './space/filled-store.mjs';
import { ended, launch, MeasuredServer } from './space/measured-server.mjs';

const BOUNDS = { start: 2_000, idle: 160, gc: 600, turn: 50 };
const STARTS = 5;
const ROUNDS = 5;
/** Requests of a round: enough that the ticks of the kernel do not show. */
const REQUESTS = 5_000;
const CONNECTIONS = 8;
/** The most such rounds in a row beside a collector that does not come to its end. */
const BATCHES = 5;
/** Different files that are asked for. */
const HITS = 500;
/** The time for which idle servers are looked at, in seconds. */
const IDLE = 15;
/** The time for which servers are watched that work by themselves, in seconds. */
const WATCH = 30;
const MIB = 1024 ** 2;

const { values: options } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    blobs: { type: 'string', default: '200000' },
    folder: { type: 'string' },
    only: { type: 'string', default: 'start,gc,listing,turns' },
    profile: { type: 'string' },
  },
});
const wanted = new Set(options.only.split(','));
const [entries, count] = [Number(options.entries), Number(options.blobs)];

let missed = false;
/**
 * @param {string} what
 * @param {number} value
 * @param {string} unit
 * @param {number} [bound]
 */
function print(what, value, unit, bound) {
  const isMissed = bound !== undefined && value > bound;
  missed ||= isMissed;
  const wish = bound === undefined ? '' : `   wanted ≤ ${bound}${isMissed ? ': MISSED' : ''}`;
  console.log(
    `${what.padEnd(70)} ${value.toFixed(unit === 'ms' || unit === 'µs' ? 1 : 2).padStart(10)} ${unit}${wish}`,
  );
}

const root = await makeFolder();
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const file = join(root, 'entrepot.yaml');

try {
  await configure();
  if (existsSync(join(root, 'entrepot.db'))) console.log(`the stores of ${root} are taken as they are`);
  else await prepare();
  if (wanted.has('start')) await measureStart();
  if (wanted.has('listing')) await measureListing();
  if (wanted.has('gc')) await measureGc();
  if (wanted.has('turns')) await measureTurns();
  process.exitCode = missed ? 1 : 0;
} finally {
  if (options.folder === undefined) await rm(root, { recursive: true });
}

async function makeFolder() {
  if (options.folder === undefined)
    return await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'entrepot-space-'));
  await mkdir(options.folder, { recursive: true });
  return resolve(options.folder);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** @param {{ storage?: Record<string, unknown>, isHosted?: boolean }} [how] `isHosted`: the proxies are not proxies any more */
async function configure({ storage, isHosted = false } = {}) {
  // Nothing listens there: everything that is asked for is kept.
  const upstream = 'http://127.0.0.1:9';
  await writeFile(
    file,
    JSON.stringify({
      server: { listen: `127.0.0.1:${port}` },
      storage: { path: join(root, 'blobs'), gc: { interval: '0s', grace: '0s' }, verify: { rate: 0 }, ...storage },
      metadata: { path: join(root, 'entrepot.db') },
      log: { level: 'warn', access: false },
      repositories: {
        own: { type: 'files', kind: 'hosted' },
        files: isHosted
          ? { type: 'files', kind: 'hosted' }
          : { type: 'files', upstream, rules: [{ match: '**', policy: 'immutable' }] },
        npm: isHosted ? { type: 'files', kind: 'hosted' } : { type: 'npm', upstream },
      },
    }),
  );
}

async function prepare() {
  const since = performance.now();
  // Makes the tables.
  await ended(launch(['gc', '-c', file], root));
  const abandoned = fillStores({
    blobs: join(root, 'blobs'),
    database: join(root, 'entrepot.db'),
    entries,
    count,
  });
  print(
    `${entries} entries of ${count} blobs, of which ${abandoned} are abandoned: filled in`,
    (performance.now() - since) / 1000,
    's',
  );
}

/** @param {{ isProbed?: boolean, profile?: string }} [how] */
async function start({ isProbed = false, profile } = {}) {
  const flags =
    profile === undefined || options.profile === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${resolve(options.profile)}`, `--cpu-prof-name=${profile}.cpuprofile`];
  return await MeasuredServer.start({ folder: root, file, url, isProbed, flags });
}

async function measureStart() {
  const times = [];
  const costs = [];
  for (let at = 0; at < STARTS; at += 1) {
    const { server, milliseconds } = await start();
    times.push(milliseconds);
    costs.push((await server.cpuSeconds()) * 1_000);
    await server.stop();
  }
  const { server } = await start();
  let [highest, last] = [0, 0];
  for (let at = 0; at < IDLE; at += 1) {
    await delay(1_000);
    last = await server.residentMib();
    highest = Math.max(highest, last);
  }
  await server.stop();
  print(`start-up until ready, median of ${STARTS}`, median(times), 'ms', BOUNDS.start);
  print('  the slowest', Math.max(...times), 'ms');
  print('  CPU time of it, median', median(costs), 'ms');
  print(`resident memory after ${IDLE} s without requests`, last, 'MiB', BOUNDS.idle);
  print('  at the most until then', highest, 'MiB');
}

async function measureListing() {
  for (const [form, accept] of /** @type {const} */ ([
    ['JSON', 'application/json'],
    ['HTML', 'text/html'],
  ])) {
    const { server } = await start({ isProbed: true, profile: `listing-${form.toLowerCase()}` });
    // Code that a server loads and compiles once is no part of it.
    for (let at = 0; at < 50; at += 1) await server.get('/own/', { accept });
    await server.stalls();
    const [answer, late] = await Promise.all([
      server.get(`/own/${FOLDER}/`, { accept, 'accept-encoding': 'gzip' }),
      lateness(server),
    ]);
    const { stall, busy } = await server.stalls();
    if (answer.status !== 200) throw new Error(`expected 200, found ${answer.status}`);
    print(
      `a listing of ${FOLDER_ENTRIES} entries as ${form}, ${(answer.size / MIB).toFixed(1)} MiB on the wire`,
      answer.milliseconds,
      'ms',
    );
    printTurns({ stall, busy });
    print('  longest answer of /-/livez beside it', late, 'ms');
    await server.stop();
  }
}

/** The longest answer to a small request, while something else goes on. @param {MeasuredServer} server */
async function lateness(server) {
  let longest = 0;
  for (let at = 0; at < 100; at += 1) {
    longest = Math.max(longest, (await server.get('/-/livez')).milliseconds);
    await delay(10);
  }
  return longest;
}

/** @param {import('./space/measured-server.mjs').Stall} stalls */
function printTurns({ stall, busy }) {
  print('  longest turn of the event loop', stall, 'ms', busy === undefined ? BOUNDS.turn : undefined);
  if (busy !== undefined) print('    of which its thread was running', busy, 'ms', BOUNDS.turn);
}

async function measureGc() {
  const { server } = await start();
  for (let at = 0; at < 3; at += 1) await hits(server);
  /** @type {number[]} */
  const without = [];
  /** @type {number[]} */
  const beside = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    without.push(await hits(server));
    // The first two come to their end.
    const { costs, seconds } = await hitsBesideGc(server, round < 2 ? Infinity : BATCHES);
    beside.push(mean(costs));
    if (round === 0) print('the first gc, which deletes the abandoned ones, beside hits', seconds, 's', BOUNDS.gc);
    else if (round === 1) print('a gc that finds nothing to delete, beside hits', seconds, 's', BOUNDS.gc);
  }
  without.push(await hits(server));
  await server.stop();
  const [least, most] = [Math.min(...without), Math.max(...without)];
  print('CPU time of a hit without gc, median', median(without), 'µs');
  print('  at the least', least, 'µs');
  print('  at the most', most, 'µs');
  print('CPU time of a hit beside gc, median', median(beside), 'µs', most);
}

/** @param {MeasuredServer} server @param {number} most batches of hits, after which the collector is ended */
async function hitsBesideGc(server, most) {
  const since = performance.now();
  const collector = launch(['gc', '-c', file], root);
  const exit = once(collector, 'exit').then(() => performance.now());
  /** @type {number[]} */
  const costs = [];
  while (collector.exitCode === null && costs.length < most) costs.push(await hits(server));
  if (collector.exitCode === null) collector.kill('SIGKILL');
  else await ended(collector);
  const seconds = ((await exit) - since) / 1000;
  // In the first one the collector only starts, in the last one it may have ended.
  return { costs: costs.length > 2 ? costs.slice(1, -1) : costs, seconds };
}

/** Asks for files that are kept. @param {MeasuredServer} server @returns {Promise<number>} the CPU time of each request, in microseconds */
async function hits(server) {
  const before = await server.cpuSeconds();
  let next = 0;
  const ask = async () => {
    while (next < REQUESTS) {
      // Every third one is a package, but none of these.
      const at = FOLDER_ENTRIES + 3 * (next % HITS);
      next += 1;
      const { status, isHit } = await server.get(`/files/${hitKey(at)}`);
      if (status !== 200 || !isHit) throw new Error(`${hitKey(at)}: a hit was expected, found ${status}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, ask));
  return (((await server.cpuSeconds()) - before) / REQUESTS) * 1e6;
}

async function measureTurns() {
  // A tenth of all blobs has to go, or would have to.
  const maxBytes = Math.floor(usedBytes(join(root, 'entrepot.db')) * 0.9);
  await configure({ storage: { gc: { interval: '1s', grace: '0s' } } });
  await watch('a server that collects by itself', 'collecting');
  await configure({ storage: { maxBytes }, isHosted: true });
  await watch('a server above its bound, where nothing may go', 'full');
  await configure({ storage: { maxBytes } });
  await watch('a server above its bound', 'evicting');
}

/** @param {string} what @param {string} profile */
async function watch(what, profile) {
  const { server } = await start({ isProbed: true, profile });
  await server.stalls();
  const before = await server.cpuSeconds();
  await delay(WATCH * 1_000);
  print(`${what}: CPU time in ${WATCH} s`, (await server.cpuSeconds()) - before, 's');
  printTurns(await server.stalls());
  await server.stop();
}

/** @param {readonly number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @param {readonly number[]} values */
function median(values) {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? 0;
}
