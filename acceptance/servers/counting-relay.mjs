import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { Origin } from '@entrepot/fixtures/origin';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

/**
 * Stands between Entrepot and a real registry and counts what passes. Documents name this relay where they name the
 * registry, so that artifacts are fetched through it as well.
 */
export class CountingRelay extends Origin {
  #target;

  /** @param {string} target the URL of the registry */
  constructor(target) {
    super((request, response) => this.#forward(request, response));
    this.#target = target.replace(/\/+$/, '');
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #forward(request, response) {
    const url = new URL(this.#target + request.url);
    const ask = url.protocol === 'https:' ? requestHttps : requestHttp;
    const headers = { ...request.headers, host: url.host, 'accept-encoding': 'identity' };
    const sent = ask(url, { method: request.method ?? 'GET', headers });
    const answered = /** @type {Promise<IncomingMessage>} */ (
      new Promise((resolve, reject) => sent.once('response', resolve).once('error', reject))
    );
    await pipeline(request, sent);
    const upstream = await answered;
    const kept = pick(upstream.headers, ['content-type', 'etag', 'last-modified', 'cache-control', 'retry-after']);
    if (!String(upstream.headers['content-type']).includes('json')) {
      response.writeHead(upstream.statusCode ?? 502, { ...kept, ...pick(upstream.headers, ['content-length']) });
      await pipeline(upstream, response);
      return;
    }
    const chunks = [];
    for await (const chunk of upstream) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString('utf8').replaceAll(`"${this.#target}/`, `"${this.url}/`);
    response.writeHead(upstream.statusCode ?? 502, { ...kept, 'content-length': Buffer.byteLength(body) });
    response.end(body);
  }
}

/**
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @param {readonly string[]} names
 */
function pick(headers, names) {
  return Object.fromEntries(names.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]));
}
