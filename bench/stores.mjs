/**
 * Entrepot over different stores, and with several processes, in one run: CPU time a request for artifacts of 1 MiB, which are not
 * kept in memory.
 *
 * node scripts/node.mjs bench/stores.mjs [--runs 5] [--seconds 2]
 *
 * Needs versitygw (`node acceptance/install-tools.mjs`) and a build. Prints, run by run in turns: a hit from the file system, from the
 * disk cache before S3, from S3, and with clients redirected to S3; the same by two workers; the S3 server's own GET of the same object, and that GET passed on by the
 * least program of Node that does so; resident memory when idle.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { builtTool } from '@entrepot/fixtures/tools';
import { sha256 } from './lib/fixtures.mjs';
import { get, keepAliveAgent } from './lib/http.mjs';
import { wrkProgram } from './lib/install.mjs';
import { load } from './lib/load.mjs';
import { freePort, killAll, residentMiB, start, stop, waitUntilReady } from './lib/processes.mjs';
import { median, rotated } from './lib/statistics.mjs';
import { launchEntrepot } from './servers/entrepot.mjs';
import { launchOrigin } from './servers/origin.mjs';

const CONNECTIONS = 16;
const PATH = '/tarball-1024/-/tarball-1024-1.0.0.tgz';
const BUCKET = 'bench';
const SECRET = 'bench-secret';
const KEYS = { accessKeyId: 'bench', secretAccessKey: '${env:BENCH_S3_SECRET}' };
process.env.BENCH_S3_SECRET = SECRET;
const IDLE = 5_000;
const S3_ITSELF = 'S3 server by itself';
const REDIRECTED = 'S3, clients redirected to it';
const RELAY = 'Node alone, from S3';

const { values: flags } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
const runs = Number(flags.runs);
const seconds = Number(flags.seconds);

const wrk = await wrkProgram();
if (wrk.missing !== undefined) throw new Error(wrk.missing);
const versitygw = builtTool('versitygw');
if (versitygw === undefined) throw new Error('versitygw was expected: node acceptance/install-tools.mjs');
const folder = await mkdtemp(join(tmpdir(), 'entrepot-bench-stores-'));
const started = [];
try {
  const origin = await launchOrigin();
  started.push(origin.started);
  const s3 = await launchS3();
  const storage = (prefix, more) => ({
    backend: 's3',
    bucket: BUCKET,
    endpoint: s3.url,
    prefix,
    credentials: KEYS,
    ...more,
  });
  const sides = [];
  for (const [id, settings] of [
    ['file system', {}],
    ['file system again', {}],
    ['two workers', { workers: 2 }],
    [
      'S3 behind a disk cache',
      { storage: storage('cached', { cache: { path: join(folder, 'copies'), maxBytes: '1GiB' } }) },
    ],
    ['S3', { storage: storage('plain', {}) }],
    [REDIRECTED, { storage: storage('redirected', { redirect: { minSize: '512KiB' } }) }],
  ]) {
    const place = join(folder, id.replaceAll(' ', '-'));
    await mkdir(place);
    const { workers, storage: blobs } = settings;
    const port = await freePort();
    const more = {
      ...(blobs && { storage: blobs }),
      server: { listen: `127.0.0.1:${port}`, ...(workers && { workers }) },
    };
    const repositories = { npm: { type: 'npm', upstream: origin.npm, cache: { packument: { freshFor: '1h' } } } };
    const server = await launchEntrepot({ folder: place, repositories, more, port });
    started.push(server.started);
    sides.push({ id, url: `${server.base}/npm${PATH}`, pid: server.started.pid });
  }
  await sleep(IDLE);
  const idle = new Map(sides.map(({ id, pid }) => [id, residentMiB(pid)]));
  const expected = sha256((await origin.prepare(`/npm${PATH}`)).body);
  const agent = keepAliveAgent();
  for (const { id, url } of sides) {
    await get(url.replace(PATH, '/tarball-1024'), { agent, headers: { accept: 'application/json' } });
    // Twice: a process, and a cache, may have none of it after the first.
    for (let turn = 0; turn < 6; turn += 1) {
      const answer = await get(url, { agent });
      const isRight = answer.status === 200 && sha256(answer.body) === expected;
      // A client that is redirected has two requests: one here, and one of the S3 server.
      if (!isRight && !(id === REDIRECTED && answer.status === 307)) throw new Error(`${id}: status ${answer.status}`);
    }
  }
  const own = await s3.signed('plain', expected);
  sides.push({ id: S3_ITSELF, url: own, pid: s3.pid }, { id: RELAY, ...(await launchRelay(own)) });
  const samples = new Map(sides.map(({ id }) => [id, []]));
  for (const side of sides) await load(wrk.path, { ...side, connections: CONNECTIONS, seconds: 1 });
  for (let run = 0; run < runs; run += 1) {
    for (const side of rotated(sides, run)) {
      samples.get(side.id).push(await load(wrk.path, { ...side, connections: CONNECTIONS, seconds }));
    }
  }
  print(sides, samples, idle);
} finally {
  for (const one of started.reverse()) await stop(one);
  await rm(folder, { recursive: true, force: true });
  killAll();
}

/** A program of Node that passes on what is at `url`. */
async function launchRelay(url) {
  const port = await freePort();
  const relay = start(
    process.execPath,
    [fileURLToPath(new URL('servers/relay.mjs', import.meta.url)), `${port}`, url],
    {
      cwd: folder,
    },
  );
  started.push(relay);
  await waitUntilReady(relay, `http://127.0.0.1:${port}/`, performance.now());
  return { url: `http://127.0.0.1:${port}/`, pid: relay.pid };
}

/** A server of S3 over a folder. */
async function launchS3() {
  const port = await freePort();
  const place = join(folder, 's3');
  await mkdir(join(place, BUCKET), { recursive: true });
  const args = ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', 'posix', place];
  const env = { ...process.env, ROOT_ACCESS_KEY: KEYS.accessKeyId, ROOT_SECRET_KEY: SECRET };
  const server = start(versitygw, args, { cwd: place, env });
  started.push(server);
  const url = `http://127.0.0.1:${port}`;
  for (let left = 100; ; left -= 1) {
    const isUp = await get(url).then(
      () => true,
      () => false,
    );
    if (isUp) break;
    if (left === 0) throw new Error(`versitygw did not start:\n${server.output()}`);
    await sleep(50);
  }
  return {
    url,
    pid: server.pid,
    /** A URL of the object of a blob. */
    async signed(prefix, hex) {
      const { openBlobs } = await import('../host/dist/container/open-stores.js');
      const { loadConfig } = await import('../host/dist/config/load.js');
      const { config } = await loadConfig({ env: { BENCH_S3_SECRET: SECRET }, cwd: join(folder, 'S3') });
      const logger = { debug() {}, info() {}, warn() {}, error() {} };
      const store = await openBlobs(config.storage, logger);
      const signed = await store.signedUrl(`sha256:${hex}`, { ttl: 3_600_000 });
      await store.dispose();
      if (signed === undefined) throw new Error(`${prefix}: a signed URL was expected`);
      return signed.href;
    },
  };
}

function print(sides, samples, idle) {
  const reference = samples.get('file system');
  process.stdout.write(
    '| 1 MiB | CPU ms a request | of the file system | requests/s | idle MiB |\n| --- | --- | --- | --- | --- |\n',
  );
  for (const { id } of sides) {
    const own = samples.get(id);
    const cpu = own.map(({ cpuPerRequest }) => cpuPerRequest);
    const ratio = median(cpu.map((value, run) => value / reference[run].cpuPerRequest));
    const rate = median(own.map(({ requestsPerSecond }) => requestsPerSecond));
    const memory = idle.get(id);
    process.stdout.write(
      `| ${id} | ${median(cpu).toFixed(3)} (${Math.min(...cpu).toFixed(3)}–${Math.max(...cpu).toFixed(3)}) | ${ratio.toFixed(2)} | ${Math.round(rate)} | ${memory === undefined ? '' : memory.toFixed(0)} |\n`,
    );
  }
  for (const [id, other] of [
    ['S3', S3_ITSELF],
    ['S3', RELAY],
    [REDIRECTED, S3_ITSELF],
  ]) {
    const [ours, theirs] = [id, other].map((one) => samples.get(one).map(({ cpuPerRequest }) => cpuPerRequest));
    const ratio = median(ours.map((value, run) => value / theirs[run]));
    process.stdout.write(`\nEntrepot (${id}) beside ${other}: ${ratio.toFixed(2)}\n`);
  }
}
