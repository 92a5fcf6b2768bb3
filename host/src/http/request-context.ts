import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { LogFields, Logger } from '@entrepot/core';
import type { Middleware } from 'koa';
import { REQUEST } from '../log/text-log.js';
import {
  attachExchange,
  Exchange,
  type ExchangeObserver,
  type ExchangeRecord,
  type ExchangeWatch,
} from './exchange.js';
import type { TrustedProxies } from './trusted-proxies.js';

const SANE_ID = /^[A-Za-z0-9._~:+/=-]{1,128}$/;

const PROCESS_PREFIX = randomBytes(6).toString('hex');
let requests = 0;

/**
 * Gives each request an id, the client's own where it is a sane one, and tells `watch` when it is over.
 * @param proxies whose `X-Forwarded-For` is believed
 */
export function requestContext(watch: ExchangeWatch, proxies: TrustedProxies): Middleware {
  return (ctx, next) => {
    const { req, res } = ctx;
    const asked = req.headers['x-request-id'];
    const id = typeof asked === 'string' && SANE_ID.test(asked) ? asked : nextId();
    res.setHeader('X-Request-Id', id);
    res.setHeader('X-Content-Type-Options', 'nosniff');
    attachExchange(new Exchange(id, clientAddress(req, proxies), req, watch), res, watch);
    return next();
  };
}

/**
 * Writes one line for each request.
 * @param probes paths that are asked every few seconds: as long as all is well, theirs are lines of level `debug`
 */
export function accessLog(logger: Logger, probes: readonly string[] = []): ExchangeObserver {
  const quiet = new Set(probes);
  return (record) => {
    const level = record.repository === undefined && record.status < 400 && quiet.has(record.path) ? 'debug' : 'info';
    logger[level](accessFields(record), REQUEST);
  };
}

/** One object of one shape, for this is the hot path; what is `undefined` is not written. */
function accessFields(record: ExchangeRecord): LogFields {
  const { id, client, method, path, status, bytes, duration, repository, outcome, aborted } = record;
  return {
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
}

function nextId(): string {
  requests += 1;
  return `${PROCESS_PREFIX}-${requests.toString(36)}`;
}

/** The last address that is not a trusted proxy's. Addresses before it may be forged by the client. */
function clientAddress({ headers, socket }: IncomingMessage, proxies: TrustedProxies): string | undefined {
  const forwarded = headers['x-forwarded-for'];
  if (forwarded === undefined || !proxies(socket.remoteAddress)) return socket.remoteAddress;
  const hops = String(forwarded)
    .split(',')
    .map((hop) => hop.trim());
  const client = hops.findLast((hop) => !proxies(hop)) ?? hops[0];
  return client !== undefined && isIP(client) !== 0 ? client : socket.remoteAddress;
}
