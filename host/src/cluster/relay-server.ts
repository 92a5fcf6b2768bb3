import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { asEntrepotError, type Logger } from '@entrepot/core';
import type { RelayedBody } from '@entrepot/core/engine';
import { createServer } from '../node-http.js';
import type { OwnFlight } from './own-flight.js';
import { answerForSession, SESSION_PATH, type OwnSessions } from './session-server.js';
import { writeHead } from './relay-head.js';
import type { ClusterSignature } from './signature.js';

/** The path of a running fetch: its lease, the generation of that, and the first byte that is wanted. */
const PATH = /^\/-\/internal\/v1\/flights\/([0-9a-f]{64})\?generation=(\d{1,15})&from=(\d{1,15})$/;
/** The time for which a request waits for a body that is to come; milliseconds. */
const PATIENCE = 20_000;
/** A connection on which nothing moves for this long is given up: longer than whoever asks waits. Milliseconds. */
const IDLE = 180_000;
/** The longest wait for the last bytes of bodies at the end, and the time between two looks for idle connections; milliseconds. */
const LAST_BYTES = 5_000;
const SWEEP = 20;
/** Requests that came through a proxy are none of this cluster. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'];

/** Where a relay listens: an address, or a socket of this machine. */
export type RelayPlace = { readonly host: string | undefined; readonly port: number } | { readonly socket: string };

export interface RelayServerOptions {
  readonly place: RelayPlace;
  readonly signature: ClusterSignature;
  readonly own: (name: string, generation: number) => OwnFlight | undefined;
  readonly logger: Logger;
}

/** Gives other servers of the cluster the bodies that this one is receiving. */
export class RelayServer {
  readonly #options: RelayServerOptions;
  readonly #server: Server;
  /** `undefined`: they are not open yet. */
  #sessions: OwnSessions | undefined;

  private constructor(options: RelayServerOptions) {
    this.#options = options;
    // An upload by a slow client takes as long as it takes, while something comes.
    this.#server = createServer({ requestTimeout: 0 }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        options.logger.warn({ error }, 'a request of another server failed');
        response.destroy();
      });
    });
    this.#server.setTimeout(IDLE);
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** @throws EntrepotError `configuration` when it cannot listen there */
  static async open(options: RelayServerOptions): Promise<RelayServer> {
    const relay = new RelayServer(options);
    const { place } = options;
    try {
      // Of a process that was killed.
      if ('socket' in place) await rm(place.socket, { force: true });
      relay.#server.listen('socket' in place ? { path: place.socket } : place);
      await once(relay.#server, 'listening');
    } catch (error) {
      const where = 'socket' in place ? place.socket : `${place.host ?? ''}:${place.port}`;
      throw asEntrepotError(error, 'configuration', `cluster.listen: cannot listen on ${where}`);
    }
    return relay;
  }

  /** Lets others use the unfinished uploads of this process. */
  offer(sessions: OwnSessions): void {
    this.#sessions = sessions;
  }

  /** The port that it listens on, where it is not a socket. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '';
    const { signature } = this.#options;
    const isForwarded = FORWARDED.some((name) => name in request.headers);
    const isOurs = !isForwarded && signature.check(target, request.headers.authorization, request.method);
    if (!isOurs) return end(response, 403);
    if (SESSION_PATH.test(target) && this.#sessions !== undefined)
      return await answerForSession(request, response, this.#sessions);
    const found = PATH.exec(target);
    if (found === null || request.method !== 'GET') return end(response, 404);
    const [, name = '', generation = '', from = ''] = found;
    const flight = this.#options.own(name, Number(generation));
    if (flight === undefined) return end(response, 404);
    const body = await soon(flight, response);
    if (body === undefined) return end(response, 204);
    const bytes = body.open(Number(from));
    response.writeHead(200, { 'content-type': 'application/octet-stream', trailer: 'entrepot-body' });
    response.write(writeHead(body));
    try {
      // A body that is broken off has no trailer.
      await pipeline(bytes, response, { end: false });
      response.addTrailers({ 'entrepot-body': 'complete' });
      response.end();
    } catch (error) {
      bytes.destroy();
      response.destroy();
      this.#options.logger.debug({ error, name }, 'a body could not be relayed to its end');
    }
  }

  /** Lets bodies that are here be sent to their ends, for a while. */
  async dispose(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    const sweep = setInterval(() => this.#server.closeIdleConnections(), SWEEP);
    const end = setTimeout(() => this.#server.closeAllConnections(), LAST_BYTES);
    await closed;
    clearInterval(sweep);
    clearTimeout(end);
  }
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}

/** Waits for the body of a flight. `undefined`: it has ended, the client has gone, or it takes long. */
async function soon(flight: OwnFlight, response: ServerResponse): Promise<RelayedBody | undefined> {
  const late = Promise.withResolvers<undefined>();
  const giveUp = (): void => late.resolve(undefined);
  const timer = setTimeout(giveUp, PATIENCE);
  response.once('close', giveUp);
  try {
    return await Promise.race([flight.body, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
