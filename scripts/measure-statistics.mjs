// Measures statistics: 10,000,000 requests, or `--events N`, of one day for up to 2,000,000 packages by up to 200,000 principals, into a SQLite
// database. Needs a build. Prints what one request costs, how memory and the database grow, and how the event loop stalls while the numbers are
// written. Exits with 1 where a bound is missed, or a sum is not what was sent.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { silentLogger } from '../core/dist/index.js';
import { openSqlite } from '../host/dist/drivers/sql/sqlite.js';
import { SqlStatisticsReport } from '../host/dist/drivers/sql/statistics-report.js';
import { SqlStatisticsStore } from '../host/dist/drivers/sql/statistics-store.js';
import { Statistics } from '../host/dist/statistics/statistics.js';

const { values: options } = parseArgs({ options: { events: { type: 'string', default: '10000000' } } });
const events = Number(options.events);
const PACKAGES = 2_000_000;
const PRINCIPALS = 200_000;
/** Events between two writes: of an interval of 30 s at 1,700 requests a second. */
const INTERVAL = 50_000;
const DAY = 86_400_000;
const CONFIG = { enabled: true, interval: DAY, keep: 400 * DAY, packagesPerDay: 500, principalsPerDay: 200 };
/** Rows: those that stay, and those that may come until the smallest of them become one. Bytes of memory; milliseconds; nanoseconds. */
const BOUNDS = { rows: 700 + 2 * 10_000 + 3, growth: 64 * 2 ** 20, stall: 50, event: 1_000 };

setFlagsFromString('--expose-gc');
const collect = /** @type {() => void} */ (runInNewContext('gc'));
let random = 42;
/** A number below `most`; small ones come more often. @param {number} most */
function below(most) {
  random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((random / 2 ** 32) ** 4 * most);
}

const folder = await mkdtemp(join(tmpdir(), 'entrepot-statistics-'));
const path = join(folder, 'entrepot.db');
const database = await openSqlite({ path, durability: 'relaxed' });
const clock = { now: () => 20_000 * DAY + Math.floor((sent / events) * (DAY - 1)), monotonic: () => performance.now() };
const statistics = new Statistics({ store: new SqlStatisticsStore(database), clock, logger: silentLogger });
statistics.configure(CONFIG);
let sent = 0;
let bytes = 0;
let counting = 0;
let [mostRows, rows, growth, longestWrite] = [0, 0, 0, 0];
/** @type {number[]} */
const stalls = [];
let isExact = false;
let size = 0;
collect();
const before = process.memoryUsage().heapUsed;

/** The time that this thread has been running, in milliseconds: what others do on the machine does not count. */
function busy() {
  // Since Node 23.9.
  const { threadCpuUsage } = /** @type {{ threadCpuUsage?: () => { user: number, system: number } }} */ (process);
  if (threadCpuUsage === undefined) return performance.now();
  const { user, system } = threadCpuUsage.call(process);
  return (user + system) / 1000;
}

/** The longest time that the thread was running at a stretch until `work` ends. @param {Promise<void>} work */
async function longestTurn(work) {
  const state = { running: true };
  const ended = work.finally(() => (state.running = false));
  let longest = 0;
  while (state.running) {
    const since = busy();
    await turn();
    longest = Math.max(longest, busy() - since);
  }
  await ended;
  return longest;
}

/** @param {number} size */
function recordOf(size) {
  const name = `package-${below(PACKAGES)}`;
  const coordinates = { ecosystem: 'npm', name, version: '1.0.0' };
  const caller = `user-${below(PRINCIPALS)}`;
  const outcome = /** @type {const} */ ({
    name: 'hit',
    repository: 'npm',
    resource: 'tarball',
    isArtifact: true,
    coordinates,
    caller,
  });
  const request = {
    id: '',
    method: 'GET',
    path: '',
    status: 200,
    bytes: size,
    duration: 1,
    client: '',
    aborted: false,
  };
  return { ...request, repository: 'npm', outcome };
}

try {
  while (sent < events) {
    const batch = Array.from({ length: Math.min(INTERVAL, events - sent) }, (_, at) => recordOf(at));
    const started = busy();
    for (const record of batch) {
      statistics.observe(record);
      sent += 1;
      bytes += record.bytes;
    }
    counting += busy() - started;
    batch.length = 0;
    if (sent % (20 * INTERVAL) === 0) {
      collect();
      growth = Math.max(growth, process.memoryUsage().heapUsed - before);
    }
    await turn();
    const writing = busy();
    stalls.push(await longestTurn(statistics.flush()));
    longestWrite = Math.max(longestWrite, busy() - writing);
    const row = await database
      .selectFrom('statistics')
      .select(({ fn }) => fn.countAll().as('count'))
      .executeTakeFirstOrThrow();
    rows = Number(row.count);
    mostRows = Math.max(mostRows, rows);
  }
  // As an hour later: what is too much becomes one row.
  statistics.configure(CONFIG);
  await statistics.flush();
  const query = /** @type {const} */ ({
    from: 0,
    to: 99_999,
    by: 'package',
    order: 'requests',
    limit: 10_000,
    hosted: [],
  });
  const report = new SqlStatisticsReport(database);
  isExact = true;
  for (const by of /** @type {const} */ (['day', 'package', 'principal'])) {
    const parts = await report.parts({ ...query, by });
    const sum = parts.reduce((all, part) => all + part.requests, 0);
    const sumOfBytes = parts.reduce((all, part) => all + part.bytes, 0);
    console.log(`by ${by}: ${parts.length} rows, ${sum} requests, ${sumOfBytes} bytes`);
    isExact &&= sum === events && sumOfBytes === bytes;
    rows = by === 'day' ? parts.length : rows + parts.length;
  }
  size = (await stat(path)).size;
} finally {
  await statistics.dispose();
  await database.destroy();
  await rm(folder, { recursive: true, force: true });
}

const stall = Math.max(...stalls);
const typical = stalls.toSorted((one, other) => one - other)[Math.floor(stalls.length * 0.99)] ?? 0;
const event = (counting * 1e6) / events;
console.log(`${events} requests, ${bytes} bytes: ${isExact ? 'the sums are exact' : 'the sums are WRONG'}`);
console.log(`counting one: ${event.toFixed(0)} ns`);
console.log(`memory: ${(growth / 2 ** 20).toFixed(1)} MiB more at the most, after a collection`);
console.log(`rows: ${mostRows} at the most, ${rows} at the end; the file has ${(size / 2 ** 20).toFixed(1)} MiB`);
console.log(
  `writing: ${longestWrite.toFixed(0)} ms of the thread at the longest; the event loop stalls ${stall.toFixed(1)} ms at the most, ${typical.toFixed(1)} in 99 of 100`,
);
const isBounded =
  mostRows <= BOUNDS.rows && growth <= BOUNDS.growth && stall <= BOUNDS.stall && event <= BOUNDS.event && isExact;
console.log(isBounded ? 'within bounds' : `out of bounds: ${JSON.stringify(BOUNDS)}`);
process.exitCode = isBounded ? 0 : 1;
