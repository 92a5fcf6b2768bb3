/**
 * Two built checkouts side by side: CPU time of the server for a request, in turns, with a second server of the first checkout
 * for the spread that the machine alone makes.
 *
 * node scripts/node.mjs bench/sides.mjs <old checkout> <new checkout> [--runs 5] [--seconds 1] [--only hit,cold] [--json]
 *   [--repository '{"requireIntegrity":true}'] (keys that the repository of the new side has in addition)
 */
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packumentDigest, sha256 } from './lib/fixtures.mjs';
import { decoded, get, keepAliveAgent } from './lib/http.mjs';
import { wrkProgram } from './lib/install.mjs';
import { load } from './lib/load.mjs';
import { assertListener, cpuSeconds, killAll, stop } from './lib/processes.mjs';
import { compareSides } from './lib/sides.mjs';
import { rotated } from './lib/statistics.mjs';
import { launchEntrepot } from './servers/entrepot.mjs';
import { launchOrigin } from './servers/origin.mjs';

const CONNECTIONS = 16;
const WARM_UP_SECONDS = 1;
/** Cold objects a run: enough that the kernel's ticks of 10 ms do not show. */
const TARBALLS = 100;
const DOCUMENTS = 40;
const GZIP = { accept: 'application/json', 'accept-encoding': 'gzip' };
const TARBALL = '/tarball-300/-/tarball-300-1.0.0.tgz';

const ROWS = [
  { id: 'hit-tarball', title: 'hit: tarball, 300 KB', path: TARBALL, headers: {}, digest: sha256 },
  {
    id: 'hit-packument',
    title: 'hit: packument, 165 KB',
    path: '/versions-133',
    headers: GZIP,
    digest: packumentDigest,
  },
  {
    id: 'not-modified',
    title: '304: packument',
    path: '/versions-133',
    headers: GZIP,
    digest: packumentDigest,
    conditional: true,
  },
  {
    id: 'miss-tarball',
    title: 'miss: tarball, 300 KB, packument warm',
    count: TARBALLS,
    objectOf: (mark) => ({
      warm: `/tarball-300-${mark}`,
      path: `/tarball-300-${mark}/-/tarball-300-${mark}-1.0.0.tgz`,
    }),
    digest: sha256,
  },
  {
    id: 'cold-packument',
    title: 'cold document: packument, 165 KB',
    count: DOCUMENTS,
    objectOf: (mark) => ({ path: `/versions-133-${mark}` }),
    headers: GZIP,
    digest: packumentDigest,
  },
  { id: 'policy-tarball', title: 'policy: hit, tarball', path: TARBALL, headers: {}, digest: sha256, policy: true },
  {
    id: 'policy-packument',
    title: 'policy: hit, packument',
    path: '/versions-133',
    headers: GZIP,
    digest: packumentDigest,
    policy: true,
  },
];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    repository: { type: 'string', default: '{}' },
  },
});
const RUNS = Number(flags.runs);
const SECONDS = Number(flags.seconds);

if (positionals.length !== 2 || !(RUNS > 0) || !Number.isInteger(SECONDS)) {
  process.stderr.write(
    'usage: node bench/sides.mjs <old checkout> <new checkout> [--runs 5] [--seconds 1] [--only hit,cold]\n',
  );
  process.exit(2);
}

const [old, other] = positionals.map((checkout) => join(resolve(checkout), 'host/dist/cli/main.js'));
const SIDES = [
  { id: 'old', main: old },
  { id: 'new', main: other },
  { id: 'again', main: old },
];
for (const { main } of SIDES) await access(main);

const wrk = await wrkProgram();
if (wrk.missing !== undefined) throw new Error(wrk.missing);
const folder = await mkdtemp(join(tmpdir(), 'entrepot-bench-sides-'));
const started = [];
try {
  const origin = await launchOrigin();
  started.push(origin.started);
  const rows = ROWS.filter(({ id }) => (flags.only?.split(',') ?? ['']).some((part) => id.includes(part)));
  const servers = {
    plain: await launchSides(origin, 'plain', {}),
    policy: rows.some(({ policy }) => policy)
      ? await launchSides(origin, 'policy', { policy: { preset: 'balanced' } })
      : [],
  };
  const found = [];
  for (const row of rows) {
    process.stderr.write(`${row.title}\n`);
    const sides = row.policy ? servers.policy : servers.plain;
    const samples = await (row.objectOf ? runCold(row, sides, origin) : runWarm(row, sides, origin));
    found.push({ title: row.title, ...compareSides(samples) });
  }
  process.stdout.write(flags.json ? `${JSON.stringify(found, null, 2)}\n` : table(found));
} finally {
  for (const one of started.reverse()) await stop(one);
  await rm(folder, { recursive: true, force: true });
  killAll();
}

async function launchSides(origin, kind, more) {
  const sides = [];
  for (const { id, main } of SIDES) {
    const place = join(folder, `${kind}-${id}`);
    await mkdir(place);
    const keys = id === 'new' ? JSON.parse(flags.repository) : {};
    const npm = { type: 'npm', upstream: origin.npm, cache: { packument: { freshFor: '1h' } }, ...keys };
    const repositories = { npm };
    const server = await launchEntrepot({ folder: place, repositories, more, main });
    started.push(server.started);
    assertListener(server.port, server.started.pid);
    sides.push({ id, base: `${server.base}/npm`, pid: server.started.pid, agent: keepAliveAgent() });
  }
  return sides;
}

/** Load on what is cached. @returns CPU milliseconds a request of every run, by side */
async function runWarm(row, sides, origin) {
  const expected = await origin.prepare(`/npm${row.path}`, row.headers);
  const targets = [];
  for (const { id, base, pid, agent } of sides) {
    const url = base + row.path;
    const headers = { ...row.headers };
    await get(`${base}/${row.path.split('/')[1]}`, { agent, headers: GZIP });
    const answer = await asked(url, { agent, headers }, row.digest(decoded(expected)), row.digest);
    if (row.conditional) {
      headers['if-none-match'] = answer.headers.etag;
      const { status } = await get(url, { agent, headers });
      if (status !== 304) throw new Error(`${id}: expected 304 for ${row.path}, found ${status}`);
    }
    const target = { id, url, headers, pid, connections: CONNECTIONS };
    await load(wrk.path, { ...target, seconds: WARM_UP_SECONDS });
    targets.push(target);
  }
  const before = await askedOf(origin);
  const samples = emptySamples();
  for (let run = 0; run < RUNS; run += 1) {
    for (const target of rotated(targets, run)) {
      const { cpuPerRequest } = await load(wrk.path, { ...target, seconds: SECONDS });
      samples[target.id].push(cpuPerRequest);
    }
  }
  const requests = (await askedOf(origin)) - before;
  if (requests > 0) throw new Error(`${row.id}: expected answers from caches, the origin was asked ${requests} times`);
  return samples;
}

/** Cold objects, one after the other, the same ones of each side. The first run warms up. */
async function runCold(row, sides, origin) {
  const samples = emptySamples();
  for (let run = -1; run < RUNS; run += 1) {
    const objects = Array.from({ length: row.count }, (_, index) => row.objectOf(`r${run + 1}x${index}`));
    const digests = [];
    for (const { path, warm } of objects) {
      const expected = await origin.prepare(`/npm${path}`, row.headers);
      digests.push(row.digest(decoded(expected)));
      for (const { base, agent } of warm ? sides : []) await get(base + warm, { agent, headers: GZIP });
    }
    for (const { id, base, pid, agent } of rotated(sides, run + 1)) {
      const before = cpuSeconds(pid);
      for (const [index, { path }] of objects.entries()) {
        await asked(base + path, { agent, headers: row.headers }, digests[index], row.digest);
      }
      if (run >= 0) samples[id].push(((cpuSeconds(pid) - before) * 1000) / row.count);
    }
  }
  return samples;
}

async function asked(url, options, expected, digest) {
  const answer = await get(url, options);
  if (answer.status !== 200) throw new Error(`${url}: expected 200, found ${answer.status}`);
  if (digest(decoded(answer)) !== expected) throw new Error(`${url}: the answer does not have the origin's content`);
  return answer;
}

/** The number of all requests to the origin. */
async function askedOf(origin) {
  return Object.values(await origin.counts()).reduce((sum, count) => sum + count, 0);
}

function emptySamples() {
  return Object.fromEntries(SIDES.map(({ id }) => [id, []]));
}

function table(found) {
  const shown = ({ median, low, high }) => `${median.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`;
  const head = ['CPU ms a request', 'old', 'old again', 'new', 'old again / old', 'new / old', 'beyond the spread'];
  const rows = found.map(({ title, old, again, new: fresh, spread, ratio, verdict }) => [
    title,
    shown(old),
    shown(again),
    shown(fresh),
    spread.toFixed(3),
    ratio.toFixed(3),
    verdict,
  ]);
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
