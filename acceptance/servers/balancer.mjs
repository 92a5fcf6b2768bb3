import { once } from 'node:events';
import { Agent, createServer, request as requestHttp } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';

/** @import { IncomingMessage, Server, ServerResponse } from 'node:http' */

/** The time between two questions for readiness, in milliseconds. */
const POLL = 200;

/**
 * A load balancer as they are: it polls readiness, keeps connections to the servers that are ready, gives each of them a request in turn,
 * and tries none of them again.
 */
export class Balancer {
  #servers;
  #ready = new Set(/** @type {string[]} */ ([]));
  #agent = new Agent({ keepAlive: true });
  #turn = 0;
  #port = 0;
  #stopped = false;
  /** @type {Server | undefined} */
  #server;
  /** @type {Promise<void>[]} */
  #polling = [];

  /** @param {readonly string[]} servers their URLs */
  constructor(servers) {
    this.#servers = servers;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The number of servers that are ready, as far as it knows. */
  get ready() {
    return this.#ready.size;
  }

  async start() {
    const server = createServer((request, response) => this.#forward(request, response));
    server.keepAliveTimeout = 60_000;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP address was expected');
    this.#port = address.port;
    this.#server = server;
    this.#polling = this.#servers.map((url) => this.#poll(url));
  }

  async stop() {
    this.#stopped = true;
    this.#agent.destroy();
    this.#server?.close();
    this.#server?.closeAllConnections();
    await Promise.all(this.#polling);
  }

  /** @param {string} url */
  async #poll(url) {
    while (!this.#stopped) {
      const isReady = await get(`${url}/-/readyz`, { timeout: 5_000 }).then(
        ({ status }) => status === 200,
        () => false,
      );
      if (isReady) this.#ready.add(url);
      else this.#ready.delete(url);
      await delay(POLL);
    }
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  #forward(request, response) {
    const ready = [...this.#ready];
    this.#turn += 1;
    const url = ready[this.#turn % ready.length];
    const fail = (/** @type {string} */ reason) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502, { 'content-type': 'text/plain' }).end(reason);
    };
    if (url === undefined) return fail('no server is ready');
    const sent = requestHttp(url + request.url, { method: request.method ?? 'GET', agent: this.#agent });
    sent.on('error', (error) => fail(`${url}: ${error.message}`));
    sent.on('response', (answer) => {
      const { 'content-length': length } = answer.headers;
      response.writeHead(answer.statusCode ?? 502, length === undefined ? {} : { 'content-length': length });
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    sent.end();
  }
}
