import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort, MAIN } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/** Requests a second; every fourth is an upload. */
const RATE = 100;
const STEP = 20;

/**
 * A backup is made while clients read and upload, the machine is lost, and the backup is restored on an empty one: everything that
 * was uploaded before the backup began is there, byte for byte, every entry has its bytes, and clients go on.
 * @param {Tally} tally
 * @param {{ seconds: number }} options how long clients go on before, and after
 */
export async function backup(tally, { seconds }) {
  await withScratch('backup', async (folder) => {
    const origin = new Origin((request, response) => response.end(bodyOf(`origin ${request.url}`)));
    await origin.start();
    const port = await freePort();
    const lost = await serverIn(join(folder, 'lost'), port, origin.url);
    const restored = await serverIn(join(folder, 'restored'), port, origin.url);
    const load = new Load(lost.url);
    const copy = join(folder, 'copy');
    try {
      if (!(await tally.check('backup: the server starts', () => lost.start()))) return;
      const running = load.run();
      /** @type {ReadonlyMap<string, Buffer>} */
      let before = new Map();
      await tally.check(`backup: is made beside ${RATE} requests a second`, async () => {
        await delay(seconds * 1000);
        before = new Map(load.uploaded);
        note(`backup: ${await entrepot(join(folder, 'lost'), 'backup', copy)}`);
        await delay(seconds * 1000);
        // The same folder again: it gets what is new.
        before = new Map(load.uploaded);
        note(`backup: ${await entrepot(join(folder, 'lost'), 'backup', copy)}`);
        await delay(500);
      });
      load.stop();
      await running;
      await tally.check('backup: no client noticed', () => assert.deepEqual(load.failures.slice(0, 10), []));
      await lost.kill();
      await tally.check('backup: is restored on an empty machine, and serves everything', async () => {
        note(`backup: ${await entrepot(join(folder, 'restored'), 'restore', copy)}`);
        await restored.start();
        assert.ok(before.size > seconds * RATE * 0.1, `expected more uploads than ${before.size}`);
        for (const [path, body] of before) assert.deepEqual(await exactly(path, body, restored.url), undefined);
        note(`backup: ${load.sent} requests, ${before.size} uploads came back`);
      });
      await tally.check('backup: every entry that came back has its bytes', async () => {
        const again = join(folder, 'again');
        const text = await entrepot(join(folder, 'restored'), 'backup', again);
        note(`backup: of what came back: ${text}`);
      });
      await tally.check('backup: clients go on', async () => {
        const further = new Load(restored.url);
        const going = further.run();
        await delay(1000);
        further.stop();
        await going;
        assert.deepEqual(further.failures.slice(0, 10), []);
      });
      await tally.check('backup: the server stops with 0', () => restored.stop());
    } finally {
      load.stop();
      await lost.kill();
      await restored.kill();
      await origin.stop();
    }
  });
}

/** @param {string} folder @param {number} port @param {string} upstream */
async function serverIn(folder, port, upstream) {
  await mkdir(folder);
  const repositories = {
    files: { type: 'files', upstream, rules: [{ match: '**', policy: 'immutable' }] },
    hosted: { type: 'files', kind: 'hosted', overwrite: true },
  };
  return new EntrepotServer({ folder, port, repositories });
}

/** Runs a command on the stores of a folder, which need no configuration. @param {string} folder @param {string} name @param {string} copy */
async function entrepot(folder, name, copy) {
  const places = { ENTREPOT_STORAGE_PATH: join(folder, 'blobs'), ENTREPOT_METADATA_PATH: join(folder, 'entrepot.db') };
  const options = { cwd: folder, env: { ...process.env, ...places }, timeout: 300_000 };
  const { code, stdout, stderr, milliseconds } = await runCommand([process.execPath, MAIN, name, copy], options);
  assert.equal(code, 0, stderr);
  return `${stdout.trim()}, in ${Math.round(milliseconds)} ms`;
}

/** Clients that read and upload at a rate. */
class Load {
  #url;
  #ending = false;
  sent = 0;
  /** @type {string[]} */
  failures = [];
  /** Confirmed uploads. @type {Map<string, Buffer>} */
  uploaded = new Map();

  /** @param {string} url */
  constructor(url) {
    this.#url = url;
  }

  stop() {
    this.#ending = true;
  }

  async run() {
    /** @type {Set<Promise<void>>} */
    const running = new Set();
    while (!this.#ending) {
      for (let index = 0; index < (RATE * STEP) / 1000; index += 1) {
        this.sent += 1;
        const one = this.#send(this.sent).catch((error) => void this.failures.push(error.message));
        running.add(one);
        void one.finally(() => running.delete(one));
      }
      await delay(STEP);
    }
    await Promise.all(running);
  }

  /** @param {number} number */
  async #send(number) {
    if (number % 4 === 0)
      return await this.#upload(`/hosted/${number % 3 === 0 ? number : `same-${number % 40}`}`, number);
    const path = number % 2 === 0 ? `/files/cold-${number}` : `/files/warm-${number % 50}`;
    const wrong = await exactly(path, bodyOf(`origin ${path.slice('/files'.length)}`), this.#url);
    if (wrong !== undefined) this.failures.push(wrong);
  }

  /** @param {string} path @param {number} number */
  async #upload(path, number) {
    // One name is overwritten by one client at a time, or nobody knows which one was last.
    const body = path.includes('same') ? bodyOf(`same ${path}`) : bodyOf(`upload ${number}`);
    const answer = await get(this.#url + path, { method: 'PUT', body });
    if (answer.status >= 300) this.failures.push(`PUT ${path}: ${answer.status}`);
    else this.uploaded.set(path, body);
  }
}

/** The fault of an answer. @param {string} path @param {Buffer} body @param {string} url */
async function exactly(path, body, url) {
  const answer = await get(url + path);
  if (answer.status === 200 && answer.complete && answer.body.equals(body)) return undefined;
  return `GET ${path}: ${answer.status}, ${answer.body.length} bytes`;
}

/** Bytes that a name stands for, of a size that depends on it: a hundred bytes to 200 KB. @param {string} name */
function bodyOf(name) {
  const hash = createHash('sha256').update(name).digest();
  const size = 100 + (hash.readUInt32LE() % (hash[8] === undefined || hash[8] > 32 ? 20_000 : 1_000_000));
  return Buffer.alloc(size, hash);
}
