import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { drained, Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { ServerResponse } from 'node:http' */
/** @import { Tally } from '../tally.mjs' */

const MIB = 1024 * 1024;
const CHUNK = 256 * 1024;

/**
 * Many clients on one file that is not here yet: the upstream is asked once, everyone gets the bytes as they arrive.
 * @param {Tally} tally
 * @param {{ full: boolean }} options `full`: 200 clients on 256 MiB; else on 16 MiB
 */
export async function bytePath(tally, { full }) {
  await withScratch('bytes', async (folder) => {
    const large = randomBytes((full ? 256 : 16) * MIB);
    const slow = randomBytes(16 * MIB);
    const origin = await new Origin(({ url }, response) => {
      if (url === '/large.bin') return send(response, large, 0);
      if (url === '/slow.bin') return send(response, slow, 8000);
      response.writeHead(404).end();
      return undefined;
    }).start();
    const repositories = { files: { type: 'files', upstream: origin.url } };
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories,
      more: { log: { access: false } },
    });
    try {
      if (!(await tally.check('byte path: the server starts', () => server.start()))) return;
      await tally.check('50 clients on a cold 16 MiB file that takes 8 s: one upstream GET, bytes as they arrive', () =>
        trickle(server, origin, slow),
      );
      const title = `200 clients on a cold ${large.length / MIB} MiB file, the first one killed: one upstream GET, all bytes right`;
      await tally.check(title, () => crowd(server, origin, large));
      await tally.check('byte path: the server stops with 0', () => server.stop());
    } finally {
      await server.kill();
      await origin.stop();
    }
  });
}

/** @param {EntrepotServer} server @param {Origin} origin @param {Buffer} expected */
async function trickle(server, origin, expected) {
  const url = `${server.url}/files/slow.bin`;
  const all = await Promise.all(Array.from({ length: 50 }, () => download(url, expected)));
  const firstBytes = all.map(({ firstByte }) => firstByte).sort((a, b) => a - b);
  const ends = all.map(({ end }) => end);
  const median = firstBytes[25] ?? Infinity;
  note(`first byte p50 ${round(median)} ms, max ${round(Math.max(...firstBytes))} ms (goal: p50 <= 150 ms)`);
  note(`last byte: first client ${round(Math.min(...ends))} ms, last client ${round(Math.max(...ends))} ms`);
  assert.equal(origin.count('GET /slow.bin'), 1);
  for (const { outcome } of all) assert.equal(outcome, 'complete');
  assert.ok(median <= 1000, `a first byte long before the end was expected, found ${round(median)} ms`);
}

/** @param {EntrepotServer} server @param {Origin} origin @param {Buffer} expected */
async function crowd(server, origin, expected) {
  const url = `${server.url}/files/large.bin`;
  const before = (await server.residentBytes()) ?? 0;
  let highest = before;
  const watch = setInterval(async () => {
    highest = Math.max(highest, (await server.residentBytes()) ?? 0);
  }, 50);
  const started = performance.now();
  const all = await Promise.all(
    Array.from({ length: 200 }, (_, index) => download(url, expected, index === 0 ? expected.length / 3 : Infinity)),
  );
  const elapsed = performance.now() - started;
  clearInterval(watch);
  const growth = (highest - before) / MIB;
  const rate = (199 * expected.length) / MIB / (elapsed / 1000);
  note(`RSS ${round(before / MIB)} -> ${round(highest / MIB)} MiB: growth ${round(growth)} MiB (goal: <= 150 MiB)`);
  note(`${round(elapsed / 1000)} s, ${round(rate)} MiB/s to all clients together`);
  const [killed, ...others] = all.map(({ outcome }) => outcome);
  assert.equal(killed, 'killed');
  assert.deepEqual(new Set(others), new Set(['complete']));
  assert.equal(origin.count('GET /large.bin'), 1);
  const again = await download(url, expected);
  assert.equal(again.outcome, 'complete');
  assert.equal(origin.count('GET /large.bin'), 1);
  assert.ok(growth <= 150, `a growth of at most 150 MiB was expected, found ${round(growth)} MiB`);
}

/**
 * Downloads and compares every byte as it comes.
 * @param {string} url
 * @param {Buffer} expected
 * @param {number} [killAt] hangs up after so many bytes
 * @returns {Promise<{ outcome: string, firstByte: number, end: number }>} times in milliseconds since the request
 */
function download(url, expected, killAt = Infinity) {
  const started = performance.now();
  return new Promise((resolve) => {
    let firstByte = NaN;
    const finish = (/** @type {string} */ outcome) => resolve({ outcome, firstByte, end: performance.now() - started });
    const sent = request(url, { agent: false }, (response) => {
      let offset = 0;
      response.on('data', (/** @type {Buffer} */ chunk) => {
        if (offset === 0) firstByte = performance.now() - started;
        if (expected.compare(chunk, 0, chunk.length, offset, offset + chunk.length) !== 0) {
          finish(`wrong bytes near ${offset}`);
          response.destroy();
        }
        offset += chunk.length;
        if (offset > killAt) {
          finish('killed');
          response.destroy();
        }
      });
      response.on('end', () => {
        const complete = response.statusCode === 200 && offset === expected.length;
        finish(complete ? 'complete' : `status ${response.statusCode}, ${offset} bytes`);
      });
      response.on('error', (error) => finish(error.message));
    });
    sent.on('error', (error) => finish(error.message));
    sent.end();
  });
}

/**
 * @param {ServerResponse} response
 * @param {Buffer} bytes
 * @param {number} duration of the whole, in milliseconds
 */
async function send(response, bytes, duration) {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': bytes.length,
    etag: '"one"',
  });
  const pause = duration / (bytes.length / CHUNK);
  for (let offset = 0; offset < bytes.length; offset += CHUNK) {
    const flushed = response.write(bytes.subarray(offset, offset + CHUNK));
    if (pause > 0) await delay(pause);
    else if (!flushed) await drained(response);
    if (response.destroyed) return;
  }
  response.end();
}

/** @param {number} value */
function round(value) {
  return Math.round(value);
}
