import { strict as assert } from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { NamedObjects } from '@entrepot/fixtures/named-objects';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Answer } from '@entrepot/fixtures/get' */
/** @import { Tally } from '../tally.mjs' */

const KIB = 1024;
/** Small ones end up in the middle of a commit when the crash comes, large ones in the middle of a download. */
const SIZES = [1, 3 * KIB, 40 * KIB, 200 * KIB, 700 * KIB, 3000 * KIB];
const FILES = 8;
const TARBALLS = 6;
const UPLOADS = 5;

const objects = new NamedObjects(([first = 0, second = 0]) => (SIZES[first % SIZES.length] ?? 0) + second);

/**
 * Kills the server at random moments while clients download and upload, and starts it again: no object that it then
 * serves may be torn or wrong, and an upload that was confirmed must be there.
 * @param {Tally} tally
 * @param {{ rounds: number, over?: string, more?: Record<string, unknown>, env?: Record<string, string>, restartWithin?: number }} options
 *   `more`: other keys of the configuration file, `over`: what they say, for the names of the checks; `restartWithin`: in milliseconds
 */
export async function crash(tally, { rounds, over = '', more = {}, env = {}, restartWithin = 3000 }) {
  await withScratch('crash', async (folder) => {
    const origin = await new Origin((request, response) => objects.answer(request, response)).start();
    const repositories = {
      files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
      npm: { type: 'npm', upstream: `${origin.url}/registry` },
      uploads: { type: 'files', kind: 'hosted' },
    };
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories,
      more: { log: { access: false }, ...more },
      env,
    });
    try {
      await tally.check(`${rounds} crashes${over} while downloading and storing: nothing torn is ever served`, () =>
        crashRounds(server, rounds, restartWithin),
      );
      await tally.check(`crash${over}: the server stops with 0`, () => server.stop());
    } finally {
      await server.kill();
      await origin.stop();
    }
  });
}

/** @param {EntrepotServer} server @param {number} rounds @param {number} restartWithin */
async function crashRounds(server, rounds, restartWithin) {
  /** Uploads that were answered with 201. @type {Set<string>} */
  const confirmed = new Set();
  /** @type {number[]} */
  const restarts = [];
  let hits = 0;
  let confirmedBeforeCrash = 0;
  let highest = await server.start();
  for (let round = 0; round < rounds; round += 1) {
    const paths = pathsOf(round);
    const uploads = uploadsOf(round);
    const work = [
      ...paths.map((path) => tryGet(server, path)),
      ...uploads.map((path) => tryPut(server, path, confirmed)),
    ];
    // From before the first byte was stored to after most of the work is done: a machine that takes long to start takes long for that.
    await delay(Math.random() * Math.max(450, restarts.at(-1) ?? highest));
    confirmedBeforeCrash = confirmed.size;
    await server.kill();
    for (const found of await Promise.all(work)) if (found !== undefined) assertWhole(found.path, found.answer);
    restarts.push(await server.start());
    for (const path of paths) {
      const found = await get(server.url + path);
      assertWhole(path, found);
      assert.equal(found.status, 200, `${path}: 200 was expected after the restart, found ${found.status}`);
      if (/\bhit\b/i.test(String(found.headers['cache-status']))) hits += 1;
    }
    for (const path of uploads) await assertUpload(server, path, confirmed);
  }
  highest = Math.max(highest, ...restarts);
  for (let round = 0; round < rounds; round += 1) {
    for (const path of pathsOf(round)) assertWhole(path, await get(server.url + path));
    for (const path of uploadsOf(round)) await assertUpload(server, path, confirmed);
  }
  restarts.sort((a, b) => a - b);
  const median = restarts[Math.floor(restarts.length / 2)] ?? 0;
  note(`restart: median ${Math.round(median)} ms, max ${Math.round(highest)} ms (goal: <= ${restartWithin} ms)`);
  const objects = rounds * (FILES + TARBALLS * 2);
  note(`${objects} objects, ${hits} were kept when the crash came; ${confirmedBeforeCrash} uploads confirmed`);
  assert.ok(hits > 0, 'some objects that survived a crash were expected');
  assert.ok(confirmed.size > 0, 'some confirmed uploads were expected');
  assert.ok(
    highest <= restartWithin,
    `a restart within ${restartWithin} ms was expected, found ${Math.round(highest)} ms`,
  );
}

/** @param {EntrepotServer} server @param {string} path */
async function tryGet(server, path) {
  try {
    return { path, answer: await get(server.url + path) };
  } catch {
    // The crash came before the answer.
    return undefined;
  }
}

/** @param {EntrepotServer} server @param {string} path @param {Set<string>} confirmed */
async function tryPut(server, path, confirmed) {
  try {
    const { status, complete } = await get(server.url + path, { method: 'PUT', body: objects.bytes(path) });
    if (status === 201 && complete) confirmed.add(path);
  } catch {
    // Not confirmed.
  }
  return undefined;
}

/** @param {EntrepotServer} server @param {string} path @param {Set<string>} confirmed */
async function assertUpload(server, path, confirmed) {
  const found = await get(server.url + path);
  if (found.status === 404) {
    assert.ok(!confirmed.has(path), `${path}: was confirmed before the crash, and is not there`);
    return;
  }
  assert.equal(found.status, 200, `${path}: 200 or 404 was expected, found ${found.status}`);
  assert.ok(found.complete && found.body.equals(objects.bytes(path)), `${path}: torn`);
}

/**
 * A body that looks complete has to be the right one.
 * @param {string} path
 * @param {Answer} answer
 */
function assertWhole(path, { status, complete, body }) {
  if (status !== 200 || !complete) return;
  assert.ok(objects.isRight(path, body), `${path}: the right bytes were expected, found ${body.length} others`);
}

/** @param {number} round */
function pathsOf(round) {
  const files = Array.from({ length: FILES }, (_, index) => `/files/round-${round}/file-${index}.bin`);
  const names = Array.from({ length: TARBALLS }, (_, index) => `round-${round}-${index}`);
  return [...files, ...names.flatMap((name) => [`/npm/${name}`, `/npm/${name}/-/${name}-1.0.0.tgz`])];
}

/** @param {number} round */
function uploadsOf(round) {
  return Array.from({ length: UPLOADS }, (_, index) => `/uploads/round-${round}/upload-${index}.bin`);
}
