import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as requestHttp } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';

/** @import { ClientRequest } from 'node:http' */

const PIECE = Buffer.alloc(64 * 1024, 'p');
/** The time between two pieces of a download, in milliseconds. */
const STEP = 100;

/** An origin of small and large files, and of one that goes on until it is to end. */
export class LongDownload {
  #hash = createHash('sha256');
  #ends = false;
  origin = new Origin(async (request, response) => {
    response.setHeader('content-type', 'application/octet-stream');
    if (request.url !== '/long') return response.end(Buffer.alloc(request.url?.endsWith('large') ? 1_000_000 : 2_000));
    while (!this.#ends) {
      this.#hash.update(PIECE);
      response.write(PIECE);
      await delay(STEP);
    }
    response.end();
  });

  end() {
    this.#ends = true;
  }

  /** @param {string} url @returns {Promise<number>} its bytes */
  async follow(url) {
    const { status, body, complete } = await get(url, { timeout: 3_600_000 });
    assert.ok(status === 200 && complete, `a whole download was expected, found ${status} and ${body.length} bytes`);
    assert.equal(createHash('sha256').update(body).digest('hex'), this.#hash.digest('hex'));
    return body.length;
  }
}

/** An upload of a layer in many requests. */
export class Upload {
  #url;
  #place;
  #hash = createHash('sha256');
  #size = 0;

  /** @param {string} url @param {string} place */
  constructor(url, place) {
    this.#url = url;
    this.#place = place;
  }

  /** @param {string} url */
  static async begin(url) {
    const { status, headers } = await get(`${url}/v2/images/app/blobs/uploads/`, { method: 'POST' });
    assert.equal(status, 202);
    return new Upload(url, headers.location ?? '');
  }

  /** @param {number} round */
  async append(round) {
    const body = `round ${round}\n`.repeat(1_000);
    const { status, headers } = await get(new URL(this.#place, this.#url).href, { method: 'PATCH', body });
    assert.equal(status, 202, `round ${round}: the upload goes on`);
    this.#place = headers.location ?? '';
    this.#hash.update(body);
    this.#size += body.length;
  }

  async end() {
    const url = new URL(this.#place, this.#url);
    url.searchParams.set('digest', `sha256:${this.#hash.digest('hex')}`);
    assert.equal((await get(url.href, { method: 'PUT' })).status, 201);
    return this.#size;
  }
}

/** Request that takes as long as all reloads. */
export class LongPut {
  /** @type {ClientRequest} */
  #request;
  #answer;

  /** @param {string} url */
  constructor(url) {
    this.#request = requestHttp(url, { method: 'PUT', agent: false });
    this.#answer = once(this.#request, 'response');
    this.#answer.catch(() => {});
    this.write();
  }

  write() {
    this.#request.write(PIECE);
  }

  async end() {
    this.#request.end();
    const [response] = await this.#answer;
    response.resume();
    return response.statusCode;
  }
}
