import { setTimeout as sleep } from 'node:timers/promises';
import { packumentDigest, sha256 } from '../lib/fixtures.mjs';
import { decoded, get } from '../lib/http.mjs';
import { load } from '../lib/load.mjs';
import { assertListener } from '../lib/processes.mjs';
import { rotated, summarise } from '../lib/statistics.mjs';

const ABBREVIATED = 'application/vnd.npm.install-v1+json';
const GZIP = { accept: 'application/json', 'accept-encoding': 'gzip' };
const IDENTITY = { accept: 'application/json', 'accept-encoding': 'identity' };
const BYTES = { accept: '*/*' };
const WARM_UP_SECONDS = 1;

const DOCUMENT_PEERS = ['entrepot', 'verdaccio', 'koa', 'nginx'];
const TARBALL_PEERS = ['entrepot', 'verdaccio', 'nginx', 'nginx-auto', 'koa'];
const FILE_PEERS = ['entrepot', 'nginx', 'nginx-auto', 'nginx-copy'];
/** Not in a quick run. */
const EXTRA_PEERS = new Set(['nginx-auto', 'nginx-copy']);
const AGAINST_DOCUMENT_PEERS = [
  { against: 'verdaccio', least: 25 },
  { against: 'koa', least: 0.6 },
];

const CASES = [
  {
    id: 'packument-165-gzip',
    title: 'Packument, 165 KB, 133 versions, gzip',
    ...document('versions-133', GZIP),
    servers: [...DOCUMENT_PEERS, 'nginx-auto'],
    bars: AGAINST_DOCUMENT_PEERS,
  },
  {
    id: 'packument-165-identity',
    title: 'Packument, 165 KB, 133 versions, no coding',
    ...document('versions-133', IDENTITY),
    servers: [...DOCUMENT_PEERS, 'nginx-auto'],
    bars: AGAINST_DOCUMENT_PEERS,
  },
  {
    id: 'packument-165-abbreviated',
    title: 'Packument, 133 versions, abbreviated (what npm install asks for), gzip',
    ...document('versions-133', { ...GZIP, accept: ABBREVIATED }),
    servers: DOCUMENT_PEERS,
  },
  {
    id: 'packument-165-304',
    title: 'Packument, 165 KB, If-None-Match answered with 304',
    ...document('versions-133', GZIP),
    conditional: true,
    servers: DOCUMENT_PEERS,
    bars: [{ against: 'koa', least: 0.6 }],
  },
  {
    id: 'packument-37-gzip',
    title: 'Packument, 37 KB, 30 versions, gzip',
    ...document('versions-30', GZIP),
    servers: DOCUMENT_PEERS,
  },
  {
    id: 'packument-372-gzip',
    title: 'Packument, 372 KB, 300 versions, gzip',
    ...document('versions-300', GZIP),
    servers: DOCUMENT_PEERS,
  },
  {
    id: 'packument-9700-gzip',
    title: 'Packument, 9.7 MB, 1500 versions, gzip',
    ...document('versions-1500', GZIP),
    servers: DOCUMENT_PEERS,
    connections: 2,
    seconds: 3,
  },
  {
    id: 'tarball-300',
    title: 'Tarball, 300 KB',
    ...archive(300),
    servers: TARBALL_PEERS,
    bars: [
      { against: 'verdaccio', least: 6 },
      { against: 'nginx', least: 0.6 },
    ],
  },
  { id: 'tarball-100', title: 'Tarball, 100 KB', ...archive(100), servers: TARBALL_PEERS },
  {
    id: 'file-10',
    title: 'File, 10 MB',
    ...file(10_000_000),
    servers: FILE_PEERS,
    bars: [{ against: 'nginx', least: 0.7 }],
  },
  {
    id: 'file-100',
    title: 'File, 100 MB',
    ...file(100_000_000),
    seconds: 3,
    servers: FILE_PEERS,
    bars: [{ against: 'nginx', least: 0.7 }],
  },
];

function document(name, headers) {
  return {
    mount: 'npm',
    path: `/${name}`,
    headers,
    digest: packumentDigest,
    connections: 16,
    field: 'requestsPerSecond',
  };
}

function archive(kilobytes) {
  const name = `tarball-${kilobytes}`;
  const path = `/${name}/-/${name}-1.0.0.tgz`;
  const warm = [`/${name}`];
  return { mount: 'npm', path, warm, headers: BYTES, digest: sha256, connections: 16, field: 'requestsPerSecond' };
}

function file(bytes) {
  const path = `/bytes-${bytes}`;
  return { mount: 'files', path, headers: BYTES, digest: sha256, connections: 4, field: 'gigabytesPerSecond' };
}

/** One scenario a case: what is in the cache, served under load. */
export const hits = CASES.map((one) => ({
  id: one.id,
  title: one.title,
  /** Whether it is part of a quick run. */
  quick: one.bars !== undefined || one.conditional === true,
  run: (bench) => runCase(bench, one),
}));

async function runCase(bench, one) {
  const notes = [];
  const targets = [];
  const wanted = one.servers.filter((id) => bench.has(id) && !(bench.options.quick && EXTRA_PEERS.has(id)));
  for (const id of wanted) {
    const target = await warmUp(bench, one, await bench.server(id), notes);
    if (target) targets.push(target);
  }
  const seconds = one.seconds ?? (one.bars && !bench.options.quick ? 2 : 1);
  const samples = new Map(targets.map((target) => [target.id, []]));
  const path = `/${one.mount}${one.path}`;
  const before = await bench.origin.count(path);
  for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
    for (const target of rotated(targets, turn)) {
      samples.get(target.id).push(await load(bench.wrk, { ...target, connections: one.connections, seconds }));
    }
  }
  const asked = (await bench.origin.count(path)) - before;
  if (asked > 0) throw new Error(`${one.id}: expected answers from caches, the origin was asked ${asked} times`);
  return {
    notes,
    kind: one.field,
    rows: targets
      .filter((target) => samples.get(target.id).length > 0)
      .map((target) => summarise(target.id, samples.get(target.id), one.field)),
    bars: one.bars ?? [],
  };
}

/** Fills the cache, proves that the answer is right and comes from the process under test, and lets the JIT settle. */
async function warmUp(bench, one, server, notes) {
  assertListener(server.port, server.started.pid);
  const expected = await bench.origin.prepare(`/${one.mount}${one.path}`, one.headers);
  const url = server.copy ? `${server.base}/${one.mount}${one.path}` : `${server[one.mount]}${one.path}`;
  if (server.copy) await giveCopy(bench, one, server);
  else for (const path of one.warm ?? []) await get(`${server[one.mount]}${path}`, { headers: GZIP });
  let answer;
  for (let turn = 0; turn < 3; turn++) answer = await get(url, { headers: one.headers });
  if (answer.status !== 200) throw new Error(`${server.id}: expected 200 for ${url}, found ${answer.status}`);
  if (one.digest(decoded(answer)) !== one.digest(decoded(expected))) {
    throw new Error(`${server.id}: ${url} does not have the origin's bytes`);
  }
  const wanted = one.headers['accept-encoding'];
  const found = answer.headers['content-encoding'] ?? 'identity';
  if (wanted && wanted !== found) notes.push(`${server.id} answered with coding ${found}`);
  const headers = { ...one.headers };
  if (one.conditional) {
    headers['if-none-match'] = answer.headers.etag ?? '"none"';
    const again = await get(url, { headers });
    if (again.status !== 304) {
      notes.push(`${server.id} answers ${again.status} instead of 304`);
      return undefined;
    }
  }
  const target = { id: server.id, url, headers, pid: server.started.pid };
  await load(bench.wrk, { ...target, connections: one.connections, seconds: WARM_UP_SECONDS });
  await sleep(50);
  return target;
}

/** Koa gets what Entrepot answers: the same buffer, the same headers. Without Entrepot, the origin's. */
async function giveCopy(bench, one, koa) {
  const source = bench.has('entrepot') ? (await bench.server('entrepot'))[one.mount] : bench.origin[one.mount];
  for (const path of one.warm ?? []) await get(`${source}${path}`, { headers: GZIP });
  await get(`${source}${one.path}`, { headers: one.headers });
  const answer = await get(`${source}${one.path}`, { headers: one.headers });
  const encoding = one.headers['accept-encoding'] === 'gzip' ? 'gzip' : 'identity';
  await koa.copy(`/${one.mount}${one.path}`, encoding, answer);
}
