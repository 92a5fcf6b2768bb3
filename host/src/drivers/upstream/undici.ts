import type { Socket } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext, type SecureVersion } from 'node:tls';
import type { AddressZone, Transport, TransportReply, TransportRequest } from '@entrepot/core';
import { basicAuthorization, EntrepotError } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import type { buildConnector as Connector, Dispatcher, Pool as PoolType } from 'undici';
import { addressRefused, literalAddress, lookupIn, OtherZoneError, zoneOf } from './address-zone.js';
import { exchangeLeniently, isLooseHttp, type Reply, saysLengthTwice } from './lenient-exchange.js';
import type { ProxyFor } from '../../config/proxy-variables.js';
import { Agent, buildConnector, Pool, ProxyAgent } from './undici-parts.js';
import { UpstreamBody } from './upstream-body.js';
import { failureCode, upstreamError } from './upstream-error.js';

/** The largest head of a reply that is read, in bytes. */
const MAX_HEAD = 64 * 1024;
/** The time for which an idle connection is kept when the upstream does not say; milliseconds. */
const KEEP_ALIVE = 10_000;
const CONNECTIONS = 128;
/** The number of hosts whose zone is remembered. */
const KNOWN_HOSTS = 1000;
const ZONES = ['public', 'private', 'test', 'loopback', 'other'] as const satisfies readonly AddressZone[];

export interface UndiciTransportOptions {
  /**
   * The URL of an HTTP proxy, which may hold its user and password, or which one each URL is reached through. Names are
   * then resolved by the proxy and count as public: only hosts that are addresses, or `localhost`, can be refused here.
   */
  readonly proxy?: string | ProxyFor | undefined;
  /** Milliseconds: to connect, for the head of a reply, between two pieces of a body that is being read. */
  readonly timeouts: { readonly connect: number; readonly headers: number; readonly body: number };
  /** Connections to one origin at the most; requests beyond that wait for one of them. Default: 128. */
  readonly connections?: number | undefined;
  /** Header that tells upstreams which servers a request has been through, so that loops are found. Default: none. */
  readonly loop?: { readonly header: string; readonly value: () => string } | undefined;
  /** Certificates in PEM of authorities that are trusted besides those that Node brings. */
  readonly ca?: string | undefined;
  /** The lowest version of TLS. Default: that of Node. */
  readonly minTlsVersion?: SecureVersion | undefined;
}

/** A `Transport` on undici: HTTP/1.1 on kept connections, one request a connection at a time. */
export class UndiciTransport implements Transport {
  readonly #options: UndiciTransportOptions;
  /** Each zone has connections of its own, and makes none to another one: so a reply is known to be from its zone. */
  readonly #dispatchers: Readonly<Record<AddressZone, Dispatcher>>;
  /** The last zones of host names, which are tried first. */
  readonly #lastZones = new Lru<AddressZone>(KNOWN_HOSTS);
  readonly #proxyFor: ProxyFor;
  /** By the URL of the proxy. */
  readonly #proxies = new Map<string, Dispatcher>();
  /** The origins that were found to speak HTTP that is not strict. */
  readonly #loose = new Lru<true>(KNOWN_HOSTS);
  readonly #secureContext: SecureContext | undefined;
  readonly #openProxy: (proxy: string) => Dispatcher;

  constructor(options: UndiciTransportOptions) {
    const { proxy, timeouts, connections = CONNECTIONS, ca, minTlsVersion: minVersion } = options;
    this.#options = options;
    const pool: PoolType.Options = {
      connections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE,
      maxHeaderSize: MAX_HEAD,
    };
    // One context for all connections: parsing every authority anew costs milliseconds a connection.
    const secureContext =
      ca === undefined && minVersion === undefined
        ? undefined
        : createSecureContext({ ca: ca === undefined ? undefined : [...rootCertificates, ca], minVersion });
    const tls = { timeout: timeouts.connect, allowH2: false, ...(secureContext && { secureContext }) };
    this.#secureContext = secureContext;
    this.#openProxy = (url) => proxyAgent(url, pool, tls);
    this.#proxyFor = typeof proxy === 'function' ? proxy : () => proxy;
    if (typeof proxy === 'string') this.#proxies.set(proxy, this.#openProxy(proxy));
    const dispatchers = ZONES.map((zone) => {
      const connect = marking(buildConnector({ ...tls, lookup: lookupIn(zone) }));
      return [zone, new Agent({ ...pool, connect })];
    });
    this.#dispatchers = Object.fromEntries(dispatchers) as Record<AddressZone, Dispatcher>;
  }

  async send(request: TransportRequest): Promise<TransportReply> {
    if (request.signal.aborted) throw upstreamError(request.signal.reason, request);
    if (request.url.protocol !== 'http:' && request.url.protocol !== 'https:') {
      throw new EntrepotError('upstream-unavailable', `expected an http or https URL, found ${request.url.protocol}`, {
        code: 'UPSTREAM_PROTOCOL',
      });
    }
    try {
      const [zone, { statusCode, headers, body }] = await this.#find(request);
      return { status: statusCode, headers: joinHeaders(headers), body: new UpstreamBody(body, request), zone };
    } catch (error) {
      throw upstreamError(error, request);
    }
  }

  /** Ends every exchange that is under way. */
  async dispose(): Promise<void> {
    const all = [...Object.values(this.#dispatchers), ...this.#proxies.values()];
    await Promise.all(all.map((dispatcher) => dispatcher.destroy()));
  }

  /** Sends the request in the zone where its host is, if that is allowed. */
  async #find(request: TransportRequest): Promise<readonly [AddressZone, Reply]> {
    const { hostname } = request.url;
    const fixed = this.#fixedZone(request.url);
    if (fixed !== undefined) {
      const address = literalAddress(hostname);
      if (!isAllowed(request, fixed)) throw addressRefused(address ?? hostname, address ?? fixed);
      return [fixed, await this.#exchange(request, fixed)];
    }
    const last = this.#lastZones.get(hostname) ?? 'public';
    const first = isAllowed(request, last) ? last : 'public';
    try {
      return [first, await this.#exchange(request, first)];
    } catch (error) {
      if (!(error instanceof OtherZoneError)) throw error;
      const { zone, address } = error;
      if (!isAllowed(request, zone)) throw addressRefused(hostname, address);
      this.#lastZones.set(hostname, zone);
      return [zone, await this.#exchange(request, zone)];
    }
  }

  /** The zone of a host that is not looked up here. */
  #fixedZone(url: URL): AddressZone | undefined {
    const { hostname } = url;
    const address = literalAddress(hostname);
    if (address !== undefined) return zoneOf(address);
    if (this.#proxyFor(url) === undefined) return undefined;
    return /(^|\.)localhost\.?$/i.test(hostname) ? 'loopback' : 'public';
  }

  async #exchange(request: TransportRequest, zone: AddressZone): Promise<Reply> {
    const safe = request.method === 'GET' || request.method === 'HEAD';
    const mayBeLoose = safe && this.#proxyFor(request.url) === undefined;
    if (mayBeLoose && this.#loose.get(request.url.origin) === true) return await this.#leniently(request, zone);
    try {
      const reply = await this.#strictly(request, zone, safe);
      if (!mayBeLoose || !saysLengthTwice(reply.headers)) return reply;
      reply.body.on('error', () => {}).destroy();
    } catch (error) {
      if (!mayBeLoose || request.signal.aborted || !isLooseHttp(error)) throw error;
    }
    const reply = await this.#leniently(request, zone);
    this.#loose.set(request.url.origin, true);
    return reply;
  }

  async #strictly(request: TransportRequest, zone: AddressZone, safe: boolean): Promise<Reply> {
    try {
      return await this.#once(request, zone);
    } catch (error) {
      // RFC 9112 §9.3.1: the upstream may have closed the idle connection just as the request was sent.
      if (!safe || request.signal.aborted || !wasKeptConnection(error)) throw error;
      return this.#once(request, zone);
    }
  }

  /** For a server that is known to speak loose HTTP. What its own clients take is taken. */
  #leniently(request: TransportRequest, zone: AddressZone): Promise<Reply> {
    return exchangeLeniently(request, {
      lookup: lookupIn(zone),
      secureContext: this.#secureContext,
      headers: this.#headersOf(request),
      maxHeaderSize: MAX_HEAD,
      timeouts: this.#options.timeouts,
    });
  }

  #headersOf({ headers }: TransportRequest): Record<string, string> {
    const { loop } = this.#options;
    return loop === undefined ? { ...headers } : { [loop.header]: loop.value(), ...headers };
  }

  #dispatcher(url: URL, zone: AddressZone): Dispatcher {
    const proxy = this.#proxyFor(url);
    if (proxy === undefined) return this.#dispatchers[zone];
    const open = this.#proxies.get(proxy) ?? this.#openProxy(proxy);
    this.#proxies.set(proxy, open);
    return open;
  }

  #once(request: TransportRequest, zone: AddressZone): Promise<Reply> {
    const { method, url, body, signal } = request;
    const { timeouts } = this.#options;
    return this.#dispatcher(url, zone).request({
      // Not the URL as a whole: it may hold credentials.
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: this.#headersOf(request),
      body: body ?? null,
      signal,
      headersTimeout: timeouts.headers,
      bodyTimeout: timeouts.body,
    });
  }
}

function isAllowed({ allowPrivate, alsoZone }: TransportRequest, zone: AddressZone): boolean {
  return allowPrivate || zone === 'public' || (zone === alsoZone && zone !== 'other');
}

function proxyAgent(proxy: string, pool: PoolType.Options, tls: Connector.BuildOptions): Dispatcher {
  const url = URL.canParse(proxy) ? new URL(proxy) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new EntrepotError('configuration', `expected the URL of an HTTP proxy, found ${url?.protocol ?? 'no URL'}`);
  }
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  return new ProxyAgent({
    ...pool,
    uri: url.origin,
    ...(username === '' ? {} : { token: basicAuthorization(username, password) }),
    // Many proxies tunnel to port 443 only; plain HTTP goes through them as RFC 9112 §3.2.2 has it.
    proxyTunnel: false,
    proxyTls: tls,
    requestTls: tls,
    factory: (origin, options) => new Pool(origin, { ...pool, ...options }),
  });
}

/** Errors of connections that had carried something before. */
const keptConnectionErrors = new WeakSet<object>();

/** Remembers of an error whether its connection was new: undici hands on the error alone. */
function marking(connect: Connector.connector): Connector.connector {
  return (options, callback) => {
    connect(options, (error, socket) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      const connected = socket as Socket;
      const atFirst = connected.bytesRead;
      connected.prependListener('error', (failure: Error) => {
        if (connected.bytesRead > atFirst) keptConnectionErrors.add(failure);
      });
      callback(null, connected);
    });
  };
}

/** Whether the failure may be no more than an idle connection that the upstream has closed. */
function wasKeptConnection(error: unknown): boolean {
  const code = failureCode(error);
  if (code === 'ECONNRESET' || code === 'EPIPE') return keptConnectionErrors.has(error as object);
  if (code !== 'UND_ERR_SOCKET') return false;
  const { socket } = error as { readonly socket?: Pick<Socket, 'bytesRead'> | null };
  return (socket?.bytesRead ?? 0) > 0;
}

/** RFC 9110 §5.3: fields of one name are joined in order. */
function joinHeaders(headers: Reply['headers']): Record<string, string> {
  const fields = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(fields.map(([name, value]) => [name, [value].flat().join(', ')]));
}
