import { setTimeout as sleep } from 'node:timers/promises';
import { crowd, inTurn } from '../lib/crowd.mjs';
import { sha256 } from '../lib/fixtures.mjs';
import { decoded, get, keepAliveAgent } from '../lib/http.mjs';
import { cpuSeconds, stop } from '../lib/processes.mjs';
import { runRates } from '../lib/rates.mjs';
import { median, rotated, summarise } from '../lib/statistics.mjs';
import { downloads } from './downloads.mjs';
import { JSON_PAGE, metadata, pageDigest, wheelNames } from './fixtures.mjs';

const PEERS = ['entrepot', 'devpi', 'proxpi'];
/** As pip sends it. */
const PIP_ACCEPT = `${JSON_PAGE}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01`;
const AGAINST_PEERS = [
  { against: 'devpi', least: 10 },
  { against: 'proxpi', least: 10 },
];
const CLIENTS = 50;
const METADATA_FILES = 500;
const TAIL = 16_384;
/** A crowd and a fan-out take long on some peers; the median of three is enough. */
const FEW = 3;

/** Every server lays its files out in its own way: where they are is what the page says. */
async function wheelUrl(server, project, filename) {
  const page = server.page(project);
  const answer = await get(page, { headers: { accept: PIP_ACCEPT } });
  const found = answer.status === 200 && JSON.parse(answer.body).files.find((file) => file.filename === filename);
  return found ? new URL(found.url, page).href.split('#')[0] : undefined;
}

async function startAll(bench) {
  const servers = [];
  for (const id of PEERS.filter((id) => bench.has(id))) servers.push(await bench.server(id));
  return servers;
}

function pageCase(count, form, coding, extra = {}) {
  const project = `page-${count}`;
  const headers = { accept: form === 'json' ? PIP_ACCEPT : 'text/html', 'accept-encoding': coding };
  return {
    id: `page-${count}-${form}-${coding}`,
    title: `Project page, ${count} files, ${form === 'json' ? 'JSON' : 'HTML'}, ${coding === 'gzip' ? 'gzip' : 'no coding'}`,
    headers,
    servers: PEERS,
    urlOf: (server) => server.page(project),
    expected: async (bench) => pageDigest(decoded(await bench.origin.prepare(`/simple/${project}/`, headers))),
    digest: pageDigest,
    connections: count > 1000 ? 4 : 8,
    field: 'requestsPerSecond',
    ...(form === 'json' && { bars: AGAINST_PEERS }),
    ...extra,
  };
}

function fileCase(suffix, extra) {
  const [filename] = wheelNames('page-40');
  return {
    servers: PEERS,
    headers: { accept: '*/*', 'accept-encoding': 'identity' },
    urlOf: async (server) => {
      const url = await wheelUrl(server, 'page-40', filename);
      return url && url + suffix;
    },
    expected: async (bench) => sha256((await bench.origin.prepare(`/packages/page-40/${filename}${suffix}`)).body),
    digest: sha256,
    connections: 8,
    field: 'requestsPerSecond',
    ...extra,
  };
}

const CASES = [
  pageCase(40, 'json', 'gzip'),
  pageCase(500, 'json', 'gzip'),
  pageCase(3000, 'json', 'gzip'),
  pageCase(500, 'json', 'identity'),
  pageCase(40, 'html', 'gzip', { seconds: 1 }),
  pageCase(500, 'html', 'gzip', { seconds: 1 }),
  pageCase(3000, 'html', 'gzip', { seconds: 1 }),
  pageCase(500, 'json', 'gzip', {
    id: 'page-500-304',
    title: 'Project page, 500 files, JSON, If-None-Match answered with 304',
    conditional: true,
    bars: [],
    seconds: 1,
  }),
  fileCase('.metadata', { id: 'metadata', title: 'One .metadata sidecar, 3 KB', seconds: 1 }),
  fileCase('', { id: 'wheel-100', title: 'Wheel, 100 KB' }),
];

const rates = CASES.map((one) => ({
  id: one.id,
  title: one.title,
  quick: (one.bars ?? []).length > 0,
  run: (bench) => runRates(bench, one),
}));

/** Reads the metadata files of all candidates, many at a time, as a resolver does. */
function fanOut(isWarm) {
  return {
    id: `metadata-fan-out-${isWarm ? 'warm' : 'cold'}`,
    title: `${METADATA_FILES} .metadata sidecars, ${CLIENTS} at a time, ${isWarm ? 'warm' : 'cold'}, project page warm`,
    quick: false,
    async run(bench) {
      const servers = await startAll(bench);
      const notes = new Set();
      const samples = new Map(servers.map(({ id }) => [id, []]));
      const agent = keepAliveAgent(CLIENTS);
      for (let turn = 0; turn < Math.min(FEW, bench.options.runs) && bench.timeLeft(); turn++) {
        const project = `page-500-m${turn}`;
        const names = wheelNames(project).slice(0, METADATA_FILES);
        await bench.origin.prepare(`/simple/${project}/`, { accept: PIP_ACCEPT });
        for (const server of rotated(servers, turn)) {
          const urls = await wheelUrls(server, project);
          const ask = (index) => get(`${urls.get(names[index])}.metadata`, { agent });
          if (isWarm) await inTurn(names.length, CLIENTS, ask);
          const before = await bench.origin.traffic();
          const cpu = cpuSeconds(server.started.pid);
          const since = performance.now();
          const answers = await inTurn(names.length, CLIENTS, ask);
          const milliseconds = performance.now() - since;
          const used = cpuSeconds(server.started.pid) - cpu;
          for (const { status } of answers) if (status !== 200) notes.add(`${server.id} answers some with ${status}`);
          const right = answers.filter(
            ({ status, body }, index) => status === 200 && body.equals(metadata(project, names[index])),
          );
          samples.get(server.id).push({
            milliseconds,
            upstreamRequests: (await bench.origin.traffic()).requests - before.requests,
            cpu: used,
            failed: names.length - right.length,
          });
        }
      }
      agent.destroy();
      return {
        kind: 'milliseconds',
        notes: [...notes],
        rows: servers.map(({ id }) => summarise(id, samples.get(id), 'milliseconds')),
        bars: [],
      };
    },
  };
}

async function wheelUrls(server, project) {
  const page = server.page(project);
  const answer = await get(page, { headers: { accept: PIP_ACCEPT } });
  if (answer.status !== 200) throw new Error(`${server.id}: expected 200 for ${page}, found ${answer.status}`);
  const { files } = JSON.parse(answer.body);
  return new Map(files.map(({ filename, url }) => [filename, new URL(url, page).href.split('#')[0]]));
}

/** The last bytes of a wheel, where its directory is: what a lazy client asks for first. */
function rangeTail(isWarm) {
  return {
    id: `range-tail-${isWarm ? 'warm' : 'cold'}`,
    title: `The last 16 KB of a wheel of 50 MB by a range, ${isWarm ? 'warm' : 'cold'}`,
    quick: false,
    async run(bench) {
      const servers = await startAll(bench);
      const notes = new Set();
      const samples = new Map(servers.map(({ id }) => [id, []]));
      for (let turn = 0; turn < Math.min(FEW, bench.options.runs) && bench.timeLeft(); turn++) {
        const project = `wheel-50000-r${turn}`;
        const [filename] = wheelNames(project);
        await bench.origin.prepare(`/simple/${project}/`, { accept: PIP_ACCEPT });
        const { body } = await bench.origin.prepare(`/packages/${project}/${filename}`);
        for (const server of rotated(servers, turn)) {
          const url = await wheelUrl(server, project, filename);
          if (isWarm) await get(url, { sink() {} });
          const before = await bench.origin.traffic();
          const answer = await get(url, { headers: { range: `bytes=${body.length - TAIL}-${body.length - 1}` } });
          const tail = answer.status === 206 ? answer.body : answer.body.subarray(-TAIL);
          if (answer.status !== 206) notes.add(`${server.id} answers ${answer.status}, with the whole file`);
          if (!tail.equals(body.subarray(-TAIL))) throw new Error(`${server.id}: other bytes than the origin's`);
          const { requests } = await bench.origin.traffic();
          samples.get(server.id).push({
            milliseconds: answer.total,
            clientMegabytes: answer.body.length / 1e6,
            upstreamRequests: requests - before.requests,
          });
          // What a server fetches behind the answer must not run into the next one's time.
          if (!isWarm) await get(url, { sink() {} });
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
}

/** Everybody wants the page of one project that nobody has asked for. */
const burst = {
  id: 'burst-page',
  title: `${CLIENTS} clients at once on one cold project page (500 files, JSON)`,
  async run(bench) {
    const servers = await startAll(bench);
    const samples = new Map(servers.map(({ id }) => [id, []]));
    const notes = new Set();
    const agent = keepAliveAgent(CLIENTS);
    // Some fetch the list of projects first; that is once, and not this project's.
    for (const server of servers) await get(server.page('page-40'), { headers: { accept: PIP_ACCEPT } });
    for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
      const project = `page-500-b${turn}`;
      const path = `/simple/${project}/`;
      const headers = { accept: PIP_ACCEPT, 'accept-encoding': 'gzip' };
      const expected = pageDigest(decoded(await bench.origin.prepare(path, headers)));
      for (const server of rotated(servers, turn)) {
        // With or without the slash at its end.
        const isPage = (asked) => asked.startsWith(path.slice(0, -1));
        const before = await bench.origin.traffic(isPage);
        const answers = await crowd(CLIENTS, () => get(server.page(project), { headers, agent }));
        const good = answers.filter((answer) => answer.status === 200 && pageDigest(decoded(answer)) === expected);
        const incomplete = answers.filter((answer) => answer.status === 200).length - good.length;
        if (incomplete > 0) notes.add(`${server.id} answers some with 200 and a page without the files`);
        for (const { status } of answers) if (status !== 200) notes.add(`${server.id} answers some with ${status}`);
        samples.get(server.id).push({
          upstreamRequests: (await bench.origin.traffic(isPage)).requests - before.requests,
          milliseconds: median(good.map((answer) => answer.total)),
          last: Math.max(...good.map((answer) => answer.total)),
          failed: answers.length - good.length,
        });
      }
    }
    agent.destroy();
    return {
      kind: 'upstreamRequests',
      notes: [...notes],
      rows: servers.map(({ id }) => summarise(id, samples.get(id), 'upstreamRequests')),
      bars: [{ most: 1, of: 'high', unit: 'upstream requests' }],
    };
  },
};

/** Pages that are no longer fresh, files, and a name that nobody knows, when the upstream has gone. */
const upstreamDown = {
  id: 'upstream-down',
  title: 'The upstream is gone: a page that is no longer fresh and a wheel, 10 times each in turn',
  quick: false,
  async run(bench) {
    const samples = new Map();
    const notes = new Set();
    for (let turn = 0; turn < Math.min(FEW, bench.options.runs) && bench.timeLeft(); turn++) {
      const origin = await bench.launchOrigin();
      const launched = [];
      try {
        for (const id of PEERS.filter((id) => bench.has(id))) {
          launched.push(await bench.launch(id, `down-${turn}`, { origin, freshFor: 1 }));
        }
        const urls = new Map();
        for (const server of launched) {
          const url = await wheelUrl(server, `page-40-d${turn}`, wheelNames(`page-40-d${turn}`)[0]);
          await get(url);
          await get(server.page(`page-40-d${turn}`), { headers: { accept: PIP_ACCEPT } });
          urls.set(server.id, url);
        }
        await stop(origin.started);
        await sleep(2_500);
        for (const server of rotated(launched, turn)) {
          const answers = [];
          for (let index = 0; index < 10; index++) {
            answers.push(await down(server.page(`page-40-d${turn}`)), await down(urls.get(server.id)));
          }
          const unknown = await down(server.page(`page-500-d${turn}`));
          const totals = answers.map(({ total }) => total);
          const bad = answers.find(({ status }) => status !== 200);
          if (bad) notes.add(`${server.id} answers ${bad.status} for what it has`);
          if (!samples.has(server.id)) samples.set(server.id, []);
          samples.get(server.id).push({
            served: answers.filter(({ status }) => status === 200).length / answers.length,
            milliseconds: median(totals),
            worst: Math.max(...totals),
            unknownStatus: unknown.status,
            unknownMilliseconds: unknown.total,
          });
        }
      } finally {
        await Promise.all([...launched, origin].map((server) => stop(server.started)));
      }
    }
    return {
      kind: 'served',
      notes: [...notes],
      rows: [...samples].map(([id, all]) => summarise(id, all, 'served')),
      bars: [{ least: 1, of: 'low', unit: 'of what was asked for' }],
    };
  },
};

async function down(url) {
  const since = performance.now();
  const answer = await get(url, { headers: { accept: `${PIP_ACCEPT}, */*;q=0.01` }, timeout: 20_000 }).catch(() => ({
    status: 0,
    total: performance.now() - since,
  }));
  return answer;
}

export const scenarios = [
  ...rates,
  fanOut(false),
  fanOut(true),
  rangeTail(false),
  rangeTail(true),
  ...downloads,
  burst,
  upstreamDown,
];
