/**
 * Work of a fleet of CI runners in twelve weeks, with real clients through a running Entrepot: the same applications built again and
 * again from their lockfiles, lockfiles that move with what was published meanwhile, builds of older lockfiles, and things that are
 * installed once. One client at a time.
 *
 * node scripts/node.mjs bench/eviction/fleet.mjs http://127.0.0.1:8080 [--weeks 12] [--suite bookworm]
 *
 * The server has repositories `npm`, `pypi` and `go`; with `--suite` also `debian`, of files.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { withScratch } from '@entrepot/fixtures/scratch';
import { DEBIAN, GO, NPM, ONCE, PYTHON } from './applications.mjs';
import { debianClient, goClient, npmClient, pythonClient } from './clients.mjs';
import { randomFrom, shuffled } from './random.mjs';

const WEEK = 7 * 24 * 3600 * 1000;
/** The share of builds that take the lockfile before the last update: release branches. */
const OLDER = 0.1;
/** Every so many weeks an old state of an application is audited: installed once as of two years ago. */
const AUDIT_EVERY = 3;
const AUDIT_AGE = 104 * WEEK;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { weeks: { type: 'string', default: '12' }, suite: { type: 'string' } },
});
const [base] = positionals;
if (base === undefined || !URL.canParse(base)) {
  process.stderr.write('usage: node bench/eviction/fleet.mjs <URL of the server> [--weeks 12] [--suite bookworm]\n');
  process.exit(2);
}
const weeks = Number(flags.weeks);
const random = randomFrom(1);
const now = Date.now();
const clients = {
  npm: npmClient(base),
  pypi: pythonClient(base),
  go: goClient(base),
  debian: debianClient(base, flags.suite),
};
const applications = [
  ...NPM.map((one) => ({ ...one, type: 'npm' })),
  ...PYTHON.map((one) => ({ ...one, type: 'pypi' })),
  ...GO.map((one) => ({ ...one, type: 'go' })),
  ...(flags.suite === undefined ? [] : DEBIAN.map((one) => ({ ...one, type: 'debian', settles: Infinity }))),
];

await withScratch('fleet', async (folder) => {
  /** The folders of each application's lockfiles, the newest last. */
  const locks = new Map(applications.map(({ name }) => [name, []]));
  for (let week = 0; week < weeks; week += 1) {
    const date = new Date(now - (weeks - 1 - week) * WEEK);
    const builds = applications.flatMap((one) => Array.from({ length: countOf(one.rate) }, () => one));
    const jobs = shuffled(
      [...builds.map((one) => () => build(folder, one, locks.get(one.name), week, date)), ...scans(folder, week, date)],
      random,
    );
    for (const job of jobs) await job();
  }
});

/** How often something happens that happens `rate` times on average. */
function countOf(rate) {
  return Math.floor(rate) + (random() < rate % 1 ? 1 : 0);
}

async function build(folder, application, places, week, date) {
  const isDue = places.length === 0 || week - places.at(-1).week >= application.settles;
  if (isDue) {
    const place = { week, folder: join(folder, `${application.name}-${week}`) };
    if (await attempt('lock', application, () => lockIn(place.folder, application, week, date))) places.push(place);
  }
  const isOlder = !isDue && places.length > 1 && random() < OLDER;
  const place = places.at(isOlder ? -2 : -1);
  if (place === undefined) return;
  await attempt(isOlder ? 'build older' : 'build', application, () =>
    clients[application.type].build(place.folder, application),
  );
}

/** Work that is done once this week. */
function scans(folder, week, date) {
  const share = ONCE.length / weeks;
  const found = ONCE.slice(Math.floor(week * share), Math.floor((week + 1) * share)).map((one) => [one, date]);
  if (week % AUDIT_EVERY === 1) {
    const audited = NPM[Math.floor(random() * NPM.length)];
    found.push([{ ...audited, type: 'npm', name: `audit-${audited.name}` }, new Date(date.getTime() - AUDIT_AGE)]);
  }
  return found.map(([one, as]) => async () => {
    const own = join(folder, `${one.name}-${week}`);
    await attempt('once', one, async () => {
      await lockIn(own, one, week, as);
      await clients[one.type].build(own, one);
    });
  });
}

async function lockIn(own, application, week, date) {
  await mkdir(own, { recursive: true });
  const age = Math.floor((weeks - 1 - week) / 3);
  await clients[application.type].lock(own, application, { date, age });
}

/** A client that fails is a build that fails: the fleet goes on. */
async function attempt(what, { type, name }, work) {
  const started = performance.now();
  let failure;
  try {
    await work();
  } catch (error) {
    failure = error.message.trim().split('\n').slice(0, 8).join(' | ');
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(
    `${type} ${name}: ${what}, ${seconds} s${failure === undefined ? '' : `, failed: ${failure}`}\n`,
  );
  return failure === undefined;
}
