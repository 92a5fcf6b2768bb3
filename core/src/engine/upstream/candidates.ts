import { EntrepotError, printableUrl } from '../../api/errors.js';
import type { TransportReply } from '../../api/transport.js';
import { Breaker } from '../../formats/breaker.js';
import { Lru } from '../../formats/lru.js';
import type { EngineServices, RepositoryDefinition, ConfiguredUpstream } from '../store/repository.js';
import type { UpstreamQuery } from './query.js';
import { parseRetryAfter } from './upstream-reply.js';

/** The longest that an upstream is left alone because it asks for that; seconds. */
const MAX_LEFT_ALONE = 60;
/** The time for which a place with wrong bytes is asked last; milliseconds. */
const DISTRUSTED_FOR = 60_000;
/** The bound on such places. */
const MAX_DISTRUSTED = 10_000;
/** The bound on hosts that documents named whose health is known. */
const MAX_HOSTS = 1000;

/** A place that is asked. */
export interface Candidate {
  readonly url: URL;
  /** The upstream that it belongs to; absent for a place elsewhere that a document named. */
  readonly upstream?: ConfiguredUpstream | undefined;
}

/** The places of a query, in order. */
export interface Candidates {
  readonly candidates: readonly Candidate[];
  /** The number of those at the beginning that a document named. */
  readonly named: number;
  /** An upstream that is left alone for the time being, because it has been failing. */
  readonly skipped?: ConfiguredUpstream | undefined;
}

/** Chooses the upstreams of a query by their order and their health. */
export class UpstreamChoice {
  readonly #definition: RepositoryDefinition;
  readonly #services: EngineServices;
  readonly #health = new Map<string, Breaker>();
  /** Health of places that documents named, by their origins. */
  readonly #hosts = new Lru<Breaker>(MAX_HOSTS, () => 1);
  /** The upstreams that failed several times in a row and have not answered since, by URL. */
  readonly #down = new Set<string>();
  /** Until when places are asked last, and in which order, by URL. */
  readonly #distrusted = new Lru<{ readonly until: number; readonly turn: number }>(MAX_DISTRUSTED, () => 1);
  #turn = 0;

  constructor(definition: RepositoryDefinition, services: EngineServices) {
    this.#definition = definition;
    this.#services = services;
  }

  /** Lists the places that `query` asks. */
  candidates(query: UpstreamQuery): Candidates {
    const { path, otherPaths = [], scope, among, location, mirrors = [], skipUnhealthy } = query;
    const isAsked = (upstream: ConfiguredUpstream): boolean =>
      upstream.scope === scope && (among === undefined || among.includes(upstream.url));
    const upstreams = path === undefined ? [] : this.#definition.upstreams.filter(isAsked);
    const now = this.#services.clock.monotonic();
    const isHealthy = ({ url }: ConfiguredUpstream): boolean => this.#health.get(url)?.isOpen(now) !== true;
    // One whose outage would lead on is passed over at once, and asked last.
    const passedOver = upstreams.filter(
      (upstream) => !isHealthy(upstream) && leadsOn('upstream-unavailable', upstream, query),
    );
    const inTurn = upstreams.filter((upstream) => !passedOver.includes(upstream));
    const [first = passedOver[0]] = inTurn;
    if (skipUnhealthy && first !== undefined && !isHealthy(first)) return { candidates: [], named: 0, skipped: first };
    const asked = [...inTurn, ...(skipUnhealthy ? [] : passedOver)];
    const inOrder = [path as string, ...otherPaths].flatMap((one) =>
      asked.map((upstream): Candidate => ({ url: joinUrl(upstream.url, one), upstream })),
    );
    const turnOf = ({ url }: Candidate): number => {
      const { until = 0, turn = 0 } = this.#distrusted.get(url.href) ?? {};
      return until > now ? turn : 0;
    };
    // Of those that sent wrong bytes, the one whose fault is oldest comes first.
    const byTurn = (one: Candidate, other: Candidate): number => turnOf(one) - turnOf(other);
    const candidates = inOrder.toSorted(byTurn);
    const skipped = skipUnhealthy ? passedOver[0] : undefined;
    if (location === undefined) return { candidates, named: 0, skipped };
    const places = [location, ...mirrors].map(locate).map((url): Candidate => {
      return { url, upstream: this.#definition.upstreams.find((candidate) => isBelow(url, candidate.url)) };
    });
    const others = candidates.filter((candidate) => !places.some(({ url }) => url.href === candidate.url.href));
    const isFailing = (place: Candidate): boolean => this.#healthOf(place)?.isOpen(now) === true;
    const inReach = places.toSorted(
      (one, other) => Number(isFailing(one)) - Number(isFailing(other)) || byTurn(one, other),
    );
    return { candidates: [...inReach, ...others], named: places.length, skipped };
  }

  /**
   * Notes a failure.
   * @param reply the refusal, where it was one: it may say for how long the upstream wants to be left alone
   */
  failed(place: Candidate, reply?: TransportReply): void {
    const { clock, observer } = this.#services;
    const health = this.#healthOf(place) ?? new Breaker();
    if (place.upstream === undefined) this.#hosts.set(place.url.origin, health);
    else this.#health.set(place.upstream.url, health);
    const wanted = Math.min(parseRetryAfter(reply?.headers['retry-after'], clock.now()) ?? 0, MAX_LEFT_ALONE) * 1000;
    health.failed(clock.monotonic(), wanted);
    const { upstream } = place;
    if (upstream === undefined || !health.isFailing || this.#down.has(upstream.url)) return;
    this.#down.add(upstream.url);
    observer?.upstreamHealth?.(this.#definition.name, upstream.url, true);
  }

  /** Notes that `url` sent bytes that are not what was promised: for a while it is asked last. */
  distrust(url: string): void {
    this.#turn += 1;
    this.#distrusted.set(url, { until: this.#services.clock.monotonic() + DISTRUSTED_FOR, turn: this.#turn });
  }

  /** Notes an answer: it is healthy. */
  answered({ url, upstream }: Candidate): void {
    if (upstream === undefined) {
      this.#hosts.delete(url.origin);
      return;
    }
    this.#health.delete(upstream.url);
    if (this.#down.delete(upstream.url))
      this.#services.observer?.upstreamHealth?.(this.#definition.name, upstream.url, false);
  }

  #healthOf({ url, upstream }: Candidate): Breaker | undefined {
    return upstream === undefined ? this.#hosts.get(url.origin) : this.#health.get(upstream.url);
  }
}

/** Whether a place that a document named does not have the bytes, or gives us none; another that it named has the same ones. */
export function isOutOfReach({ kind }: EntrepotError): boolean {
  return kind === 'not-found' || kind === 'forbidden' || kind === 'upstream-unavailable';
}

/** The kind of `failure`. A place that a document named where nothing may be asked for is as good as one that is down. */
export function reachOf({ kind, code }: EntrepotError, isNamed: boolean): EntrepotError['kind'] {
  return isNamed && kind === 'forbidden' && code !== 'UPSTREAM_FORBIDDEN' ? 'upstream-unavailable' : kind;
}

/** Whether a failure of `upstream` leads on to the next one. */
export function leadsOn(
  kind: EntrepotError['kind'],
  upstream: ConfiguredUpstream | undefined,
  { order }: Pick<UpstreamQuery, 'order'>,
): boolean {
  if (kind === 'not-found' || upstream?.fallback === 'any-error') return true;
  if (upstream?.fallback === 'not-found' || order === 'origins') return false;
  // Any other answer of the place that was named stands.
  return kind === 'upstream-unavailable';
}

/** The error for an upstream that is not asked for the time being. */
export function leftAlone({ url }: ConfiguredUpstream): EntrepotError {
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
function joinUrl(base: string, path: string): URL {
  return new URL(`${base.endsWith('/') ? base : `${base}/`}${path}`);
}

function locate(location: string): URL {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new EntrepotError('upstream-unavailable', 'The upstream names a location that is not an http URL', {
    code: 'UPSTREAM_MALFORMED',
  });
}
