import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crowd, inTurn } from '../lib/crowd.mjs';
import { sha256 } from '../lib/fixtures.mjs';
import { get, keepAliveAgent } from '../lib/http.mjs';
import { goProgram } from '../lib/install.mjs';
import { cpuSeconds, run, stop } from '../lib/processes.mjs';
import { runRates } from '../lib/rates.mjs';
import { median, percentile, rotated, summarise } from '../lib/statistics.mjs';
import { COLD_SETS, GRAPH_MODULES, graphModule, LARGE_KILOBYTES, MOD_FILES } from './fixtures.mjs';

const PEERS = ['entrepot', 'athens', 'goproxy'];
const AGAINST_PEERS = [
  { against: 'athens', least: 10 },
  { against: 'goproxy', least: 10 },
];
const AGAINST_GOPROXY = [{ against: 'goproxy', least: 0.8 }];
const CLIENTS = 200;
/** goproxy fetches for every client, and each fetch is a file of 70 MB on the disk of this machine. */
const FEWER_CLIENTS = { goproxy: 20 };
const PATIENCE = 180_000;
const REPEATS = 300;
/** Without an upstream some try again and again; what takes longer than this counts as failed. */
const DOWN_PATIENCE = 10_000;

async function startAll(bench) {
  const servers = [];
  for (const id of PEERS.filter((id) => bench.has(id))) servers.push(await bench.server(id));
  return servers;
}

/** `path` below a GOPROXY, or what gives it, as the database has the name of its port. `meaning`: what of the answer counts. */
function rateCase({ id, title, path, meaning = sha256, ...extra }) {
  const one = {
    id,
    title,
    servers: PEERS,
    headers: {},
    urlOf: (server, bench) => `${server.base}/${pathOf(path, bench)}`,
    expected: async (bench) => meaning((await bench.origin.prepare(`/${pathOf(path, bench)}`)).body),
    digest: meaning,
    connections: 8,
    field: 'requestsPerSecond',
    ...extra,
  };
  return { id, title, quick: (one.bars ?? []).length > 0, run: (bench) => runRates(bench, one) };
}

function pathOf(path, bench) {
  return typeof path === 'string' ? path : path(bench.origin);
}

function versions(body) {
  return body.toString().trim().split('\n').sort().join(' ');
}

function version(body) {
  return JSON.parse(body).Version;
}

/** The record of a lookup: tree heads differ from answer to answer. */
function record(body) {
  return body.toString().split('\n\n')[0];
}

const rates = [
  rateCase({
    id: 'list',
    title: 'The list of versions (50), repeated',
    path: 'lists.test/many/@v/list',
    meaning: versions,
    bars: AGAINST_PEERS,
  }),
  rateCase({
    id: 'latest',
    title: 'The latest version, repeated',
    path: 'lists.test/many/@latest',
    meaning: version,
    bars: AGAINST_PEERS,
  }),
  rateCase({
    id: 'lookup',
    title: 'A lookup in the checksum database, repeated',
    path: ({ database }) => `sumdb/${database.name}/lookup/zips.test/m60@v1.0.0`,
    meaning: record,
    bars: AGAINST_PEERS,
  }),
  rateCase({
    id: 'tile',
    title: 'A tile of the checksum database, repeated',
    path: ({ database }) => `sumdb/${database.name}/tile/8/0/003`,
  }),
  rateCase({
    id: 'mod',
    title: 'Warm .mod, 64 connections',
    path: `${graphModule(0)}/@v/v1.0.0.mod`,
    connections: 64,
  }),
  rateCase({
    id: 'info',
    title: 'Warm .info, 64 connections',
    path: `${graphModule(0)}/@v/v1.0.0.info`,
    meaning: version,
    connections: 64,
  }),
  rateCase({
    id: 'zip-60',
    title: 'Warm zip, 60 KB',
    path: 'zips.test/m60/@v/v1.0.0.zip',
    bars: AGAINST_GOPROXY,
    connections: 16,
  }),
  rateCase({
    id: 'zip-3000',
    title: 'Warm zip, 3 MB',
    path: 'zips.test/m3000/@v/v1.0.0.zip',
    field: 'gigabytesPerSecond',
    bars: AGAINST_GOPROXY,
  }),
  rateCase({
    id: 'zip-70000',
    title: 'Warm zip, 70 MB',
    path: `zips.test/m${LARGE_KILOBYTES}/@v/v1.0.0.zip`,
    field: 'gigabytesPerSecond',
    bars: AGAINST_GOPROXY,
    connections: 4,
    seconds: 3,
  }),
];

const herd = {
  id: 'herd',
  title: `${CLIENTS} clients at once on one cold zip of 70 MB`,
  async run(bench) {
    const servers = await startAll(bench);
    const notes = new Set(['upstream requests: how often the zip was fetched']);
    const samples = new Map(servers.map(({ id }) => [id, []]));
    for (let turn = 0; turn < Math.min(COLD_SETS, bench.options.runs) && bench.timeLeft(); turn++) {
      const path = `/herd.test/large/@v/v1.${turn}.0.zip`;
      const expected = (await bench.origin.prepare(path)).body.length;
      const isZip = (asked) => asked === path;
      for (const server of rotated(servers, turn)) {
        const clients = FEWER_CLIENTS[server.id] ?? CLIENTS;
        if (clients !== CLIENTS) notes.add(`${server.id}: ${clients} clients only, to spare the disk`);
        const before = await bench.origin.traffic(isZip);
        const agent = keepAliveAgent(clients);
        const answers = await crowd(clients, async () => {
          let length = 0;
          const sink = (chunk) => (length += chunk.length);
          const answer = await get(`${server.base}${path}`, { agent, sink, timeout: PATIENCE });
          return { ...answer, length };
        });
        agent.destroy();
        const good = answers.filter(({ status, length }) => status === 200 && length === expected);
        const after = await bench.origin.traffic(isZip);
        samples.get(server.id).push({
          upstreamRequests: after.requests - before.requests,
          upstreamMegabytes: (after.bytes - before.bytes) / 1e6,
          milliseconds: median(good.map(({ total }) => total)),
          last: Math.max(...good.map(({ total }) => total)),
          failed: answers.length - good.length,
        });
      }
    }
    return {
      kind: 'upstreamRequests',
      notes: [...notes],
      rows: servers.map(({ id }) => summarise(id, samples.get(id), 'upstreamRequests')),
      bars: [{ most: 1, of: 'high', unit: 'fetches of the zip' }],
    };
  },
};

const modOnly = {
  id: 'mod-only',
  title: `${MOD_FILES} cold .mod files and nothing else, 10 at a time`,
  async run(bench) {
    const servers = await startAll(bench);
    const samples = new Map(servers.map(({ id }) => [id, []]));
    for (let turn = 0; turn < Math.min(COLD_SETS, bench.options.runs) && bench.timeLeft(); turn++) {
      const paths = Array.from(
        { length: MOD_FILES },
        (_, index) => `/mods.test/m${String(index).padStart(3, '0')}/@v/v1.${turn}.0.mod`,
      );
      const wanted = [];
      for (const path of paths) wanted.push((await bench.origin.prepare(path)).body);
      const sum = wanted.reduce((all, { length }) => all + length, 0);
      const isModule = (path) => path.startsWith('/mods.test/');
      const isDatabase = (path) => path.startsWith('/sumdb/');
      for (const server of rotated(servers, turn)) {
        const before = [await bench.origin.traffic(isModule), await bench.origin.traffic(isDatabase)];
        const agent = keepAliveAgent(10);
        const since = performance.now();
        const answers = await inTurn(paths.length, 10, (index) => get(`${server.base}${paths[index]}`, { agent }));
        const milliseconds = performance.now() - since;
        agent.destroy();
        const wrong = answers.findIndex(({ status, body }, at) => status !== 200 || !body.equals(wanted[at]));
        if (wrong >= 0) throw new Error(`${server.id}: ${paths[wrong]}: ${answers[wrong].status}, or other bytes`);
        const after = [await bench.origin.traffic(isModule), await bench.origin.traffic(isDatabase)];
        const bytes = after[0].bytes - before[0].bytes;
        samples.get(server.id).push({
          upstreamKilobytes: bytes / 1000,
          wantedKilobytes: sum / 1000,
          times: bytes / sum,
          upstreamRequests: after[0].requests - before[0].requests,
          databaseKilobytes: (after[1].bytes - before[1].bytes) / 1000,
          databaseRequests: after[1].requests - before[1].requests,
          milliseconds,
        });
      }
    }
    return {
      kind: 'upstreamBytes',
      rows: servers.map(({ id }) => summarise(id, samples.get(id), 'upstreamKilobytes')),
      bars: [{ most: 1, of: 'times', unit: 'times the sum of the .mod files' }],
    };
  },
};

const notFound = {
  id: 'not-found',
  title: `${REPEATS} requests for 5 module paths that do not exist, 10 at a time`,
  quick: false,
  async run(bench) {
    const servers = await startAll(bench);
    const samples = new Map(servers.map(({ id }) => [id, []]));
    const notes = new Set();
    for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
      for (const server of rotated(servers, turn)) {
        const path = (index) => `${server.base}/none.test/t${turn}/${'deep/'.repeat(index % 5)}end/@v/list`;
        const before = await bench.origin.traffic();
        const agent = keepAliveAgent(10);
        const answers = await inTurn(REPEATS, 10, (index) => get(path(index), { agent }));
        agent.destroy();
        const wrong = answers.filter(({ status }) => status !== 404 && status !== 410);
        for (const { status } of wrong) notes.add(`${server.id} answers some with ${status}`);
        const totals = answers.map(({ total }) => total);
        samples.get(server.id).push({
          milliseconds: median(totals),
          p99: percentile(totals, 0.99),
          upstreamRequests: (await bench.origin.traffic()).requests - before.requests,
          failed: wrong.length,
        });
      }
    }
    return {
      kind: 'milliseconds',
      notes: [...notes],
      rows: servers.map(({ id }) => summarise(id, samples.get(id), 'milliseconds')),
      bars: [],
    };
  },
};

const clientRuns = new WeakMap();

/** `go mod download` through each server: nothing anywhere, the server warm, the upstream gone. Done once, shown as three tables. */
function clientSamples(bench) {
  if (!clientRuns.has(bench)) clientRuns.set(bench, measureClient(bench));
  return clientRuns.get(bench);
}

async function measureClient(bench) {
  const go = await goProgram();
  if (go.missing) throw new Error(go.missing);
  const samples = { cold: new Map(), warm: new Map(), down: new Map() };
  const keep = (kind, id, sample) => samples[kind].set(id, [...(samples[kind].get(id) ?? []), sample]);
  for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
    const origin = await bench.launchOrigin('small');
    const direct = { id: 'direct', base: origin.origin };
    const servers = [];
    try {
      for (const id of PEERS.filter((id) => bench.has(id))) {
        servers.push(await bench.launch(id, `client-${turn}`, { origin }));
      }
      for (const kind of ['cold', 'warm', 'down']) {
        if (kind === 'down') await stop(origin.started);
        for (const server of rotated(kind === 'down' ? servers : [direct, ...servers], turn)) {
          const before = kind === 'down' ? undefined : await origin.traffic();
          const pid = server.started?.pid;
          const cpu = pid === undefined ? undefined : cpuSeconds(pid);
          const patience = kind === 'down' ? DOWN_PATIENCE : PATIENCE;
          const sample = await download(go.path, bench, server, origin, patience);
          sample.cpu = pid === undefined ? undefined : cpuSeconds(pid) - cpu;
          if (before) {
            const after = await origin.traffic();
            sample.upstreamRequests = after.requests - before.requests;
            sample.upstreamMegabytes = (after.bytes - before.bytes) / 1e6;
          }
          keep(kind, server.id, sample);
        }
      }
    } finally {
      await Promise.all([...servers, origin].map((server) => stop(server.started)));
    }
  }
  return samples;
}

/** The client with nothing of its own, on a module that requires the whole graph. */
async function download(go, bench, server, { database }, timeout) {
  const folder = await bench.folder();
  try {
    const main = join(folder, 'main');
    await mkdir(main, { recursive: true });
    const requires = Array.from({ length: GRAPH_MODULES }, (_, index) => `require ${graphModule(index)} v1.0.0\n`);
    await writeFile(join(main, 'go.mod'), `module main.test/main\n\ngo 1.16\n\n${requires.join('')}`);
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      GOPATH: join(folder, 'path'),
      GOCACHE: join(folder, 'cache'),
      GOFLAGS: '-modcacherw',
      GOTOOLCHAIN: 'local',
      GOPROXY: server.base,
      // With a URL it would be asked there, past the server.
      GOSUMDB: database.verifierKey,
      GONOSUMDB: '',
      GONOPROXY: '',
      GOPRIVATE: '',
    };
    const since = performance.now();
    const { code, output } = await run(go, ['mod', 'download'], { cwd: main, env, timeout });
    const milliseconds = performance.now() - since;
    const found = output.trim().slice(0, 300) || `not done within ${timeout / 1000} s`;
    return { milliseconds, failed: code === 0 ? 0 : 1, reason: code === 0 ? undefined : found };
  } finally {
    // A child of `go` may still write there.
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function client(kind, title, bars = []) {
  return {
    id: `client-${kind}`,
    title: `go mod download of ${GRAPH_MODULES} modules (21 MB): ${title}`,
    quick: false,
    async run(bench) {
      const samples = (await clientSamples(bench))[kind];
      const notes = new Set();
      for (const [id, all] of samples) {
        const reason = all.find((one) => one.reason)?.reason;
        if (reason) notes.add(`${id}: ${reason.replaceAll(/\s+/g, ' ')}`);
      }
      const rows = [...samples].map(([id, all]) => summarise(id, all, 'milliseconds'));
      return { kind: 'milliseconds', notes: [...notes], rows, bars };
    },
  };
}

export const scenarios = [
  ...rates,
  modOnly,
  notFound,
  client('cold', 'nothing kept anywhere', [{ against: 'direct', most: 0.9 }]),
  client('warm', 'the server has all'),
  client('down', 'the upstream is gone', [{ most: 0, of: 'failed', unit: 'failed' }]),
  herd,
];
