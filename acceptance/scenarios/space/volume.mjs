import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { get } from '@entrepot/fixtures/get';
import { NamedObjects } from '@entrepot/fixtures/named-objects';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { note } from '../../tally.mjs';

/** @import { Tally } from '../../tally.mjs' */

const run = promisify(execFile);
const MIB = 1024 ** 2;
const RESERVE = 4 * MIB;
const LARGE = 2.5 * MIB;
const UPLOADS = 4;
const FETCHES = 12;
/** The longest wait for a server to notice that there is room again, in milliseconds. */
const PATIENCE = 120_000;

const objects = new NamedObjects((_seed, path) =>
  path.includes('large') ? LARGE : path.includes('small') ? 50_000 : MIB,
);

/**
 * A volume that is nearly full, and one that somebody else fills: what can go goes, else bytes are passed through and uploads
 * refused, and all that is kept is served.
 * @param {Tally} tally
 * @param {{ full: boolean }} options
 */
export async function fullVolume(tally, { full }) {
  await withScratch('space-volume', async (folder) => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    const isMounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk]).then(
      () => true,
      () => false,
    );
    if (!isMounted) return note('a small file system could not be mounted: a full volume is left out');
    const origin = await new Origin((request, response) => objects.answer(request, response)).start();
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
        own: { type: 'files', kind: 'hosted' },
      },
      more: {
        storage: {
          path: join(disk, 'blobs'),
          reserve: RESERVE,
          spool: { path: join(folder, 'spool') },
          gc: { interval: '0s', grace: '0s' },
        },
        log: { access: false },
      },
    });
    const volume = new Volume(server, origin, disk);
    try {
      await server.start({ timeout: PATIENCE });
      await tally.check('a volume full of what was fetched: what nobody asks for goes', () => volume.fullOfCopies());
      await tally.check('a volume full of uploads: fetches pass through, uploads get 507', () =>
        volume.fullOfUploads(),
      );
      await tally.check('a volume that somebody else fills: fetches pass through, what is kept is served', () =>
        volume.filled({ full }),
      );
      await tally.check('space: the server of a full volume stops with 0', () => server.stop());
    } finally {
      await server.kill();
      await origin.stop();
      await run('umount', [disk]);
      await rm(disk, { recursive: true, force: true });
    }
  });
}

/** A server whose blobs are on a small volume. */
class Volume {
  #server;
  #origin;
  #disk;
  /** @type {string[]} */
  #uploads = [];

  /** @param {EntrepotServer} server @param {Origin} origin @param {string} disk */
  constructor(server, origin, disk) {
    this.#server = server;
    this.#origin = origin;
    this.#disk = disk;
  }

  async fullOfCopies() {
    let least = Infinity;
    for (let at = 0; at < FETCHES; at += 1) {
      assert.equal(await this.#timesFetched(`/copy-${at}.bin`), 1, 'room was expected to be made');
      least = Math.min(least, await this.#free());
    }
    note(`${FETCHES} MiB fetched into 16 MiB: at the least ${(least / MIB).toFixed(2)} MiB were free`);
    assert.ok(least >= RESERVE, `${RESERVE} free bytes were expected, found ${least}`);
  }

  async fullOfUploads() {
    for (let at = 0; at < UPLOADS; at += 1) {
      const path = `/own/large-${at}.bin`;
      assert.equal(await this.#put(path), 201);
      this.#uploads.push(path);
      assert.ok((await this.#free()) >= RESERVE, 'the reserve was expected to be free');
    }
    assert.equal(await this.#put('/own/large-more.bin'), 507);
    for (let at = 0; at < 3; at += 1) {
      assert.equal(await this.#timesFetched(`/large-${at}.bin`), 2, 'no room for it was expected');
    }
    assert.equal(await this.#timesFetched('/small.bin'), 1, 'there is room for a small one');
    await this.#assertAlive();
  }

  /** @param {{ full: boolean }} options */
  async filled({ full }) {
    assert.ok((await this.#timesFetched('/small-kept.bin')) <= 1);
    const file = join(this.#disk, 'fill');
    await fill(file);
    for (let at = 0; at < 3; at += 1) assert.equal((await this.#fetch(`/late-${at}.bin`)).status, 200);
    // Fetched bytes make way for the reserve; then nothing is left that may.
    await this.#until(
      async () => (await this.#put(`/own/large-no-room.bin`)) === 507 && (await this.#free()) < RESERVE,
    );
    await this.#assertAlive();
    await rm(file);
    if (!full) return;
    await this.#until(async () => (await this.#put('/own/small-again.bin')) === 201);
    await this.#assertAlive();
  }

  async #assertAlive() {
    assert.equal((await get(`${this.#server.url}/-/livez`)).status, 200);
    for (const path of this.#uploads) {
      const { status, body } = await get(this.#server.url + path);
      assert.ok(
        status === 200 && body.equals(objects.bytes(path)),
        `${path}: the right bytes were expected, found ${status}`,
      );
    }
  }

  /** Fetches a path twice. @param {string} path @returns {Promise<number>} how often the upstream was asked */
  async #timesFetched(path) {
    const before = this.#origin.count(`GET ${path}`);
    for (let times = 0; times < 2; times += 1) await this.#fetch(path);
    return this.#origin.count(`GET ${path}`) - before;
  }

  /** @param {string} path of the upstream */
  async #fetch(path) {
    const found = await get(`${this.#server.url}/files${path}`);
    assert.ok(
      found.status === 200 && found.body.equals(objects.bytes(path)),
      `${path}: the right bytes were expected, found ${found.status}`,
    );
    return found;
  }

  /** @param {string} path @returns {Promise<number>} the status */
  async #put(path) {
    return (await get(this.#server.url + path, { method: 'PUT', body: objects.bytes(path) })).status;
  }

  async #free() {
    const { bavail, bsize } = await statfs(this.#disk);
    return bavail * bsize;
  }

  /** @param {() => Promise<boolean>} isSo */
  async #until(isSo) {
    const deadline = performance.now() + PATIENCE;
    while (!(await isSo())) {
      assert.ok(
        performance.now() < deadline,
        `expected within ${PATIENCE} ms: ${isSo}\n${this.#server.log.slice(-2000)}`,
      );
      await delay(50);
    }
  }
}

/** Takes what room there is. @param {string} path */
async function fill(path) {
  const file = await open(path, 'w');
  try {
    for (const size of [65_536, 512]) {
      for (;;) {
        const { bytesWritten } = await file.write(Buffer.alloc(size, 1));
        if (bytesWritten < size) break;
      }
    }
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
}
