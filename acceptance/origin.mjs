import { once } from 'node:events';
import { createServer } from 'node:http';

/** @import { IncomingMessage, Server, ServerResponse } from 'node:http' */

/** An HTTP server, on loopback unless another address is named, that counts its requests and can refuse connections for a while on the same port. */
export class Origin {
  #handler;
  #host;
  /** @type {Server | undefined} */
  #server;
  #port = 0;
  /** How often each `METHOD path` was asked for. @type {Map<string, number>} */
  requests = new Map();

  /** @param {(request: IncomingMessage, response: ServerResponse) => unknown} handler @param {string} [host] */
  constructor(handler, host = '127.0.0.1') {
    this.#handler = handler;
    this.#host = host;
  }

  get port() {
    return this.#port;
  }

  get url() {
    return `http://${this.#host}:${this.#port}`;
  }

  /** Starts to listen: on any free port the first time, on the same one after `stop`. */
  async start() {
    const server = createServer((request, response) => {
      const name = `${request.method} ${request.url}`;
      this.requests.set(name, (this.requests.get(name) ?? 0) + 1);
      Promise.resolve()
        .then(() => this.#handler(request, response))
        .catch((error) => response.destroy(error));
    });
    server.keepAliveTimeout = 60_000;
    server.listen(this.#port, this.#host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP address was expected');
    this.#port = address.port;
    this.#server = server;
    return this;
  }

  /** Ends every connection; new ones are refused until the next `start`. */
  async stop() {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  /** How many requests there were, or how many for one `METHOD path`. @param {string} [name] */
  count(name) {
    if (name !== undefined) return this.requests.get(name) ?? 0;
    let total = 0;
    for (const times of this.requests.values()) total += times;
    return total;
  }

  /** Forgets what was counted. */
  reset() {
    this.requests.clear();
  }
}

/**
 * Waits until more can be written, or nothing any more.
 * @param {ServerResponse} response
 * @returns {Promise<void>}
 */
export function drained(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
