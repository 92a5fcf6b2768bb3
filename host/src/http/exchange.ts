import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Outcome } from '@entrepot/core';
import type { Drain } from './drain.js';

/** The record of a finished request. */
export interface ExchangeRecord {
  readonly id: string;
  readonly method: string;
  /** Not decoded, and without the query, which may hold secrets. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the body that were handed to the connection. */
  readonly bytes: number;
  /** Milliseconds from the head of the request to the end of the response. */
  readonly duration: number;
  /** The client's address, as the peer or a proxy that is trusted gives it. */
  readonly client: string | undefined;
  /** Absent where no repository is mounted. */
  readonly repository: string | undefined;
  readonly outcome: Outcome | undefined;
  /** Whether the connection ended before the response did, by the client or because the body failed. */
  readonly aborted: boolean;
}

/** Called at the end of every request. Must be quick and must not throw. */
export type ExchangeObserver = (record: ExchangeRecord) => void;

export interface ExchangeWatch {
  readonly observers: readonly ExchangeObserver[];
  readonly drain: Drain;
}

const EXCHANGE = Symbol('exchange');

interface ExchangeResponse extends ServerResponse {
  [EXCHANGE]?: Exchange;
}

/** The record of a running request. One object and one shared listener a request: this is the hot path. */
export class Exchange implements ExchangeRecord {
  readonly id: string;
  readonly method: string;
  path: string;
  status = 0;
  bytes = 0;
  duration = 0;
  readonly client: string | undefined;
  repository: string | undefined = undefined;
  outcome: Outcome | undefined = undefined;
  aborted = false;
  readonly #startedAt = performance.now();
  readonly #watch: ExchangeWatch;

  constructor(id: string, client: string | undefined, request: IncomingMessage, watch: ExchangeWatch) {
    this.id = id;
    this.method = request.method ?? '';
    this.path = request.url ?? '';
    this.client = client;
    this.#watch = watch;
  }

  /** Tells the observers how it ended. */
  settle(response: ServerResponse): void {
    this.status = response.statusCode;
    this.aborted = !response.writableFinished;
    this.duration = performance.now() - this.#startedAt;
    // Koa sent it, not the adapter, which counts.
    if (this.repository === undefined && this.method !== 'HEAD')
      this.bytes = Number(response.getHeader('content-length') ?? 0);
    const query = this.path.indexOf('?');
    if (query >= 0) this.path = this.path.slice(0, query);
    this.#watch.drain.end(response);
    for (const observe of this.#watch.observers) observe(this);
  }
}

/** Begins the exchange of `response`; it settles when the response is over, in whichever way. */
export function attachExchange(exchange: Exchange, response: ServerResponse, { drain }: ExchangeWatch): void {
  (response as ExchangeResponse)[EXCHANGE] = exchange;
  drain.begin(response);
  response.once('close', settle);
}

/** The exchange that `response` belongs to. */
export function exchangeOf(response: ServerResponse): Exchange {
  const exchange = (response as ExchangeResponse)[EXCHANGE];
  if (exchange === undefined) throw new Error('The request context must come before everything that needs it');
  return exchange;
}

function settle(this: ServerResponse): void {
  exchangeOf(this).settle(this);
}
