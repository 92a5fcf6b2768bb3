import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';

/** @import { IncomingMessage, RequestOptions } from 'node:http' */

/** A client that takes 1 KB a second from its connection. */
export class SlowReader {
  taken = 0;
  #hash = createHash('sha256');
  #response;
  #timer;

  /** @param {IncomingMessage} response paused */
  constructor(response) {
    this.#response = response;
    this.#take();
    this.#timer = setInterval(() => this.#take(), 1000);
  }

  /** Asks, and returns when the head of the answer is there. @param {string} url */
  static async open(url) {
    // Of the connection: the types of a request do not have it.
    const options = { agent: false, highWaterMark: 1024 };
    const sent = request(url, /** @type {RequestOptions} */ (options)).end();
    const [response] = await once(sent, 'response');
    return new SlowReader(response);
  }

  #take() {
    const piece = this.#response.read(1024);
    if (piece === null) return;
    this.taken += piece.length;
    this.#hash.update(piece);
  }

  /** Takes what is left, as fast as it comes. @returns {Promise<string>} the SHA-256 of all of it */
  async rest() {
    clearInterval(this.#timer);
    for await (const piece of this.#response) this.#hash.update(piece);
    return this.#hash.digest('hex');
  }
}
