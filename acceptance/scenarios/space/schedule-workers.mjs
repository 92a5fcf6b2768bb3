import { strict as assert } from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { bytesOf } from '@entrepot/fixtures/named-objects';

/** @import { Answer } from '@entrepot/fixtures/get' */

const KIB = 1024;
const SIZES = [1, 900, 20 * KIB, 120 * KIB, 250 * KIB, 600 * KIB, 900 * KIB];
/** The sizes that are uploaded: hosted files never go, and proxies need some room. */
const UPLOADED_SIZES = 5;
/** The bodies that there are. Different files share them, so that one puts what another one is deleting. */
export const BODIES = 28;
/** The files that one worker of the hosted repository has at the most. */
const FILES = 3;
const LEAST_ACTIONS = 4;
/** The longest pause between two actions, in milliseconds. */
const PAUSE = 30;

/** @param {number} at @returns {Buffer} */
export function bodyAt(at) {
  return bytesOf(`body ${at}`, /** @type {number} */ (SIZES[at % SIZES.length]));
}

/** Does random things until a schedule is over. Servers may go at any time. */
class Worker {
  counts = { answers: 0, refused: 0 };
  /** Description of what came in place of an answer, the last time. */
  failure = '';
  #url;

  /** @param {string} url */
  constructor(url) {
    this.#url = url;
  }

  /** @param {() => number} random @param {AbortSignal} over */
  async run(random, over) {
    for (let actions = 0; actions < LEAST_ACTIONS || !over.aborted; actions += 1) {
      if (!(await this.act(random))) return;
      await delay(random() * PAUSE);
    }
  }

  /** @param {() => number} _random @returns {Promise<boolean>} whether the server is there */
  async act(_random) {
    throw new Error('act was expected');
  }

  /** The answer; `undefined` where it did not come, or not all of it. @param {string} path @param {{ method?: string, body?: Buffer }} [options] */
  async ask(path, options) {
    const found = await get(this.#url + path, options).catch((error) => void (this.failure = String(error)));
    if (found?.complete !== true) {
      if (found !== undefined) this.failure = `${found.status}, and ${found.body.length} bytes of the body`;
      return undefined;
    }
    this.counts.answers += 1;
    return found;
  }
}

/** Has files of its own in the hosted repository. */
export class HostedWorker extends Worker {
  #name;
  /** The bodies that a file may have: several, where an answer did not come. @type {Map<string, Set<number | undefined>>} */
  #files = new Map();

  /** @param {string} url @param {string} name */
  constructor(url, name) {
    super(url);
    this.#name = name;
    for (let at = 0; at < FILES; at += 1) this.#files.set(`/own/${name}/${at}`, new Set([undefined]));
  }

  /** @override @param {() => number} random */
  async act(random) {
    const path = `/own/${this.#name}/${Math.floor(random() * FILES)}`;
    const kind = random();
    if (kind < 0.5) return await this.#put(path, random);
    if (kind < 0.75) return await this.#delete(path);
    const found = await this.ask(path);
    if (found !== undefined) this.#assertPossible(path, found);
    return found !== undefined;
  }

  /** @param {string} path @param {() => number} random */
  async #put(path, random) {
    const possible = this.#possible(path);
    let at = Math.floor((random() * BODIES) / SIZES.length) * SIZES.length + Math.floor(random() * UPLOADED_SIZES);
    // The bytes that it has just deleted, again.
    const [before] = possible;
    if (before === undefined && this.#deleted !== undefined && random() < 0.5) at = this.#deleted;
    possible.add(at);
    const found = await this.ask(path, { method: 'PUT', body: bodyAt(at) });
    if (found === undefined) return false;
    if (found.status === 201 || found.status === 204 || found.status === 200) this.#files.set(path, new Set([at]));
    else this.#assertRefused(path, found);
    return true;
  }

  /** @type {number | undefined} */
  #deleted;

  /** @param {string} path */
  async #delete(path) {
    const possible = this.#possible(path);
    const found = await this.ask(path, { method: 'DELETE' });
    possible.add(undefined);
    if (found === undefined) return false;
    if (found.status >= 200 && found.status < 300) [this.#deleted] = possible;
    else if (found.status !== 404) assert.fail(`DELETE ${path}: ${found.status} ${found.body.toString()}`);
    else assert.ok(possible.has(undefined), `DELETE ${path}: 404, and it was confirmed`);
    this.#files.set(path, new Set([undefined]));
    return true;
  }

  /** Bytes whose deletion a dead process has begun are refused for a minute, or there is no room. @param {string} path @param {Answer} found */
  #assertRefused(path, { status, body }) {
    const text = body.toString();
    assert.ok(status === 503 || status === 507, `PUT ${path}: ${status} ${text}`);
    this.counts.refused += 1;
  }

  /** @param {string} path */
  #possible(path) {
    return /** @type {Set<number | undefined>} */ (this.#files.get(path));
  }

  /** @param {string} path @param {Answer} found */
  #assertPossible(path, { status, body }) {
    const possible = this.#possible(path);
    const actual = [...possible].find((at) =>
      at === undefined ? status === 404 : status === 200 && body.equals(bodyAt(at)),
    );
    const isPossible = actual !== undefined || (status === 404 && possible.has(undefined));
    assert.ok(
      isPossible,
      `${path}: one of ${[...possible].map((at) => `body ${at}`).join(', ')} was expected, found ${status}, ${body.length} bytes ${status === 200 ? '' : body.toString()}`,
    );
    this.#files.set(path, new Set([actual]));
  }

  /** Every file is as it was confirmed. */
  async verify() {
    for (const path of this.#files.keys()) {
      const found = await this.ask(path);
      assert.ok(found !== undefined, `${path}: an answer was expected, found ${this.failure}`);
      this.#assertPossible(path, found);
    }
  }
}

/** Reads through the proxy. */
export class ProxyWorker extends Worker {
  /** @type {Set<string>} */
  #asked = new Set();

  /** @override @param {() => number} random */
  async act(random) {
    const at = Math.floor(random() * BODIES);
    const name = Math.floor(random() * 3);
    const path = random() < 0.75 ? `/files/kept/${at}/${name}` : `/files/moving/${name}`;
    this.#asked.add(path);
    const found = await this.ask(path);
    if (found !== undefined) assertRight(path, found);
    return found !== undefined;
  }

  /** Everything that was asked for answers. */
  async verify() {
    for (const path of this.#asked) {
      const found = await this.ask(path);
      assert.ok(found !== undefined, `${path}: an answer was expected, found ${this.failure}`);
      assertRight(path, found);
    }
    this.#asked.clear();
  }
}

/** @param {string} path @param {Answer} found */
function assertRight(path, { status, body }) {
  const [, , kind, at] = path.split('/');
  const isRight =
    kind === 'kept'
      ? body.equals(bodyAt(Number(at)))
      : Array.from({ length: BODIES }, (_, one) => one).some((one) => body.equals(bodyAt(one)));
  assert.ok(
    status === 200 && isRight,
    `${path}: the right bytes were expected, found ${status}, ${body.length} bytes ${status === 200 ? '' : body.toString()}`,
  );
}
