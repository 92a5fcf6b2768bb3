import { type LookupAddress, lookup as resolve } from 'node:dns';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { pipeline, type Readable, Transform } from 'node:stream';
import { asEntrepotError, EntrepotError, printableUrl } from '../api/errors.js';
import type { AddressZone, Transport, TransportReply, TransportRequest } from '../api/transport.js';

/** The waits of a transport, in milliseconds. What is absent stays at the driver's default: 10 s for a `NodeTransport`. */
export interface TransportWaits {
  /** For the head of a reply, connecting included. */
  readonly headTimeout?: number;
  /** Between two pieces of a body that somebody reads. */
  readonly idleTimeout?: number;
}

/** A `Transport` on `node:http`, for tests: nothing decoded, no redirect followed, no pool to tune, no outbound proxy. */
export class NodeTransport implements Transport {
  readonly #http = new HttpAgent({ keepAlive: true });
  readonly #https = new HttpsAgent({ keepAlive: true });
  readonly #headTimeout: number;
  readonly #idleTimeout: number;

  constructor({ headTimeout = 10_000, idleTimeout = 10_000 }: TransportWaits = {}) {
    this.#headTimeout = headTimeout;
    this.#idleTimeout = idleTimeout;
  }

  async send(request: TransportRequest): Promise<TransportReply> {
    const url = printableUrl(request.url);
    if (request.signal.aborted) throw interrupted(url);
    try {
      const message = await this.#exchange(request, url);
      return {
        status: message.statusCode ?? 0,
        headers: joinHeaders(message.rawHeaders),
        body: this.#body(message, url, request.signal),
        zone: zoneOf(message.socket.remoteAddress ?? ''),
      };
    } catch (error) {
      throw request.signal.aborted ? interrupted(url, error) : asOutage(error, url);
    }
  }

  async dispose(): Promise<void> {
    this.#http.destroy();
    this.#https.destroy();
  }

  /** Sends the request and waits for the head of its reply. */
  #exchange(
    { method, url, headers, body, allowPrivate, alsoZone, signal }: TransportRequest,
    name: string,
  ): Promise<IncomingMessage> {
    const secure = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const isRefused = (address: string): boolean => !isAllowed(zoneOf(address), alsoZone);
    if (!allowPrivate && isIP(host) !== 0 && isRefused(host)) throw refusedAddress(name, host);
    return new Promise((settle, fail) => {
      const outgoing = (secure ? httpsRequest : httpRequest)(url, {
        method,
        // `Content-Length` keeps Node from chunking a body whose size is known.
        headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
        // A connection that may be private must never be reused for a request that may not.
        ...(allowPrivate
          ? { agent: secure ? this.#https : this.#http }
          : { agent: false, lookup: guardedLookup(name, isRefused) }),
        signal,
      });
      const timer = setTimeout(() => outgoing.destroy(timedOut(name, this.#headTimeout)), this.#headTimeout);
      outgoing.once('error', (error) => {
        clearTimeout(timer);
        fail(error);
      });
      outgoing.once('response', (message) => {
        clearTimeout(timer);
        settle(message);
      });
      outgoing.end(body);
    });
  }

  /** The body as a stream whose failures are ours. Node ends a body that was cut short with an error of its own. */
  #body(message: IncomingMessage, url: string, signal: AbortSignal): Readable {
    let failure: EntrepotError | undefined;
    const timer = setTimeout(() => {
      // A reader that is slow itself is not the upstream's fault.
      if (body.writableNeedDrain) return timer.refresh();
      failure = timedOut(url, this.#idleTimeout);
      message.destroy(failure);
    }, this.#idleTimeout);
    const body = new Transform({
      transform(chunk, _encoding, callback) {
        timer.refresh();
        callback(null, chunk);
      },
      destroy(error, callback) {
        clearTimeout(timer);
        if (error === null) return callback(null);
        callback(failure ?? (signal.aborted ? interrupted(url, error) : asOutage(error, url)));
      },
    });
    // The pipeline's own error is the one that `body` has been destroyed with.
    pipeline(message, body, () => {});
    return body;
  }
}

/** RFC 9110 §5.3: fields of one name are joined in order. Node's own table drops repeated fields of some names. */
export function joinHeaders(raw: readonly string[]): Record<string, string> {
  const joined = new Map<string, string>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase();
    const value = raw[index + 1] as string;
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(joined);
}

/** Looks at the addresses that the connection will use, so that a name cannot change between the check and its use. */
function guardedLookup(url: string, isRefused: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      const refused = addresses.find(({ address }) => isRefused(address));
      if (refused !== undefined) return callback(refusedAddress(url, refused.address), []);
      const [first] = addresses;
      if (options.all === true || first === undefined) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}

function isAllowed(zone: AddressZone, alsoZone: AddressZone | undefined): boolean {
  return zone === 'public' || (zone === alsoZone && zone !== 'other');
}

/** By zone: networks that are not public. */
const NETWORKS: readonly (readonly [AddressZone, BlockList])[] = [
  ['private', networks(['10.0.0.0', 8], ['100.64.0.0', 10], ['172.16.0.0', 12], ['192.168.0.0', 16], ['fc00::', 7])],
  [
    'test',
    networks(['192.0.2.0', 24], ['198.18.0.0', 15], ['198.51.100.0', 24], ['203.0.113.0', 24], ['2001:db8::', 32]),
  ],
  ['loopback', networks(['127.0.0.0', 8], ['::1', 128])],
  [
    'other',
    networks(['0.0.0.0', 8], ['169.254.0.0', 16], ['224.0.0.0', 3], ['::', 128], ['fe80::', 10], ['ff00::', 8]),
  ],
];

function networks(...subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of subnets) list.addSubnet(network, prefix, isIP(network) === 6 ? 'ipv6' : 'ipv4');
  return list;
}

/** The zone of `address`, also when IPv6 maps it. */
function zoneOf(address: string): AddressZone {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  return NETWORKS.find(([, list]) => list.check(address, family))?.[0] ?? 'public';
}

function refusedAddress(url: string, address: string): EntrepotError {
  return new EntrepotError('forbidden', `${url}: expected a public address, found ${address}`, {
    code: 'PRIVATE_ADDRESS',
  });
}

function timedOut(url: string, waited: number): EntrepotError {
  return new EntrepotError('upstream-unavailable', `${url}: nothing came for ${waited} ms`, {
    status: 504,
    code: 'UPSTREAM_TIMEOUT',
  });
}

function interrupted(url: string, cause?: unknown): EntrepotError {
  return new EntrepotError('upstream-unavailable', `${url}: the request was aborted`, {
    code: 'UPSTREAM_ABORTED',
    cause,
  });
}

function asOutage(error: unknown, url: string): EntrepotError {
  const reason = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : 'unknown reason';
  return asEntrepotError(
    error,
    'upstream-unavailable',
    `${url}: the upstream cannot be reached or broke off (${reason})`,
  );
}
