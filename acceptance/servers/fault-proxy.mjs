import { request as ask } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { drained, Origin } from '@entrepot/fixtures/origin';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

/**
 * A fault of requests: a reply of the proxy itself, or a reset of the connection.
 * @typedef {{ status: number, headers?: Record<string, string>, body?: string } | 'reset'} ProxyFault
 */

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding']);
const TICK = 20;

/**
 * Stands in front of a real server, changes nothing of what passes, counts it, and can make the server look broken,
 * slow or gone (`stop`).
 */
export class FaultProxy extends Origin {
  #target;
  #own;
  /** With every request that `concerns` names. @type {ProxyFault | undefined} */
  fault;
  /** Which requests the fault is for. @type {(request: IncomingMessage) => boolean} */
  concerns = () => true;
  /** The status of every answer of the server itself, by `METHOD path`. @type {Map<string, number[]>} */
  statuses = new Map();
  /** The speed of bodies. @type {number} */
  bytesPerSecond = Infinity;

  /**
   * @param {string} target the URL of the server
   * @param {(request: IncomingMessage, response: ServerResponse) => boolean} [own] answers some requests itself: then it
   *   says true
   */
  constructor(target, own = () => false) {
    super((request, response) => this.#answer(request, response));
    this.#target = target;
    this.#own = own;
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #answer(request, response) {
    const fault = this.concerns(request) ? this.fault : undefined;
    if (fault === 'reset') return void request.socket.resetAndDestroy();
    if (fault !== undefined) {
      request.resume();
      response.writeHead(fault.status, fault.headers).end(request.method === 'HEAD' ? undefined : fault.body);
      return undefined;
    }
    if (this.#own(request, response)) return undefined;
    return this.#forward(request, response);
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #forward(request, response) {
    const sent = ask(new URL(request.url ?? '/', this.#target), {
      method: request.method ?? 'GET',
      headers: request.headers,
      agent: false,
    });
    response.on('close', () => sent.destroy());
    const answered = /** @type {Promise<IncomingMessage>} */ (
      new Promise((resolve, reject) => sent.once('response', resolve).once('error', reject))
    );
    // An answer may come before the request is read to its end.
    pipeline(request, sent).catch(() => {});
    const upstream = await answered;
    const name = `${request.method} ${request.url}`;
    this.statuses.set(name, [...(this.statuses.get(name) ?? []), upstream.statusCode ?? 0]);
    const headers = Object.fromEntries(Object.entries(upstream.headers).filter(([name]) => !HOP_BY_HOP.has(name)));
    response.writeHead(upstream.statusCode ?? 502, headers);
    if (this.bytesPerSecond === Infinity) return pipeline(upstream, response);
    response.flushHeaders();
    for await (const chunk of upstream) await this.#trickle(chunk, response);
    response.end();
    return undefined;
  }

  /** @param {Buffer} bytes @param {ServerResponse} response */
  async #trickle(bytes, response) {
    for (let at = 0; at < bytes.length && !response.destroyed;) {
      const step = Math.max(1, Math.min(bytes.length, Math.round((this.bytesPerSecond * TICK) / 1000)));
      if (!response.write(bytes.subarray(at, at + step))) await drained(response);
      at += step;
      await delay(TICK);
    }
  }
}
