import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { postgresPrograms, Relay, startPostgres } from '../servers/postgres.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

const run = promisify(execFile);
const KEPT = 60;
const SMALL = Buffer.alloc(50_000, 's');
const LARGE = Buffer.alloc(900_000, 'l');

/**
 * Serves every cached copy while the database is down, hangs, or has no room on its disk.
 * @param {Tally} tally
 */
export async function databaseOutage(tally) {
  const programs = await postgresPrograms();
  if (programs === undefined)
    note('PostgreSQL was expected on this machine: a database that is down or hangs is left out');
  else {
    await withScratch('postgres', async (own) => {
      const postgres = await startPostgres(programs, own);
      const relay = new Relay(postgres.port);
      await relay.start();
      try {
        for (const state of /** @type {const} */ (['down', 'hangs'])) {
          await tally.check(`a database that is ${state}: all that is kept is served`, async () => {
            await postgres.create(state);
            const url = `postgres://test@127.0.0.1:${relay.port}/${state}`;
            await withScratch(state, (folder) =>
              serveThrough(folder, { backend: 'postgres', url }, async () => relay.be(state)),
            );
          });
          relay.be('open');
        }
      } finally {
        relay.stop();
        await postgres.stop();
      }
    });
  }
  await withScratch('full', async (folder) => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    const isMounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk]).then(
      () => true,
      () => false,
    );
    if (!isMounted) return note('a small file system could not be mounted: a database without room is left out');
    try {
      await tally.check('a database without room on its disk: all that is kept is served', () =>
        serveThrough(folder, { path: join(disk, 'entrepot.db') }, () => fill(join(disk, 'fill'))),
      );
    } finally {
      await run('umount', [disk]);
      await rm(disk, { recursive: true, force: true });
    }
  });
}

/**
 * @param {string} folder
 * @param {Record<string, unknown>} metadata
 * @param {() => Promise<void>} fail
 */
async function serveThrough(folder, metadata, fail) {
  const bodyOf = (/** @type {string} */ path) => (path.endsWith('large') ? LARGE : SMALL);
  const origin = await new Origin((request, response) =>
    response.writeHead(200, { 'content-type': 'application/octet-stream', etag: '"1"' }).end(bodyOf(request.url ?? '')),
  ).start();
  const rules = [
    { match: 'kept/**', policy: 'immutable' },
    { match: '**', policy: 'revalidate', freshFor: '1ms' },
  ];
  const repositories = {
    files: { type: 'files', upstream: origin.url, rules },
    own: { type: 'files', kind: 'hosted' },
  };
  const server = new EntrepotServer({
    folder,
    port: await freePort(),
    repositories,
    more: { metadata, log: { access: false } },
  });
  const paths = Array.from({ length: KEPT }, (_, index) => {
    const place = ['files/kept', 'files/changing', 'own'][index % 3];
    return `${place}/${index}-${index % 2 === 0 ? 'small' : 'large'}`;
  });
  try {
    await server.start();
    for (const path of paths) {
      const url = `${server.url}/${path}`;
      if (path.startsWith('own/')) assert.equal((await get(url, { method: 'PUT', body: bodyOf(path) })).status, 201);
      assert.equal((await get(url)).status, 200);
    }
    await fail();
    // A hosted repository asks for its revision once a second.
    for (let round = 0; round < 3; round += 1) {
      await delay(1100);
      const asked = paths.map(async (path) => {
        const { status, complete, body } = await get(`${server.url}/${path}`);
        return status === 200 && complete && body.equals(bodyOf(path)) ? [] : [`${path}: ${status}`];
      });
      assert.deepEqual((await Promise.all(asked)).flat(), []);
      // Where the upstream is away as well.
      if (round === 1) await origin.stop();
    }
  } finally {
    await server.kill();
    await origin.stop();
  }
}

/** Takes what room there is. @param {string} path */
async function fill(path) {
  const file = await open(path, 'w');
  try {
    for (const size of [65_536, 512]) {
      for (;;) await file.write(Buffer.alloc(size, 1));
    }
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
}
