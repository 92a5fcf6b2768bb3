// What policy costs whoever is allowed: hits a second of two servers on the same fixtures, one with a policy and an advisory
// database, one without, in turns, so that the machine's moods meet both.
// node bench/policy/server.mjs [rounds]   (after npm run build; needs wrk)
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wrkProgram } from '../lib/install.mjs';
import { load } from '../lib/load.mjs';
import { killAll, stop } from '../lib/processes.mjs';
import { median, rotated } from '../lib/statistics.mjs';
import { launchEntrepot } from '../servers/entrepot.mjs';
import { launchOrigin } from '../servers/origin.mjs';

const [rounds = '12'] = process.argv.slice(2);
const ROUNDS = Number(rounds);
const SECONDS = 2;
const CONNECTIONS = 32;
const ADVISORIES = 20_000;

const REQUESTS = [
  { name: 'tarball', path: (tarball) => tarball, headers: { accept: '*/*' } },
  { name: 'range of it', path: (tarball) => tarball, headers: { range: 'bytes=0-99' } },
  {
    name: 'packument',
    path: () => '/npm/versions-133',
    headers: { accept: 'application/json', 'accept-encoding': 'gzip' },
  },
];

/** Records of an advisory database on names that nobody asks for, and one on a name that everybody does. */
async function writeAdvisories(folder) {
  await mkdir(join(folder, 'npm'), { recursive: true });
  for (let index = 0; index < ADVISORIES; index += 1) {
    const id = `GHSA-${String(index).padStart(4, '0')}-aaaa-bbbb`;
    const name = index === 0 ? 'versions-133' : `name-${index}`;
    const ranges = [{ type: 'SEMVER', events: [{ introduced: '900.0.0' }, { fixed: '900.0.1' }] }];
    const affected = [{ package: { ecosystem: 'npm', name }, ranges }];
    const record = { schema_version: '1.6.0', id, modified: '2026-01-02T03:04:05Z', summary: 'a fault', affected };
    await writeFile(join(folder, 'npm', `${id}.json`), JSON.stringify(record));
  }
}

/** The path of the newest tarball that a server lists. */
async function tarballOf(base) {
  const packument = await (await fetch(`${base}/npm/versions-133`)).json();
  return new URL(packument.versions[packument['dist-tags'].latest].dist.tarball).pathname;
}

const wrk = await wrkProgram();
if (wrk.missing !== undefined) throw new Error(wrk.missing);
const folder = await mkdtemp(join(tmpdir(), 'entrepot-bench-policy-'));
const started = [];
try {
  const origin = await launchOrigin();
  started.push(origin.started);
  await writeAdvisories(join(folder, 'osv'));
  const scanners = [
    { type: 'osv', from: join(folder, 'osv'), ecosystems: ['npm'], directory: join(folder, 'database') },
  ];
  const settings = {
    without: {},
    balanced: { policy: { preset: 'balanced' }, scanners },
    strict: { policy: { preset: 'strict' }, scanners },
  };
  const servers = [];
  for (const [name, more] of Object.entries(settings)) {
    const place = join(folder, name);
    await mkdir(place);
    const repositories = { npm: { type: 'npm', upstream: origin.npm, cache: { packument: { freshFor: '1h' } } } };
    const server = await launchEntrepot({ folder: place, repositories, more });
    started.push(server.started);
    servers.push({ name, ...server });
  }
  const samples = new Map();
  for (const { name, path, headers } of REQUESTS) {
    for (let round = -1; round < ROUNDS; round += 1) {
      for (const { name: server, base, started: own } of rotated(servers, round + 1)) {
        const url = base + path(await tarballOf(base));
        if (round < 0) await (await fetch(url, { headers })).arrayBuffer();
        const options = { url, headers, connections: CONNECTIONS, seconds: SECONDS, pid: own.pid };
        const { requestsPerSecond, cpuPerRequest } = await load(wrk.path, options);
        const key = `${name} ${server}`;
        if (round >= 0) samples.set(key, [...(samples.get(key) ?? []), { requestsPerSecond, cpuPerRequest }]);
      }
    }
  }
  console.table(
    REQUESTS.flatMap(({ name }) => {
      const without = samples.get(`${name} without`);
      return Object.keys(settings).map((policy) => {
        const own = samples.get(`${name} ${policy}`);
        // Of each round by itself: what came over the machine then came over both.
        const ratio = (field) => Number(median(own.map((one, round) => one[field] / without[round][field])).toFixed(3));
        const rate = Math.round(median(own.map(({ requestsPerSecond }) => requestsPerSecond)));
        return {
          request: name,
          policy,
          '1/s': rate,
          rate: ratio('requestsPerSecond'),
          'CPU a request': ratio('cpuPerRequest'),
        };
      });
    }),
  );
} finally {
  for (const one of started.reverse()) await stop(one);
  await rm(folder, { recursive: true, force: true });
  killAll();
}
