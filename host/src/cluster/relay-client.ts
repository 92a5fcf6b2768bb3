import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EntrepotError } from '@entrepot/core';
import type { RelayedReply } from '@entrepot/core/engine';
import type { LeaseState } from '../drivers/sql/flight-leases.js';
import { Agent, request } from '../node-http.js';
import type { RelayClient } from './flight-coordinator.js';
import { LARGEST_HEAD, readHead } from './relay-head.js';
import type { ClusterSignature } from './signature.js';

/** The time for a connection; milliseconds. */
const CONNECT = 2_000;
/** The longest silence in the middle of a body: longer than an upstream may be silent. Milliseconds. */
const SILENCE = 120_000;

/** Follows bodies that other servers of the cluster receive. */
export class HttpRelayClient implements RelayClient {
  readonly #signature: ClusterSignature;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(signature: ClusterSignature) {
    this.#signature = signature;
  }

  async open(lease: LeaseState, from: number, signal: AbortSignal): Promise<RelayedReply | undefined> {
    const { address, name, generation } = lease;
    if (address === undefined) return undefined;
    const target = `/-/internal/v1/flights/${name}?generation=${generation}&from=${from}`;
    const response = await this.request(address, target, signal);
    if (response.statusCode !== 200) {
      response.resume();
      return undefined;
    }
    try {
      const pieces = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      const { head, rest } = await readStart(pieces);
      const reply = readHead(head);
      const body = Readable.from(untilComplete(response, pieces, rest), { objectMode: false });
      // Also where nobody has read a byte.
      body.once('close', () => response.destroy());
      return { ...reply, body };
    } catch (error) {
      response.destroy();
      throw error;
    }
  }

  /** Sends a signed request. @param body makes it a POST */
  request(address: string, target: string, signal: AbortSignal, body?: Readable): Promise<IncomingMessage> {
    const method = body === undefined ? 'GET' : 'POST';
    const place = address.startsWith('unix:') ? { socketPath: address.slice('unix:'.length) } : locationOf(address);
    return new Promise((resolve, reject) => {
      const asked = request({
        ...place,
        agent: this.#agent,
        method,
        path: target,
        headers: { authorization: this.#signature.sign(target, method) },
        signal,
      });
      const timer = setTimeout(() => asked.destroy(broken('it could not be connected to')), CONNECT);
      asked.once('socket', (socket) => {
        if (socket.connecting) socket.once('connect', () => clearTimeout(timer));
        else clearTimeout(timer);
      });
      asked.setTimeout(SILENCE, () => asked.destroy(broken('it was silent for too long')));
      asked.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      asked.once('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      if (body === undefined) asked.end();
      else pipeline(body, asked).catch((error: unknown) => asked.destroy(error as Error));
    });
  }

  dispose(): void {
    this.#agent.destroy();
  }
}

function locationOf(address: string): { readonly host: string; readonly port: string } {
  const { hostname, port } = new URL(address);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port || '80' };
}

/** Reads the head of a body. @returns it, and the bytes behind it that came with it */
async function readStart(pieces: AsyncIterator<Buffer>): Promise<{ readonly head: Buffer; readonly rest: Buffer }> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const size = bytes.length >= 4 ? bytes.readUInt32BE(0) : undefined;
    if (size !== undefined && size > LARGEST_HEAD) throw broken(`it sent a head of ${size} bytes`);
    if (size !== undefined && bytes.length >= 4 + size) {
      return { head: bytes.subarray(4, 4 + size), rest: bytes.subarray(4 + size) };
    }
    const next = await pieces.next();
    if (next.done === true) throw broken('it ended within the head of a body');
    bytes = Buffer.concat([bytes, next.value]);
  }
}

/** The bytes of a body. @throws EntrepotError where it ends without the trailer that says that it is whole */
async function* untilComplete(
  response: IncomingMessage,
  pieces: AsyncIterator<Buffer>,
  first: Buffer,
): AsyncGenerator<Buffer> {
  try {
    if (first.length > 0) yield first;
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
  } catch (error) {
    throw broken('its connection broke', error);
  } finally {
    response.destroy();
  }
  if (response.trailers['entrepot-body'] !== 'complete') throw broken('its body broke off');
}

function broken(how: string, cause?: unknown): EntrepotError {
  return new EntrepotError('upstream-unavailable', `Another server fetches this, and ${how}`, {
    code: 'RELAY_BROKEN',
    cause,
  });
}
