// Measures what the shared cache brings: a cold server beside a warm one over the same store, with Redis between them and without. Needs a
// build, and `redis-server`. Prints, for rewritten documents of npm of several sizes, the latency of the first request at the cold server and the
// CPU time that it takes there; the median of `--runs N` (5), those with and without in turns.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

/** @import { ChildProcess } from 'node:child_process' */

const MAIN = fileURLToPath(new URL('../deploy/npm/bin/entrepot.js', import.meta.url));
/** Documents of each size. */
const NAMES = 30;
/** Versions of a document: about 2 KiB each. */
const SIZES = [1, 5, 20, 150, 600, 2_000];
/** Clock ticks of /proc/<pid>/stat a second. */
const TICKS = 100;

const { values: options } = parseArgs({ options: { runs: { type: 'string', default: '5' } } });

/** @param {string} name @param {number} count */
function packument(name, count) {
  const hash = (/** @type {string} */ text) => createHash('sha512').update(text).digest('base64');
  const versions = Array.from({ length: count }, (_, at) => {
    const version = `${Math.floor(at / 100)}.${Math.floor(at / 10) % 10}.${at % 10}`;
    const integrity = `sha512-${hash(`${name}@${version}`)}`;
    const dependencies = Object.fromEntries(
      Array.from({ length: 12 }, (_, of) => [`dependency-of-it-${of}`, `^${of}.${at % 7}.0`]),
    );
    const manifest = {
      name,
      version,
      description: 'A package that is as long as most of them are, with a description of a line',
      main: 'index.js',
      scripts: { test: 'node --test', build: 'tsc -b', lint: 'eslint .', prepublishOnly: 'npm run build' },
      license: 'MIT',
      repository: { type: 'git', url: `git+https://example.com/${name}.git` },
      dependencies,
      devDependencies: dependencies,
      dist: {
        tarball: `https://registry.example.com/${name}/-/${name}-${version}.tgz`,
        integrity,
        shasum: createHash('sha1').update(integrity).digest('hex'),
        fileCount: 12,
        unpackedSize: 40_000 + at,
        signatures: [{ keyid: 'SHA256:key', sig: hash(integrity) }],
      },
      maintainers: [{ name: 'somebody', email: 'somebody@example.com' }],
    };
    return /** @type {const} */ ([version, manifest]);
  });
  const time = Object.fromEntries(
    versions.map(([version], at) => [version, new Date(1.5e12 + at * 1e8).toISOString()]),
  );
  const latest = versions.at(-1)?.[0];
  return JSON.stringify({ name, 'dist-tags': { latest }, versions: Object.fromEntries(versions), time });
}

const upstream = createServer((request, response) => {
  const [, versions] = /^\/sized-(\d+)-\d+$/.exec(request.url ?? '') ?? [];
  if (versions === undefined) return void response.writeHead(404).end();
  response.writeHead(200, { 'content-type': 'application/json', etag: '"1"' });
  response.end(packument((request.url ?? '').slice(1), Number(versions)));
}).listen(0, '127.0.0.1');
await once(upstream, 'listening');
const base = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (upstream.address()).port}/`;

const folder = await mkdtemp(join(tmpdir(), 'entrepot-shared-cache-'));
const redisPort = await freePort();
const redis = spawn(
  'redis-server',
  ['--port', `${redisPort}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
  {
    cwd: folder,
    stdio: 'ignore',
  },
);
// What clients are told is the same, whichever server they ask.
const publicUrl = 'http://packages.example.com';

/** @typedef {{ url: string, child: ChildProcess }} Server */

/** @param {string} name @param {boolean} isShared @returns {Promise<Server>} */
async function start(name, isShared) {
  const port = await freePort();
  const configuration = {
    server: { listen: `127.0.0.1:${port}`, publicUrl },
    storage: { path: join(folder, 'blobs'), spool: { path: join(folder, `spool-${name}`) }, verify: { rate: 0 } },
    metadata: { path: join(folder, 'entrepot.db') },
    cache: isShared ? { backend: 'redis', url: `redis://127.0.0.1:${redisPort}` } : {},
    log: { level: 'silent' },
    repositories: { npm: { type: 'npm', upstream: base, cache: { packument: { freshFor: '1d' } } } },
  };
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, JSON.stringify(configuration));
  const { ENTREPOT_NODE: _node, ...env } = process.env;
  const child = spawn(process.execPath, [MAIN, 'serve', '-c', file], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  for (let left = 500; left > 0; left -= 1) {
    const isReady = await fetch(`${url}/-/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return { url, child };
    if (child.exitCode !== null) break;
    await delay(50);
  }
  throw new Error('the server was expected to start');
}

/** @param {Server} server */
async function stop({ child }) {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** @returns {Promise<number>} a port that nobody listens on */
async function freePort() {
  const socket = createSocket().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (socket.address());
  socket.close();
  return port;
}

/** CPU time of a process, all its threads, in milliseconds. @param {ChildProcess} child */
async function cpuOf({ pid }) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

/** @param {string} url @returns {Promise<number>} bytes as sent */
async function load(url) {
  return await new Promise((resolve, reject) => {
    get(url, { headers: { 'accept-encoding': 'gzip' } }, (response) => {
      let size = 0;
      response.on('data', (/** @type {Buffer} */ part) => (size += part.length));
      response.on('end', () =>
        response.statusCode === 200 ? resolve(size) : reject(new Error(`${response.statusCode} for ${url}`)),
      );
      response.on('error', reject);
    }).on('error', reject);
  });
}

/** @param {Server} server @param {number} size */
async function askAll({ url, child }, size) {
  const before = await cpuOf(child);
  const latencies = [];
  let bytes = 0;
  for (let at = 0; at < NAMES; at += 1) {
    const began = performance.now();
    bytes = await load(`${url}/npm/sized-${size}-${at}`);
    latencies.push(performance.now() - began);
  }
  return { latency: median(latencies), cpu: ((await cpuOf(child)) - before) / NAMES, bytes };
}

/** @param {readonly number[]} numbers */
function median(numbers) {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** @type {Map<string, { latency: number, cpu: number, bytes: number }[]>} */
const results = new Map();
const note = (/** @type {string} */ key, /** @type {{ latency: number, cpu: number, bytes: number }} */ result) =>
  results.set(key, [...(results.get(key) ?? []), result]);

try {
  const warm = await start('warm', true);
  for (const size of SIZES) await askAll(warm, size);
  for (let run = 0; run < Number(options.runs); run += 1) {
    for (const isShared of run % 2 === 0 ? [true, false] : [false, true]) {
      const cold = await start('cold', isShared);
      // Code that runs for the first time is another matter.
      for (let at = 0; at < 5; at += 1) await load(`${cold.url}/npm/sized-${SIZES[3]}-${at}`);
      for (const size of SIZES) note(`${size} ${isShared}`, await askAll(cold, size));
      await stop(cold);
    }
  }
  await stop(warm);
  process.stdout.write(
    '| document | sent | without: first request, CPU | with Redis: first request, CPU |\n|---|---|---|---|\n',
  );
  for (const size of SIZES) {
    const cells = [false, true].map((isShared) => {
      const own = results.get(`${size} ${isShared}`) ?? [];
      const of = (/** @type {'latency' | 'cpu'} */ key) => median(own.map((result) => result[key])).toFixed(1);
      return `${of('latency')} ms, ${of('cpu')} ms`;
    });
    const sent = results.get(`${size} true`)?.[0]?.bytes ?? 0;
    const kept = packument(`sized-${size}-0`, size).length;
    process.stdout.write(
      `| ${(kept / 1024).toFixed(0)} KiB | ${(sent / 1024).toFixed(0)} KiB | ${cells.join(' | ')} |\n`,
    );
  }
} finally {
  redis.kill();
  upstream.close();
  upstream.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
}
