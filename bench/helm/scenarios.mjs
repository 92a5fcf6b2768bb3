import { rm } from 'node:fs/promises';
import { provideTool } from '@entrepot/fixtures/tools';
import { inTurn } from '../lib/crowd.mjs';
import { get, keepAliveAgent } from '../lib/http.mjs';
import { run, stop } from '../lib/processes.mjs';
import { runRates } from '../lib/rates.mjs';
import { percentile, rotated, summarise } from '../lib/statistics.mjs';
import { archiveOf, CHARTS, chartName, VERSIONS } from './fixtures.mjs';
import { send } from './send.mjs';

const PEERS = ['entrepot', 'chartmuseum'];
const SIZES = Object.entries(CHARTS).map(([size, charts]) => ({ size, charts, total: charts * VERSIONS }));
const UPLOADS = 10;
const ROUNDS = 5;

/** The server of a suite with a repository of this size; the large one is shared by all scenarios. */
async function withSize(bench, scenario, id, size, use) {
  if (size === 'large') return use(await bench.server(id));
  const server = await bench.launch(id, scenario, { size });
  try {
    return await use(server);
  } finally {
    await stop(server.started);
  }
}

function uploads({ size, charts, total }) {
  return {
    id: `upload-${size}`,
    title: `Upload of a chart to ${total} versions of ${charts} charts, and then the first byte of the index with it`,
    quick: size !== 'large',
    async run(bench) {
      const rows = [];
      for (const id of PEERS.filter((id) => bench.has(id))) {
        const samples = await withSize(bench, `upload-${size}`, id, size, (server) => uploadSamples(server, charts));
        rows.push(summarise(id, samples, 'milliseconds'));
      }
      return {
        kind: 'milliseconds',
        rows,
        notes: ['p50: the upload and the first byte of the index after it; "added": the upload alone'],
        bars: [{ most: 50, of: 'milliseconds', unit: 'ms' }],
      };
    },
  };
}

async function uploadSamples(server, charts) {
  const samples = [];
  for (let turn = 0; turn < UPLOADS; turn++) {
    const name = chartName((turn * 7) % charts);
    const version = `2.${samples.length}.${Date.now() % 1000000}`;
    const headers = { 'content-type': 'application/gzip' };
    const upload = await send('POST', server.api, { headers, body: archiveOf(name, version) });
    if (upload.status !== 201) throw new Error(`${server.id}: an upload was answered with ${upload.status}`);
    const index = await get(`${server.base}/index.yaml`, { timeout: 120_000 });
    samples.push({
      milliseconds: upload.total + index.firstByte,
      added: upload.total,
      firstByte: index.firstByte,
      failed: index.body.includes(`${name}-${version}.tgz`) ? 0 : 1,
    });
  }
  return samples;
}

function rate({ size, charts, total }) {
  return {
    id: `index-${size}`,
    title: `Index of ${total} versions of ${charts} charts, 4 connections`,
    quick: size !== 'large',
    async run(bench) {
      const results = [];
      for (const id of PEERS.filter((id) => bench.has(id))) {
        const one = {
          servers: [id],
          urlOf: (server) => `${server.base}/index.yaml`,
          connections: 4,
          seconds: size === 'large' ? 8 : 4,
          field: 'requestsPerSecond',
        };
        const measured = await withSize(bench, `index-${size}`, id, size, (server) =>
          runRates({ ...bench, server: async () => server }, one),
        );
        results.push(measured);
      }
      return {
        kind: 'requestsPerSecond',
        notes: results.flatMap(({ notes }) => notes),
        rows: results.flatMap(({ rows }) => rows),
        bars: [{ against: 'chartmuseum', least: 20 }],
      };
    },
  };
}

/** The mix of ChartMuseum's own load test: its index changes all the time. */
function mixed({ size, charts, total }) {
  return {
    id: `mixed-${size}`,
    title: `Ten requests for the index to one upload, ${total} versions of ${charts} charts`,
    quick: size !== 'large',
    async run(bench) {
      const rows = [];
      for (const id of PEERS.filter((id) => bench.has(id))) {
        const samples = await withSize(bench, `mixed-${size}`, id, size, async (server) => {
          const all = [];
          for (let round = 0; round < ROUNDS; round++) all.push(await mixedRound(server, round % charts));
          return all;
        });
        rows.push(summarise(id, samples, 'requestsPerSecond'));
      }
      return { kind: 'requestsPerSecond', rows, bars: [{ against: 'chartmuseum', least: 20 }] };
    },
  };
}

async function mixedRound({ api, base }, chart) {
  const agent = keepAliveAgent(4);
  const body = archiveOf(chartName(chart), `3.0.${Date.now()}`);
  const since = performance.now();
  const upload = await send('POST', api, { headers: { 'content-type': 'application/gzip' }, body });
  // Bodies are thrown away as they come: what is measured is the server.
  const answers = await inTurn(10, 4, () => get(`${base}/index.yaml`, { agent, sink: () => {}, timeout: 120_000 }));
  const seconds = (performance.now() - since) / 1000;
  agent.destroy();
  if (upload.status !== 201 || answers.some(({ status }) => status !== 200)) throw new Error('a request was refused');
  const totals = answers.map(({ total }) => total);
  return { requestsPerSecond: 11 / seconds, p50: percentile(totals, 0.5), p99: percentile(totals, 0.99) };
}

const unchanged = {
  id: 'index-unchanged',
  title: 'Index of 39000 versions for somebody who has it already (as Flux asks), 20 connections',
  quick: false,
  async run(bench) {
    const one = {
      urlOf: (server) => `${server.base}/index.yaml`,
      connections: 20,
      seconds: 4,
      field: 'requestsPerSecond',
    };
    const ours = await runRates(bench, { ...one, servers: ['entrepot'], conditional: true });
    // It knows no tags, so it sends all of it again.
    const theirs = await runRates(bench, { ...one, servers: ['chartmuseum'] });
    return {
      kind: 'requestsPerSecond',
      notes: ['entrepot answers 304, chartmuseum sends the index: it has no tags'],
      rows: [...ours.rows, ...theirs.rows],
      bars: [{ against: 'chartmuseum', least: 20 }],
    };
  },
};

const proxied = {
  id: 'proxied-cold',
  title: 'First index of 39000 versions through a proxy, and a ping beside it (the delay of the event loop)',
  quick: false,
  async run(bench) {
    const samples = [];
    const origin = await bench.server('entrepot');
    for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
      const folder = await bench.folder();
      const server = await origin.proxies(folder);
      try {
        const pings = startPings(server.ping);
        const { status, total, firstByte } = await get(`${server.base}/yaml/index.yaml`, { timeout: 180_000 });
        const delays = await pings.stop();
        const again = await get(`${server.base}/yaml/index.yaml`);
        const pingWorst = Math.max(...delays);
        samples.push({ milliseconds: total, firstByte, pingWorst, added: again.total, failed: status === 200 ? 0 : 1 });
      } finally {
        await stop(server.started);
        await rm(folder, { recursive: true, force: true });
      }
    }
    return {
      kind: 'milliseconds',
      notes: ['"added": the same once more, kept'],
      rows: [summarise('entrepot', samples, 'milliseconds')],
      bars: [{ most: 50, of: 'pingWorst', unit: 'ms for the worst ping' }],
    };
  },
};

const client = {
  id: 'client',
  title: 'helm repo add of 39000 versions: hosted (YAML), and through a proxy as YAML and as JSON',
  quick: false,
  async run(bench) {
    const rows = [];
    const origin = await bench.server('entrepot');
    const folder = await bench.folder();
    const proxy = await origin.proxies(folder);
    const museum = bench.has('chartmuseum')
      ? [{ id: 'chartmuseum', url: (await bench.server('chartmuseum')).base }]
      : [];
    const places = [
      { id: 'entrepot', url: origin.base },
      { id: 'proxy yaml', url: `${proxy.base}/yaml` },
      { id: 'proxy json', url: `${proxy.base}/json` },
      ...museum,
    ];
    try {
      for (const { url } of places) await get(`${url}/index.yaml`, { timeout: 180_000 });
      for (const name of ['helm-3', 'helm-4']) {
        const program = await provideTool(name);
        if (program === undefined) continue;
        const helm = { name, program };
        const samples = new Map(places.map(({ id }) => [id, []]));
        for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
          for (const { id, url } of rotated(places, turn)) samples.get(id).push(await addRepository(bench, helm, url));
        }
        for (const [id, all] of samples) {
          const row = summarise(id, all, 'milliseconds');
          rows.push({ ...row, server: `${id} ${helm.name}` });
        }
      }
      return { kind: 'milliseconds', rows, bars: [] };
    } finally {
      await stop(proxy.started);
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function addRepository(bench, { program }, url) {
  const home = await bench.folder();
  try {
    const env = { PATH: process.env.PATH, HOME: home, TMPDIR: home };
    const since = performance.now();
    const { code, output } = await run(program, ['repo', 'add', 'bench', url], { env, cwd: home, timeout: 120_000 });
    if (code !== 0) throw new Error(`helm repo add ${url}: ${output.slice(0, 300)}`);
    return { milliseconds: performance.now() - since };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** Small requests one after the other on one connection, until stopped. @returns their times in milliseconds. */
function startPings(url) {
  const agent = keepAliveAgent();
  const delays = [];
  const stopping = new AbortController();
  const ended = (async () => {
    while (!stopping.signal.aborted) delays.push((await get(url, { agent })).total);
    agent.destroy();
  })();
  return {
    async stop() {
      stopping.abort();
      await ended;
      return delays;
    },
  };
}

export const scenarios = [...SIZES.map(uploads), ...SIZES.map(mixed), ...SIZES.map(rate), unchanged, proxied, client];
