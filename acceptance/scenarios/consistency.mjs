import { strict as assert } from 'node:assert';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { makeZip } from '@entrepot/fixtures/go-database';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Tally } from '../tally.mjs' */

const MODULE = 'example.com/moving';
const EXTENSIONS = ['info', 'mod', 'zip'];
const SERVERS = 3;
const CLIENTS = 50;
/** The number of versions that the clients ask for at about the same time. */
const AHEAD = 40;

/**
 * Three servers over one store, an upstream that sends other bytes on every request, and no checksum database that could
 * tell: whatever is served once of a version's `.info`, `.mod` and `.zip` is served for ever, by every server, also when
 * servers are killed meanwhile.
 * @param {Tally} tally
 * @param {{ versions: number }} options
 */
export async function consistency(tally, { versions }) {
  await withScratch('consistency', async (folder) => {
    const origin = await new Origin(movingModules).start();
    const servers = await Promise.all(
      Array.from({ length: SERVERS }, (_, index) => replica(folder, index, origin.url)),
    );
    try {
      for (const server of servers) await server.start();
      await tally.check(`${versions} versions on ${SERVERS} servers and a moving upstream: each has one copy`, () =>
        assertOneCopy(servers, versions),
      );
      for (const server of servers) await tally.check('consistency: a server stops with 0', () => server.stop());
    } finally {
      await Promise.all(servers.map((server) => server.kill()));
      await origin.stop();
    }
  });
}

/** @param {string} folder @param {number} index @param {string} upstream */
async function replica(folder, index, upstream) {
  const own = join(folder, `server-${index}`);
  await mkdir(own);
  const shared = {
    storage: { path: join(folder, 'blobs') },
    metadata: { path: join(folder, 'entrepot.db') },
    log: { access: false },
  };
  const repositories = { go: { type: 'go', upstream, sumdb: 'off' } };
  return new EntrepotServer({ folder: own, port: await freePort(), repositories, more: shared });
}

/** @param {readonly EntrepotServer[]} servers @param {number} versions */
export async function assertOneCopy(servers, versions) {
  /** The digest of every file that was seen whole, by its path. @type {Map<string, string>} */
  const seen = new Map();
  let answers = 0;
  let kills = 0;
  let turns = versions * CLIENTS;

  const look = async (/** @type {EntrepotServer} */ server, /** @type {string} */ path) => {
    const found = await get(server.url + path).catch(() => undefined);
    if (found?.status !== 200 || !found.complete) return false;
    answers += 1;
    const digest = createHash('sha256').update(found.body).digest('hex');
    const known = seen.get(path);
    if (known === undefined) seen.set(path, digest);
    assert.equal(digest, known ?? digest, `${path}: two copies were served`);
    return true;
  };
  const client = async () => {
    while (turns > 0) {
      turns -= 1;
      // All clients go through the same versions, a few apart.
      const version = Math.min(versions - 1, Math.floor(turns / CLIENTS) + Math.floor(Math.random() * AHEAD));
      await look(pick(servers), pathOf(version, pick(EXTENSIONS)));
    }
  };
  const over = new AbortController();
  const clients = Promise.all(Array.from({ length: CLIENTS }, client)).finally(() => over.abort());
  for (; !over.signal.aborted; kills += 1) {
    await delay(300 + Math.random() * 1500);
    const victim = pick(servers);
    await victim.kill();
    await victim.start();
  }
  await clients;

  // Every file of every version, from every server: the copy that was seen first.
  let complete = 0;
  for (let version = 0; version < versions; version += 1) {
    const paths = EXTENSIONS.map((extension) => pathOf(version, extension));
    const whole = await Promise.all(servers.flatMap((server) => paths.map((path) => look(server, path))));
    if (whole.every(Boolean)) complete += 1;
  }
  note(`${complete} versions complete on every server, ${answers} answers, ${kills} kills`);
  assert.equal(complete, versions, 'every version was expected on every server');
}

/** @template T @param {readonly T[]} list @returns {T} */
function pick(list) {
  return /** @type {T} */ (list[Math.floor(Math.random() * list.length)]);
}

/** @param {number} version @param {string} extension */
function pathOf(version, extension) {
  return `/go/${MODULE}/@v/v1.${version}.0.${extension}`;
}

/** The upstream: any version, never the same bytes twice. @param {IncomingMessage} request @param {ServerResponse} response */
export function movingModules(request, response) {
  const match = /\/@v\/(v1\.\d+\.0)\.(info|mod|zip)$/.exec(request.url ?? '');
  if (match === null) {
    response.writeHead(404).end();
    return;
  }
  const [, version = '', extension] = match;
  const nonce = randomUUID();
  const goMod = `module ${MODULE}\n`;
  if (extension === 'info') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ Version: version, Time: '2024-01-02T03:04:05Z', Origin: { Hash: nonce } }));
  } else if (extension === 'mod') {
    response.end(`${goMod}\n// ${nonce}\n`);
  } else {
    const prefix = `${MODULE}@${version}`;
    response.end(
      makeZip([
        [`${prefix}/go.mod`, Buffer.from(goMod)],
        [`${prefix}/nonce.txt`, Buffer.from(nonce.repeat(200))],
      ]),
    );
  }
}
