// Measures large documents: a Helm index of 300,000 versions, or `--versions N`, from a local upstream. Needs a build. Prints, for a server in a
// process of its own: how long the first chart takes (the index is fetched and read), and new ones after it; how memory grows and the event
// loop stalls; the same for a second repository with the same index, and after a restart. Exits with 1 where a bound is missed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** @import { ChildProcess } from 'node:child_process' */

/**
 * Numbers of a server: bytes in use after a collection, and the longest stall of its event loop since the last report, in milliseconds.
 * `busy` is the part that its own thread was running: the rest is the machine's.
 * @typedef {{ bytes: number, stall: number, busy: number | undefined }} Report
 */

const MAIN = fileURLToPath(new URL('../deploy/npm/bin/entrepot.js', import.meta.url));
const PROBE = new URL('house/probe.mjs', import.meta.url).href;
const BOUNDS = { newArtifact: 50, growth: 50, stall: 20 };
const CHARTS = 300;

const { values: options } = parseArgs({ options: { versions: { type: 'string', default: '300000' } } });
const count = Number(options.versions);

const archive = gzipSync('a chart');
const digest = createHash('sha256').update(archive).digest('hex');

/** @param {number} at */
const nameOf = (at) => `chart-${at % CHARTS}`;
/** @param {number} at */
const fileOf = (at) => `${nameOf(at)}-1.${Math.floor(at / CHARTS)}.0.tgz`;

/** Prints an index as helm does. */
function indexOf() {
  const parts = ['apiVersion: v1\nentries:\n'];
  for (let chart = 0; chart < CHARTS; chart += 1) {
    parts.push(`  ${nameOf(chart)}:\n`);
    for (let at = chart; at < count; at += CHARTS) {
      parts.push(`  - apiVersion: v2
    appVersion: 2.${at}.1
    created: "2024-05-01T12:34:56.789Z"
    description: A chart that deploys the application number ${at % CHARTS}
    digest: ${digest}
    home: https://www.example.com/${nameOf(at)}
    maintainers:
    - email: team-${at % CHARTS}@example.com
      name: Team ${at % CHARTS}
    name: ${nameOf(at)}
    urls:
    - charts/${fileOf(at)}
    version: 1.${Math.floor(at / CHARTS)}.0
`);
    }
  }
  parts.push('generated: "2024-05-01T12:34:56.789Z"\n');
  return Buffer.from(parts.join(''));
}

const index = indexOf();
const upstream = createServer((request, response) => {
  const isIndex = request.url === '/index.yaml';
  response.writeHead(200, { 'Content-Type': isIndex ? 'application/yaml' : 'application/gzip' });
  response.end(isIndex ? index : archive);
}).listen(0, '127.0.0.1');
await once(upstream, 'listening');
const base = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (upstream.address()).port}/`;

const folder = await mkdtemp(join(tmpdir(), 'entrepot-tables-'));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
/** @type {ChildProcess | undefined} */
let child;

async function freePort() {
  const server = createSocket().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** Starts the server on what it kept. */
async function start() {
  const helm = { type: 'helm', upstreams: [{ url: base }] };
  const configuration = {
    server: { listen: `127.0.0.1:${port}` },
    storage: { path: join(folder, 'blobs') },
    metadata: { path: join(folder, 'entrepot.db') },
    log: { level: 'warn' },
    repositories: { one: { mount: '/one', ...helm }, two: { mount: '/two', ...helm } },
  };
  const file = join(folder, 'entrepot.yaml');
  await writeFile(file, JSON.stringify(configuration));
  const { ENTREPOT_NODE: _node, ...env } = process.env;
  child = spawn(process.execPath, ['--expose-gc', '--import', PROBE, MAIN, 'serve', '-c', file], {
    cwd: folder,
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  for (const until = Date.now() + 60_000; Date.now() < until;) {
    const answer = await fetch(`${url}/-/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the server did not get ready');
}

async function stop() {
  if (child === undefined || child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** @returns {Promise<Report>} */
async function report() {
  child?.send('report');
  const [found] = await once(/** @type {ChildProcess} */ (child), 'message');
  return found;
}

/**
 * @param {string} path
 * @returns {Promise<number>} milliseconds
 */
async function timed(path) {
  const since = performance.now();
  const answer = await fetch(`${url}${path}`);
  const { byteLength } = await answer.arrayBuffer();
  if (answer.status !== 200) throw new Error(`${path}: expected 200, found ${answer.status}`);
  if (path.endsWith('.tgz') && byteLength !== archive.length)
    throw new Error(`${path}: expected ${archive.length} bytes`);
  return performance.now() - since;
}

let next = 0;
/** A chart that nobody has had yet, anywhere in the index. @param {string} repository */
function newChart(repository) {
  next += 1;
  return timed(`/${repository}/charts/${fileOf((next * 7919) % count)}`);
}

async function inode() {
  const tables = join(folder, 'spool', 'tables');
  const found = await readdir(tables);
  if (found.length !== 1) throw new Error(`expected one table, found ${found.length}`);
  const { ino, size } = await stat(join(tables, String(found[0])));
  return { ino, size };
}

let missed = false;
/**
 * @param {string} what
 * @param {number} value
 * @param {string} unit
 * @param {number} [bound]
 */
function print(what, value, unit, bound) {
  const isMissed = bound !== undefined && value > bound;
  missed ||= isMissed;
  const wanted = bound === undefined ? '' : `   wanted ≤ ${bound}${isMissed ? ': MISSED' : ''}`;
  console.log(`${what.padEnd(62)} ${value.toFixed(1).padStart(9)} ${unit}${wanted}`);
}

/** @param {Report} report */
function printStall({ stall, busy }) {
  print('  longest stall of the event loop', stall, 'ms', busy === undefined ? BOUNDS.stall : undefined);
  if (busy !== undefined) print('  of which its thread was running', busy, 'ms', BOUNDS.stall);
}

/** @param {string} repository @param {number} times */
async function printNew(repository, times) {
  const found = [];
  for (let at = 0; at < times; at += 1) found.push(await newChart(repository));
  print('  first new chart after that', found[0] ?? 0, 'ms', BOUNDS.newArtifact);
  print(`  median of ${times} new charts`, found.sort((one, other) => one - other)[times >> 1] ?? 0, 'ms');
}

try {
  print(`an index of ${count} versions`, index.length / 1e6, 'MB');
  await start();
  // Modules that a server loads once are no part of what the index takes.
  await timed('/');
  const before = await report();
  print('one: first chart, with the index', await newChart('one'), 'ms');
  const during = await report();
  printStall(during);
  print('  memory after that, heap and buffers', (during.bytes - before.bytes) / 1e6, 'MB more', BOUNDS.growth);
  await printNew('one', 50);
  const made = await inode();
  print('  table on disk', made.size / 1e6, 'MB');
  printStall(await report());
  print('one: the index for clients', await timed('/one/index.yaml'), 'ms');
  printStall(await report());
  print('two: first chart, with the same index', await newChart('two'), 'ms');
  const shared = await report();
  printStall(shared);
  print('  memory after all of it, heap and buffers', (shared.bytes - before.bytes) / 1e6, 'MB more', BOUNDS.growth);
  await stop();
  await start();
  await report();
  print('after a restart: first chart', await newChart('one'), 'ms');
  printStall(await report());
  await printNew('two', 50);
  const isSame = (await inode()).ino === made.ino;
  console.log(`the table was made ${isSame ? 'once' : 'again: MISSED'}`);
  process.exitCode = missed || !isSame ? 1 : 0;
} finally {
  await stop();
  upstream.close();
  await rm(folder, { recursive: true });
}
