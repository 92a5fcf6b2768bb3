import type { Entry } from '../../api/entry-index.js';
import { EntrepotError, printableUrl } from '../../api/errors.js';
import type { AddressZone, TransportReply } from '../../api/transport.js';
import { Lru } from '../../formats/lru.js';
import type { ConfiguredUpstream, EngineServices, RepositoryDefinition } from '../store/repository.js';
import { PassedRedirect, passedTarget } from './passed-redirect.js';
import { withoutQuery, type UpstreamQuery } from './query.js';
import { drain, isRedirect, redirectTarget } from './upstream-reply.js';
import { type GuardedPlace, UpstreamTokens } from './upstream-tokens.js';

const MAX_REDIRECTS = 5;
/** Of so many hosts it is known in which network they are. */
const MAX_ZONES = 1000;

/** One hop of a query. */
type HopQuery = Pick<UpstreamQuery, 'method' | 'headers' | 'body' | 'conditional' | 'tokenScope' | 'signal'>;

/** Requests with credentials, redirects and networks: each host gets what is for it, and leads only where it may. */
export class UpstreamExchange {
  readonly #definition: RepositoryDefinition;
  readonly #services: EngineServices;
  readonly #trustedHosts: readonly string[];
  readonly #authorizations: ReadonlyMap<string, string>;
  /** The zones of trusted hosts, and of those that they led to, when they last answered. */
  readonly #zones = new Lru<AddressZone>(MAX_ZONES);
  readonly #tokens: UpstreamTokens;

  constructor(definition: RepositoryDefinition, services: EngineServices) {
    this.#definition = definition;
    this.#services = services;
    this.#trustedHosts = [...definition.upstreams.map(({ url }) => new URL(url).host), ...definition.allowPrivateHosts];
    const authorizations = new Map<string, string>();
    for (const { url, authorization } of definition.upstreams) {
      const { origin } = new URL(url);
      if (authorization !== undefined && !authorizations.has(origin)) authorizations.set(origin, authorization);
    }
    this.#authorizations = authorizations;
    this.#tokens = new UpstreamTokens({
      clock: services.clock,
      trustedRealms: definition.trustedRealms,
      get: (url, { authorization, zone, signal }) => {
        const allowPrivate = this.#trusts(url) || isNamed(definition.trustedRealms, url);
        const headers = { accept: 'application/json' };
        return this.#transmit(url, { method: 'GET', headers, signal }, authorization, allowPrivate, zone);
      },
    });
  }

  /** Follows redirects on the server's side: credentials stay with their origin. @throws PassedRedirect for one that clients follow */
  async follow(
    start: URL,
    upstream: ConfiguredUpstream | undefined,
    query: UpstreamQuery,
  ): Promise<{ reply: TransportReply; finalUrl: URL }> {
    let url = start;
    let restarted = false;
    // Whoever leads on, a document or a redirect, leads to the internet or to a network that it is in itself.
    let zone: AddressZone | undefined;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      // A token is for the place that was asked; where it leads to is another one.
      const hop = url.origin === start.origin ? query : { ...query, tokenScope: undefined };
      const reply = await (url === start ? this.#sendFirst(url, hop) : this.#send(url, hop, zone));
      if (url !== start && this.#trusts(start)) this.#zones.set(url.host, reply.zone ?? 'public');
      // A signed link that has expired meanwhile: its giver makes a new one (files.md, "Redirects").
      if (hops > 0 && !restarted && (reply.status === 400 || reply.status === 403) && url.host !== start.host) {
        drain(reply);
        restarted = true;
        url = start;
        continue;
      }
      if (!isRedirect(reply.status, query.method)) return { reply, finalUrl: url };
      drain(reply);
      zone = reply.zone;
      const target = redirectTarget(url, reply.headers['location']);
      const passed = passedTarget(query.redirects, upstream?.url, url, target);
      if (passed !== undefined) throw new PassedRedirect(reply.status, passed);
      url = target;
    }
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(start)} redirects more than ${MAX_REDIRECTS} times`,
      { code: 'UPSTREAM_REDIRECTS' },
    );
  }

  /** Asks for a URL that a document may have named. The zone of that document's host is only found out where it matters. */
  async #sendFirst(url: URL, query: UpstreamQuery): Promise<TransportReply> {
    const { namedBy, signal } = query;
    const namer = namedBy === undefined || this.#trusts(url) ? undefined : new URL(namedBy);
    const known = namer && this.#zones.get(namer.host);
    try {
      return await this.#send(url, query, known);
    } catch (error) {
      // Only a refused address is `forbidden` here. After a restart the document is kept, and its host was not asked yet.
      const isRefused = error instanceof EntrepotError && error.kind === 'forbidden';
      if (!isRefused || namer === undefined || known !== undefined || !this.#trusts(namer)) throw error;
      const reply = await this.#send(namer, { method: 'HEAD', headers: {}, signal });
      drain(reply);
      return await this.#send(url, query, reply.zone);
    }
  }

  /** Whether it is known in which network the host of `url` is: that of an upstream, or of where one led to. */
  knowsZone(url: string): boolean {
    return this.#zones.get(new URL(url).host) !== undefined;
  }

  /** Whether the operator named this host: only such a one may have any address. */
  #trusts(url: URL): boolean {
    return isNamed(this.#trustedHosts, url);
  }

  /** Asks for `url`, with what its origin is known to want; once more, when it says what that is. */
  async #send(url: URL, query: HopQuery, zone?: AddressZone): Promise<TransportReply> {
    const credentials = this.#authorizations.get(url.origin);
    const allowPrivate = this.#trusts(url);
    const { tokenScope: scope, signal } = query;
    if (scope === undefined) return await this.#transmit(url, query, credentials, allowPrivate, zone);
    const place: GuardedPlace = { url, scope, credentials, signal };
    const given = await this.#tokens.authorization(place);
    const reply = await this.#transmit(url, query, given, allowPrivate, zone);
    if (reply.status !== 401) return reply;
    drain(reply);
    const challenges = reply.headers['www-authenticate'] ?? '';
    const wanted = await this.#tokens.answer(place, { challenges, zone: reply.zone, refused: given });
    return wanted === undefined ? reply : await this.#transmit(url, query, wanted, allowPrivate, zone);
  }

  async #transmit(
    url: URL,
    query: HopQuery,
    authorization: string | undefined,
    allowPrivate: boolean,
    zone: AddressZone | undefined,
  ): Promise<TransportReply> {
    const { clock, observer, transport } = this.#services;
    const started = clock.monotonic();
    try {
      const reply = await transport.send({
        method: query.method,
        url: withoutUserInfo(url),
        headers: {
          'user-agent': this.#definition.userAgent,
          ...query.headers,
          ...conditions(query.conditional, url),
          ...(authorization !== undefined && { authorization }),
        },
        body: query.body,
        allowPrivate,
        alsoZone: zone,
        signal: query.signal,
      });
      if (this.#trusts(url)) this.#zones.set(url.host, reply.zone ?? 'public');
      observer?.upstreamAnswered(this.#definition.name, String(reply.status), clock.monotonic() - started);
      return reply;
    } catch (error) {
      observer?.upstreamAnswered(this.#definition.name, 'failed', clock.monotonic() - started);
      throw error;
    }
  }
}

/** Whether `hosts` names the host of `url`, with its port or for any. */
function isNamed(hosts: readonly string[], { host, hostname }: URL): boolean {
  return hosts.includes(host) || hosts.includes(hostname);
}

/** The conditions of RFC 9110 §13.1 for a kept copy that came from `url`. */
function conditions(kept: Entry | undefined, url: URL): Record<string, string> {
  if (kept === undefined || kept.upstreamUrl !== withoutQuery(url.href)) return {};
  return {
    ...(kept.etag !== undefined && { 'if-none-match': kept.etag }),
    ...(kept.lastModified !== undefined && { 'if-modified-since': kept.lastModified }),
  };
}

/** Leaves out credentials. */
export function withoutUserInfo(url: URL): URL {
  if (url.username === '' && url.password === '') return url;
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}
