import { setTimeout as pause } from 'node:timers/promises';
import { Lru } from '../../formats/lru.js';
import { asEntrepotError, EntrepotError, printableUrl } from '../../api/errors.js';
import type { Entry } from '../../api/entry-index.js';
import type { UpstreamLocation } from '../../api/resource.js';
import type { AddressZone, TransportReply } from '../../api/transport.js';
import type { ConfiguredUpstream, EngineServices, RepositoryDefinition } from '../store/repository.js';
import { PassedRedirect, passedTarget } from './passed-redirect.js';
import { RateLimits } from './rate-limits.js';
import { drain, isHeadUnknown, isRedirect, parseRetryAfter, redirectTarget, refusal } from './upstream-reply.js';
import { type GuardedPlace, UpstreamTokens } from './upstream-tokens.js';

const MAX_REDIRECTS = 5;
/** Of so many hosts it is known in which network they are. */
const MAX_ZONES = 1000;
/** Failures in a row after which an upstream is passed over. */
const FAILURES_TO_SKIP = 3;
/** How long it is passed over; milliseconds. */
const SKIP_FOR = 10_000;
/** The longest that an upstream is left alone because it asks for that; seconds. */
const MAX_LEFT_ALONE = 60;

/** What is asked of the upstreams. */
export interface UpstreamQuery {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Below the base URL, encoded. Absent: no upstream is asked, only `location`. */
  readonly path?: string | undefined;
  readonly scope?: string | undefined;
  readonly upstreamsAre?: 'mirrors' | 'origins' | undefined;
  /** An absolute URL that is tried before the upstreams: where a document says that the bytes are. */
  readonly location?: string | undefined;
  /** Others that are tried after it. */
  readonly mirrors?: readonly string[] | undefined;
  /** Which redirects end it with a `PassedRedirect`. */
  readonly redirects?: UpstreamLocation['redirects'];
  /** The URL of the document that named `location`. */
  readonly namedBy?: string | undefined;
  /** The scope of the token that the place may want. */
  readonly tokenScope?: string | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  /** The kept copy to revalidate. Its validators go only to the URL that gave them: another mirror's mean something else. */
  readonly conditional?: Entry | undefined;
  readonly signal: AbortSignal;
  /** Whether an unhealthy upstream may be left unasked: only where a kept copy can be served instead. */
  readonly skipUnhealthy: boolean;
}

/** Which place is asked, as a part of a query. */
export type QueryPlace = Pick<
  UpstreamQuery,
  'path' | 'scope' | 'upstreamsAre' | 'redirects' | 'location' | 'mirrors' | 'namedBy' | 'tokenScope'
>;

/** A reply that is an answer: 200, 206 or 304. */
export interface UpstreamReply extends TransportReply {
  /** The URL that was asked first: the one that validators belong to. Without credentials. */
  readonly url: string;
  /** The URL of the document that named `url`, where one did. */
  readonly namedBy: string | undefined;
  /** The URL that answered, after redirects. May hold a signature: not for logs. */
  readonly finalUrl: URL;
}

/** What one hop of a query needs. */
type HopQuery = Pick<UpstreamQuery, 'method' | 'headers' | 'body' | 'conditional' | 'tokenScope' | 'signal'>;

/** A place that is asked. */
interface Candidate {
  readonly url: URL;
  /** The upstream that it belongs to; absent for a place elsewhere that a document named. */
  readonly upstream?: ConfiguredUpstream | undefined;
}

/** The upstreams of one repository: which to ask, with what, and what their answers mean. */
export class Upstreams {
  readonly #definition: RepositoryDefinition;
  readonly #services: EngineServices;
  readonly #trustedHosts: readonly string[];
  readonly #authorizations: ReadonlyMap<string, string>;
  /** Where the trusted hosts, and those that they led to, were when they last answered. */
  readonly #zones = new Lru<AddressZone>(MAX_ZONES);
  readonly #tokens: UpstreamTokens;
  readonly #limits = new RateLimits();
  readonly #health = new Map<string, { failures: number; skipUntil: number }>();

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

  /**
   * Asks the upstreams in order until one answers.
   * @throws EntrepotError `not-found` when those that could be asked say 404 or 410; `forbidden` for 401 and 403, or a
   * refused address; `upstream-unavailable` when none could answer; `bad-request` for other refusals
   */
  async fetch(query: UpstreamQuery): Promise<UpstreamReply> {
    const { candidates, named, skipped } = this.#candidates(query);
    if (candidates.length === 0) {
      if (skipped !== undefined) throw leftAlone(skipped);
      const scope = query.scope === undefined ? '' : ` for ${query.scope}`;
      throw new EntrepotError('not-found', `Repository ${this.#definition.name} has no upstream${scope}`);
    }
    const failures: EntrepotError[] = [];
    for (const [index, { url, upstream }] of candidates.entries()) {
      try {
        return await this.#ask(url, upstream, query);
      } catch (error) {
        const failure = asEntrepotError(error, 'upstream-unavailable', `${printableUrl(url)} could not be asked`);
        query.signal.throwIfAborted();
        failures.push(failure);
        const isNamedNext = index < named - 1;
        if (isNamedNext ? !isOutOfReach(failure) : !leadsOn(reachOf(failure, index < named), upstream, query)) break;
      }
    }
    // "Not found" is only true when nobody who could know was out of reach (architecture §10: our failure is never a 404).
    const outage = failures.find(({ kind }) => kind !== 'not-found');
    if (outage === undefined && skipped !== undefined) throw leftAlone(skipped);
    throw outage ?? (failures.at(-1) as EntrepotError);
  }

  /** Who is asked, in order; and one that is left alone for the time being, because it has been failing. */
  #candidates(query: UpstreamQuery): {
    candidates: readonly Candidate[];
    /** How many of them, at the beginning, a document named. */
    named: number;
    skipped?: ConfiguredUpstream | undefined;
  } {
    const { path, scope, location, mirrors = [], skipUnhealthy } = query;
    const upstreams =
      path === undefined ? [] : this.#definition.upstreams.filter((upstream) => upstream.scope === scope);
    const now = this.#services.clock.monotonic();
    const isHealthy = ({ url }: ConfiguredUpstream): boolean => (this.#health.get(url)?.skipUntil ?? -Infinity) <= now;
    // One whose outage would lead on is passed over at once, and asked last.
    const passedOver = upstreams.filter(
      (upstream) => !isHealthy(upstream) && leadsOn('upstream-unavailable', upstream, query),
    );
    const inTurn = upstreams.filter((upstream) => !passedOver.includes(upstream));
    const [first = passedOver[0]] = inTurn;
    if (skipUnhealthy && first !== undefined && !isHealthy(first)) return { candidates: [], named: 0, skipped: first };
    const asked = [...inTurn, ...(skipUnhealthy ? [] : passedOver)];
    const candidates = asked.map((upstream): Candidate => ({ url: joinUrl(upstream.url, path as string), upstream }));
    const skipped = skipUnhealthy ? passedOver[0] : undefined;
    if (location === undefined) return { candidates, named: 0, skipped };
    const places = [location, ...mirrors].map(locate).map((url): Candidate => {
      return { url, upstream: this.#definition.upstreams.find((candidate) => isBelow(url, candidate.url)) };
    });
    const others = candidates.filter((candidate) => !places.some(({ url }) => url.href === candidate.url.href));
    return { candidates: [...places, ...others], named: places.length, skipped };
  }

  async #ask(url: URL, upstream: ConfiguredUpstream | undefined, query: UpstreamQuery): Promise<UpstreamReply> {
    const { reply, finalUrl } = await this.#follow(url, upstream, query).catch((error: unknown) => {
      if (!query.signal.aborted && error instanceof EntrepotError && error.kind === 'upstream-unavailable')
        this.#failed(upstream);
      throw error;
    });
    this.#noteLimits(upstream, reply);
    if (isHeadUnknown(query.method, reply.status)) this.#answered(upstream);
    else if (reply.status >= 500 || reply.status === 429) this.#failed(upstream, reply);
    else this.#answered(upstream);
    // A part that nobody asked for is not the whole: taken for an answer, it would be kept as a complete body.
    const isPart = reply.status === 206 && query.headers['range'] !== undefined;
    if (reply.status === 200 || isPart || reply.status === 304) {
      return { ...reply, url: withoutUserInfo(url).href, namedBy: query.namedBy, finalUrl };
    }
    if (isWholeAnyway(reply)) {
      return { ...reply, status: 200, url: withoutUserInfo(url).href, namedBy: query.namedBy, finalUrl };
    }
    drain(reply);
    throw refusal(url, reply, this.#services.clock.now());
  }

  /** Follows redirects on the server's side: credentials stay with their origin. @throws PassedRedirect for one that clients follow */
  async #follow(
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

  /** Whether an upstream of `scope` has said that it takes few more requests. */
  isShort(scope: string | undefined): boolean {
    const now = this.#services.clock.monotonic();
    return this.#definition.upstreams.some(
      (upstream) => upstream.scope === scope && this.#limits.isShort(upstream.url, now),
    );
  }

  #noteLimits(upstream: ConfiguredUpstream | undefined, { headers }: TransportReply): void {
    if (upstream === undefined) return;
    const { clock, observer } = this.#services;
    const remaining = this.#limits.note(upstream.url, headers, clock.monotonic());
    if (remaining !== undefined) observer?.upstreamRemaining?.(this.#definition.name, upstream.url, remaining);
  }

  /** @param reply the refusal, where it was one: it may say for how long the upstream wants to be left alone */
  #failed(upstream: ConfiguredUpstream | undefined, reply?: TransportReply): void {
    if (upstream === undefined) return;
    const { clock } = this.#services;
    const failures = (this.#health.get(upstream.url)?.failures ?? 0) + 1;
    const wanted = Math.min(parseRetryAfter(reply?.headers['retry-after'], clock.now()) ?? 0, MAX_LEFT_ALONE) * 1000;
    const wait = failures < FAILURES_TO_SKIP ? wanted : Math.max(wanted, SKIP_FOR);
    this.#health.set(upstream.url, { failures, skipUntil: wait === 0 ? -Infinity : clock.monotonic() + wait });
  }

  #answered(upstream: ConfiguredUpstream | undefined): void {
    if (upstream !== undefined) this.#health.delete(upstream.url);
  }
}

/** Where `resource` is asked for. */
export function placeOf(resource: UpstreamLocation): QueryPlace {
  const { upstreamPath, upstreamScope, upstreamsAre, redirects, tokenScope } = resource;
  return { path: upstreamPath, scope: upstreamScope, upstreamsAre, redirects, tokenScope };
}

/** Whether `hosts` names the host of `url`, with its port or for any. */
function isNamed(hosts: readonly string[], { host, hostname }: URL): boolean {
  return hosts.includes(host) || hosts.includes(hostname);
}

/**
 * Whether a reply is the whole although it says otherwise: from a proxy that changed something (203, RFC 9110 §15.3.4), or as the one
 * part of a body that there is. Every client takes both.
 */
function isWholeAnyway({ status, headers }: TransportReply): boolean {
  if (status === 203) return true;
  const [, last, size] = /^bytes 0-(\d{1,15})\/(\d{1,15})$/.exec(headers['content-range'] ?? '') ?? [];
  return status === 206 && last !== undefined && Number(last) + 1 === Number(size);
}

/** Whether a place that a document named does not have the bytes, or cannot be asked; another that it named has the same ones. */
function isOutOfReach(failure: EntrepotError): boolean {
  return failure.kind === 'not-found' || reachOf(failure, true) === 'upstream-unavailable';
}

/** The kind of `failure`. A place that a document named where nothing may be asked for is as good as one that is down. */
function reachOf({ kind, code }: EntrepotError, isNamed: boolean): EntrepotError['kind'] {
  return isNamed && kind === 'forbidden' && code !== 'UPSTREAM_FORBIDDEN' ? 'upstream-unavailable' : kind;
}

/** Whether a failure of `upstream` leads on to the next one. */
function leadsOn(
  kind: EntrepotError['kind'],
  upstream: ConfiguredUpstream | undefined,
  { upstreamsAre }: Pick<UpstreamQuery, 'upstreamsAre'>,
): boolean {
  if (kind === 'not-found' || upstream?.fallback === 'any-error') return true;
  if (upstream?.fallback === 'not-found' || upstreamsAre === 'origins') return false;
  // Any other answer of the place that was named stands.
  return kind === 'upstream-unavailable';
}

function leftAlone({ url }: ConfiguredUpstream): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `${printableUrl(url)} has been failing and is left alone for a while`,
    { code: 'UPSTREAM_SKIPPED' },
  );
}

function isBelow({ href }: URL, base: string): boolean {
  return href.startsWith(base.endsWith('/') ? base : `${base}/`);
}

/** `path` below `base`, whose own path is kept whether or not it ends in `/`. */
export function joinUrl(base: string, path: string): URL {
  return new URL(`${base.endsWith('/') ? base : `${base}/`}${path}`);
}

function locate(location: string): URL {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new EntrepotError('upstream-unavailable', 'The upstream names a location that is not an http URL', {
    code: 'UPSTREAM_MALFORMED',
  });
}

/** Waits before trying again; longer each time, with a little chance so that many do not come back at once. */
export async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  await pause(Math.min(2_000, 100 * 2 ** attempt) * (0.75 + Math.random() / 2), undefined, { signal });
}

/** The conditions of RFC 9110 §13.1 for a kept copy that came from `url`. */
function conditions(kept: Entry | undefined, url: URL): Record<string, string> {
  if (kept === undefined || kept.upstreamUrl !== withoutQuery(url.href)) return {};
  return {
    ...(kept.etag !== undefined && { 'if-none-match': kept.etag }),
    ...(kept.lastModified !== undefined && { 'if-modified-since': kept.lastModified }),
  };
}

/** A query may hold a signature; what is kept of a URL only says where the bytes came from. */
export function withoutQuery(url: string): string {
  return url.split(/[?#]/, 1)[0] as string;
}

function withoutUserInfo(url: URL): URL {
  if (url.username === '' && url.password === '') return url;
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}
