import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Logger, Outcome } from '@entrepot/core';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { REQUEST } from '../log/text-log.js';
import type { TrustedProxies } from './trusted-proxies.js';

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

/** The record of a running request. */
export type Exchange = { -readonly [Key in keyof ExchangeRecord]: ExchangeRecord[Key] };

/** Called at the end of every request. Must be quick and must not throw. */
export type ExchangeObserver = (record: ExchangeRecord) => void;

const SANE_ID = /^[A-Za-z0-9._~:+/=-]{1,128}$/;

/** The requests of all listeners: which of them still run, and who hears of their end. */
export class Exchanges {
  readonly #observers: readonly ExchangeObserver[];
  readonly #proxies: TrustedProxies;
  readonly #prefix = randomBytes(6).toString('hex');
  readonly #running = new Set<ServerResponse>();
  readonly #idle = Promise.withResolvers<void>();
  #count = 0;
  #draining = false;
  #retired = false;

  /** @param proxies whose `X-Forwarded-For` is believed */
  constructor(observers: readonly ExchangeObserver[], proxies: TrustedProxies) {
    this.#observers = observers;
    this.#proxies = proxies;
  }

  /** Whether the process is about to stop. */
  get draining(): boolean {
    return this.#draining;
  }

  /** The number of requests without a complete answer. */
  get running(): number {
    return this.#running.size;
  }

  /** Says that no further request comes. @returns a promise that the last one has ended */
  async retire(): Promise<void> {
    this.#retired = true;
    this.#endWhenIdle();
    await this.#idle.promise;
  }

  #endWhenIdle(): void {
    if (this.#retired && this.#running.size === 0) this.#idle.resolve();
  }

  /** From now on every answer says that its connection closes, also those that are being made. */
  drain(): void {
    this.#draining = true;
    for (const response of this.#running) if (!response.headersSent) response.setHeader('Connection', 'close');
  }

  /**
   * Begins the exchange of `response`, which ends with it, in whichever way. Gives the request an id: the client's own where it
   * is a sane one.
   */
  begin({ headers, method = '', url = '', socket }: IncomingMessage, response: ServerResponse): Exchange {
    const startedAt = performance.now();
    const asked = headers['x-request-id'];
    this.#count += 1;
    const exchange: Exchange = {
      id: typeof asked === 'string' && SANE_ID.test(asked) ? asked : `${this.#prefix}-${this.#count.toString(36)}`,
      method,
      path: url,
      status: 0,
      bytes: 0,
      duration: 0,
      client: clientOf(headers, socket, this.#proxies),
      repository: undefined,
      outcome: undefined,
      aborted: false,
    };
    response.setHeader('X-Request-Id', exchange.id);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    if (this.#draining) response.setHeader('Connection', 'close');
    this.#running.add(response);
    response.once('close', () => {
      exchange.status = response.statusCode;
      exchange.aborted = !response.writableFinished;
      exchange.duration = performance.now() - startedAt;
      // A page of the server itself; bytes of repositories are counted as they are sent.
      if (exchange.repository === undefined && method !== 'HEAD')
        exchange.bytes = Number(response.getHeader('content-length') ?? 0);
      const query = url.indexOf('?');
      if (query >= 0) exchange.path = url.slice(0, query);
      this.#running.delete(response);
      for (const observe of this.#observers) observe(exchange);
      this.#endWhenIdle();
    });
    return exchange;
  }
}

/** The address of the client that sent a request. @param proxies whose `X-Forwarded-For` is believed */
export function clientOf(
  headers: IncomingMessage['headers'],
  { remoteAddress }: Pick<IncomingMessage['socket'], 'remoteAddress'>,
  proxies: TrustedProxies,
): string | undefined {
  const forwarded = headers['x-forwarded-for'];
  return forwarded === undefined ? remoteAddress : forwardedClient(forwarded, remoteAddress, proxies);
}

/** The last address that is not a trusted proxy's. Addresses before it may be forged by the client. */
function forwardedClient(
  forwarded: string | string[],
  peer: string | undefined,
  proxies: TrustedProxies,
): string | undefined {
  if (!proxies(peer)) return peer;
  const hops = String(forwarded)
    .split(',')
    .map((hop) => hop.trim());
  const client = hops.findLast((hop) => !proxies(hop)) ?? hops[0];
  return client !== undefined && isIP(client) !== 0 ? client : peer;
}

/** Counts what repositories answered; probes and the metrics themselves are not of interest. */
export function countRequests(metrics: PrometheusMetrics): ExchangeObserver {
  return ({ outcome, status, duration, bytes }) => {
    if (outcome !== undefined) metrics.observeRequest(outcome, status, duration / 1000, bytes);
  };
}

/**
 * Writes one line for each request.
 * @param probes paths that are asked every few seconds: as long as all is well, theirs are lines of level `debug`
 */
export function accessLog(logger: Logger, probes: readonly string[] = []): ExchangeObserver {
  const quiet = new Set(probes);
  return (record) => {
    const { id, client, method, path, status, bytes, duration, repository, outcome, aborted } = record;
    const level = repository === undefined && status < 400 && quiet.has(path) ? 'debug' : 'info';
    // One object of one shape, for this is the hot path; what is `undefined` is not written.
    const fields = {
      id,
      client,
      user: outcome?.caller,
      method,
      path,
      status,
      bytes,
      duration: Math.round(duration * 1000) / 1000,
      repository,
      outcome: outcome?.name,
      resource: outcome?.resource,
      code: outcome?.code,
      detail: outcome?.detail,
      aborted: aborted || undefined,
    };
    logger[level](fields, REQUEST);
  };
}
