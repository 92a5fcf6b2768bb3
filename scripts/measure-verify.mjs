// Measures the verification of what is kept: 20,000 blobs, or `--blobs N`, half of them from a local upstream and half uploaded, of which one bit is
// flipped in one of a hundred. Needs a build. Prints, for a server in a process of its own: how many a run finds, heals and lists; how long it takes and
// how the event loop stalls meanwhile; what clients get afterwards while the upstream is down, and after the same uploads. Exits with 1 where a bound is missed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

/** @import { ChildProcess } from 'node:child_process' */
/** @typedef {{ bytes: number, stall: number, busy: number | undefined }} Report of the probe, as in `measure-tables.mjs` */

const MAIN = fileURLToPath(new URL('../deploy/npm/bin/entrepot.js', import.meta.url));
const PROBE = new URL('house/probe.mjs', import.meta.url).href;
/** The longest turn of the event loop, collections of garbage included; milliseconds. */
const STALL = 50;
/** One of so many blobs is damaged, one of so many is large. */
const [DAMAGED, LARGE] = [100, 200];
const WIDTH = 16;
const PASSWORD = 'measured';

const { values: options } = parseArgs({ options: { blobs: { type: 'string', default: '20000' } } });
const count = Number(options.blobs);
const numbers = Array.from({ length: count }, (_, at) => at);
const damaged = numbers.filter((at) => Math.floor(at / 2) % DAMAGED === 0);

/** @param {number} at */
const isHosted = (at) => at % 2 === 1;
/** @param {number} at */
const pathOf = (at) => `/${isHosted(at) ? 'own' : 'up'}/file-${at}.bin`;

/** The bytes of a file: a few KiB, or 600. @param {number} at */
function bytesOf(at) {
  const isLarge = Math.floor(at / 2) % LARGE === 0;
  const size = isLarge ? 600 * 1024 : 1024 + (((at * 2654435761) >>> 0) % (8 * 1024));
  return Buffer.alloc(size, createHash('sha512').update(String(at)).digest());
}

let isDown = false;
const upstream = createServer((request, response) => {
  const [, number] = /^\/file-(\d+)\.bin$/.exec(request.url ?? '') ?? [];
  if (isDown || number === undefined) response.destroy();
  else response.end(bytesOf(Number(number)));
}).listen(0, '127.0.0.1');
await once(upstream, 'listening');
const base = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (upstream.address()).port}/`;

const folder = await mkdtemp(join(tmpdir(), 'entrepot-verify-'));
const socket = createSocket().listen(0, '127.0.0.1');
await once(socket, 'listening');
const { port } = /** @type {import('node:net').AddressInfo} */ (socket.address());
socket.close();
const url = `http://127.0.0.1:${port}`;
/** @type {ChildProcess | undefined} */
let child;

async function start() {
  const users = { ann: { password: '${env:MEASURED_PASSWORD}', may: 'write' } };
  const configuration = {
    server: { listen: `127.0.0.1:${port}` },
    storage: { path: join(folder, 'blobs'), durability: 'relaxed', verify: { rate: 0 } },
    metadata: { path: join(folder, 'entrepot.db') },
    // Nothing is put again from memory.
    cache: { maxBytes: 0 },
    log: { level: 'silent' },
    repositories: {
      up: { type: 'files', upstream: base, defaultPolicy: 'immutable' },
      own: { type: 'files', kind: 'hosted', access: { anonymous: 'read', users } },
    },
  };
  const file = join(folder, 'entrepot.yaml');
  await writeFile(file, JSON.stringify(configuration));
  const { ENTREPOT_NODE: _node, ...env } = process.env;
  child = spawn(process.execPath, ['--expose-gc', '--import', PROBE, MAIN, 'serve', '-c', file], {
    cwd: folder,
    env: { ...env, MEASURED_PASSWORD: PASSWORD },
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

/** @param {readonly number[]} all @param {(at: number) => Promise<void>} work */
async function forEach(all, work) {
  let next = 0;
  const run = async () => {
    while (next < all.length) await work(/** @type {number} */ (all[next++]));
  };
  await Promise.all(Array.from({ length: WIDTH }, run));
}

/** Whether a client gets a file as it is. @param {number} at */
async function isServed(at) {
  const answer = await fetch(url + pathOf(at));
  const body = await answer.arrayBuffer().catch(() => undefined);
  if (answer.status !== 200 || body === undefined) return false;
  if (bytesOf(at).equals(Buffer.from(body))) return true;
  throw new Error(`${pathOf(at)}: a client got other bytes`);
}

/** @param {number} at */
async function upload(at) {
  const authorization = `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}`;
  const answer = await fetch(url + pathOf(at), { method: 'PUT', headers: { authorization }, body: bytesOf(at) });
  if (!answer.ok) throw new Error(`${pathOf(at)}: expected to be taken, found ${answer.status}`);
  await answer.arrayBuffer();
}

/** @param {number} at */
async function flip(at) {
  const hex = createHash('sha256').update(bytesOf(at)).digest('hex');
  const file = await open(join(folder, 'blobs', 'v1', 'sha256', hex.slice(0, 2), hex), 'r+');
  const { size } = await file.stat();
  const place = (at * 7919) % size;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, place);
  await file.write(Buffer.of(Number(buffer[0]) ^ (1 << (at % 8))), 0, 1, place);
  await file.close();
}

/** @param {string} method @param {object} [form] */
async function api(method, form) {
  const sent = form && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(form) };
  const answer = await fetch(`${url}/-/api/v1/verify`, { method, ...sent });
  if (!answer.ok) throw new Error(`verify: ${await answer.text()}`);
  return /** @type {any} */ (await answer.json());
}

/** A run to its end, as `entrepot verify` has it made. */
async function verify(dryRun = false) {
  const since = performance.now();
  await api('POST', { rate: 'unlimited', dryRun });
  for (;;) {
    const { asked } = await api('GET');
    if (asked.state !== 'running') return { ...asked, seconds: (performance.now() - since) / 1000 };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

let missed = false;
/** @param {string} what @param {number} value @param {string} unit @param {boolean} [isRight] */
function print(what, value, unit, isRight = true) {
  missed ||= !isRight;
  console.log(`${what.padEnd(58)} ${value.toFixed(1).padStart(9)} ${unit}${isRight ? '' : ': MISSED'}`);
}

/** @param {readonly number[]} all @param {boolean} wanted */
async function printServed(all, wanted) {
  let served = 0;
  await forEach(all, async (at) => {
    if (await isServed(at)) served += 1;
  });
  print('  of them served, as they were', served, `of ${all.length}`, served === (wanted ? all.length : 0));
}

try {
  const [fromUpstream, uploaded] = [damaged.filter((at) => !isHosted(at)), damaged.filter(isHosted)];
  await start();
  await forEach(numbers, async (at) => {
    if (isHosted(at)) await upload(at);
    else if (!(await isServed(at))) throw new Error(`${pathOf(at)} is not served`);
  });
  await forEach(damaged, flip);
  print('blobs with a flipped bit', damaged.length, `of ${count}`);
  // Work that a server does for the first time is no part of it.
  const dry = await verify(true);
  print('a dry run: damaged', dry.damaged, '', dry.damaged === damaged.length);
  await report();
  const run = await verify();
  const { stall, busy } = await report();
  print(
    'a run over all',
    run.seconds,
    `s, ${(run.bytes / 1e6).toFixed(0)} MB`,
    run.state === 'done' && run.looked === count,
  );
  print('  longest stall of the event loop', stall, 'ms', busy !== undefined || stall <= STALL);
  if (busy !== undefined) print('  of which its thread was running', busy, 'ms', busy <= STALL);
  print('  damaged', run.damaged, '', run.damaged === damaged.length);
  print('  healed', run.healed, '', run.healed === fromUpstream.length);
  const { entries } = run.hosted;
  const listed = entries.filter((/** @type {{ storedBy?: string }} */ { storedBy }) => storedBy === 'ann').length;
  print('  listed, with who has uploaded them', listed, '', listed === uploaded.length && run.hosted.count === listed);
  isDown = true;
  console.log('while the upstream is down: what came from it');
  await printServed(fromUpstream, true);
  console.log('what was uploaded');
  await printServed(uploaded, false);
  await forEach(uploaded, upload);
  console.log('after the same uploads');
  await printServed(uploaded, true);
  const again = await verify();
  print(
    'another run: damaged, missing, lost',
    again.damaged + again.missing + again.hosted.count,
    '',
    again.hosted.count + again.damaged + again.missing === 0,
  );
  process.exitCode = missed ? 1 : 0;
} finally {
  await stop();
  upstream.close();
  await rm(folder, { recursive: true });
}
