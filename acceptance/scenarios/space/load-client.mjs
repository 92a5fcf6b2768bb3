import { strict as assert } from 'node:assert';
import { pseudoRandom } from '@entrepot/core/testing';
import { get } from '@entrepot/fixtures/get';
import { bytesOf, NamedObjects } from '@entrepot/fixtures/named-objects';

const LEAST = 1024;
/** The size of the largest body, in bytes. */
export const MOST = 8 * 1024 ** 2;
/** The part of the bound that hosted files take at the most. */
const HOSTED_SHARE = 0.15;
/** All that there is takes so many times the bound. */
const ABUNDANCE = 4;

// Every power of two is as frequent as every other one. Of a package the document says the sums of the whole tarball.
export const objects = new NamedObjects((seed, path) =>
  sizeBetween(LEAST, path.endsWith('.tgz') ? MOST / 8 : MOST, seed.readUInt32LE(0) / 2 ** 32),
);

/** @param {number} least @param {number} most @param {number} random in [0, 1) */
function sizeBetween(least, most, random) {
  return Math.floor(least * (most / least) ** random);
}

/** Bytes of requests that run. */
export class Flying {
  /** @type {Set<{ readonly bytes: number, end: number }>} */
  #all = new Set();

  /** @template T @param {number} bytes @param {() => Promise<T>} work */
  async during(bytes, work) {
    const flight = { bytes, end: Infinity };
    this.#all.add(flight);
    try {
      return await work();
    } finally {
      flight.end = performance.now();
    }
  }

  /** The bytes of all that ran at some time since an instant. @param {number} since */
  since(since) {
    let sum = 0;
    for (const flight of this.#all) {
      if (flight.end >= since) sum += flight.bytes;
      else this.#all.delete(flight);
    }
    return sum;
  }
}

/** Asks for random things, and has files of its own on the server. */
export class Client {
  /** `stored`: bytes that were new to the server. */
  counts = { requests: 0, hits: 0, misses: 0, changes: 0, stored: 0 };
  /** @type {string[]} */
  failures = [];
  #url;
  #flying;
  #random;
  #name;
  #universe;
  #budget;
  /** Its files by path: the name that their bytes follow from, and their size. @type {Map<string, { name: string, size: number }>} */
  #own = new Map();
  /** @type {string[]} */
  #deleted = [];
  #uploads = 0;

  /** @param {string} url @param {Flying} flying @param {{ maxBytes: number, share: number, at: number, seed: number }} options `share`: its part of all hosted files */
  constructor(url, flying, { maxBytes, share, at, seed }) {
    this.#url = url;
    this.#flying = flying;
    this.#random = pseudoRandom(seed * 1009 + at);
    this.#name = `client-${at}`;
    this.#universe = Math.ceil((maxBytes * ABUNDANCE * Math.log(MOST / LEAST)) / (MOST - LEAST));
    this.#budget = maxBytes * HOSTED_SHARE * share;
  }

  /** @param {() => boolean} goesOn */
  async run(goesOn) {
    while (goesOn()) {
      const kind = this.#random();
      this.counts.requests += 1;
      if (kind < 0.5) await this.#fetch(`/files/${this.#any()}.bin`);
      else if (kind < 0.65) await this.#fetch(`/npm/package-${this.#any()}`);
      else if (kind < 0.8) await this.#fetch(`/npm${objects.tarball(`package-${this.#any()}`)}`);
      else if (kind < 0.92) await this.#upload();
      else if (kind < 0.95) await this.#delete();
      else await this.#read();
    }
  }

  /** All files of this client are as it left them. */
  async assertAll() {
    for (const [path, { name, size }] of this.#own) {
      const { status, body } = await get(this.#url + path);
      assert.ok(
        status === 200 && body.equals(bytesOf(name, size)),
        `${path}: expected ${size} bytes, found ${status} and ${body.length}`,
      );
    }
    for (const path of this.#deleted) {
      if (!this.#own.has(path)) assert.equal((await get(this.#url + path)).status, 404, `${path} was deleted`);
    }
  }

  /** The number of an object; low ones are asked for most often. */
  #any() {
    return Math.floor(this.#universe * this.#random() ** 2);
  }

  /** @param {string} path */
  async #fetch(path) {
    const size =
      path.endsWith('.bin') || path.endsWith('.tgz') ? objects.size(path.replace(/^\/(files|npm)/, '')) : LEAST;
    const found = await this.#ask(path, size);
    if (found === undefined) return;
    if (found.status !== 200 || !objects.isRight(path, found.body)) this.#fail(path, found);
    else if (/\bhit\b/.test(String(found.headers['cache-status']))) this.counts.hits += 1;
    else {
      this.counts.misses += 1;
      this.counts.stored += found.body.length;
    }
  }

  async #upload() {
    const paths = [...this.#own.keys()];
    const isNew = paths.length === 0 || this.#random() < 0.6;
    const path = isNew ? `/own/${this.#name}/${paths.length}-${this.#uploads}.bin` : this.#one(paths);
    const size = sizeBetween(LEAST, Math.min(MOST, this.#budget / 3), this.#random());
    while (this.#bytes + size > this.#budget) if (!(await this.#delete())) return;
    this.#uploads += 1;
    const name = `${path} ${this.#uploads}`;
    const found = await this.#ask(path, size, { method: 'PUT', body: bytesOf(name, size) });
    if (found === undefined) return;
    if (found.status >= 200 && found.status < 300) {
      this.#own.set(path, { name, size });
      this.counts.stored += size;
    } else this.#fail(path, found);
    this.counts.changes += 1;
  }

  /** @returns {Promise<boolean>} whether there was something to delete */
  async #delete() {
    const paths = [...this.#own.keys()];
    if (paths.length === 0) return false;
    const path = this.#one(paths);
    const found = await this.#ask(path, 0, { method: 'DELETE' });
    if (found === undefined) return false;
    if (found.status >= 200 && found.status < 300) {
      this.#own.delete(path);
      this.#deleted.push(path);
    } else this.#fail(path, found);
    this.counts.changes += 1;
    return true;
  }

  async #read() {
    const paths = [...this.#own.keys()];
    if (paths.length === 0) return;
    const path = this.#one(paths);
    const { name, size } = /** @type {{ name: string, size: number }} */ (this.#own.get(path));
    const found = await this.#ask(path, size);
    if (found !== undefined && (found.status !== 200 || !found.body.equals(bytesOf(name, size))))
      this.#fail(path, found);
  }

  get #bytes() {
    let sum = 0;
    for (const { size } of this.#own.values()) sum += size;
    return sum;
  }

  /** @param {readonly string[]} list */
  #one(list) {
    return /** @type {string} */ (list[Math.floor(list.length * this.#random())]);
  }

  /** @param {string} path @param {number} bytes @param {{ method: string, body?: Buffer }} [options] */
  async #ask(path, bytes, options) {
    try {
      return await this.#flying.during(bytes, () => get(this.#url + path, { ...options, timeout: 120_000 }));
    } catch (error) {
      this.failures.push(`${path}: ${error}`);
      return undefined;
    }
  }

  /** @param {string} path @param {{ status: number, complete: boolean, body: Buffer }} found */
  #fail(path, { status, complete, body }) {
    const text =
      status === 200 ? `${body.length} bytes, ${complete ? 'complete' : 'broken off'}` : body.toString().slice(0, 300);
    this.failures.push(`${path}: ${status}, ${text}`);
  }
}
