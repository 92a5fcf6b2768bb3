import { asEntrepotError, EntrepotError, printableUrl } from '../../api/errors.js';
import type { TransportReply } from '../../api/transport.js';
import type { ConfiguredUpstream, EngineServices, RepositoryDefinition } from '../store/repository.js';
import { isOutOfReach, leadsOn, leftAlone, reachOf, UpstreamChoice } from './candidates.js';
import { UpstreamExchange, withoutUserInfo } from './exchange.js';
import type { UpstreamQuery, UpstreamReply } from './query.js';
import { RateLimits } from './rate-limits.js';
import { drain, isHeadUnknown, refusal } from './upstream-reply.js';

/** The upstreams of one repository: which to ask, with what, and what their answers mean. */
export class Upstreams {
  readonly #definition: RepositoryDefinition;
  readonly #services: EngineServices;
  readonly #choice: UpstreamChoice;
  readonly #exchange: UpstreamExchange;
  readonly #limits = new RateLimits();

  constructor(definition: RepositoryDefinition, services: EngineServices) {
    this.#definition = definition;
    this.#services = services;
    this.#choice = new UpstreamChoice(definition, services);
    this.#exchange = new UpstreamExchange(definition, services);
  }

  /**
   * Asks the upstreams in order until one answers.
   * @throws EntrepotError `not-found` when those that could be asked say 404 or 410; `forbidden` for 401 and 403, or a
   * refused address; `upstream-unavailable` when none could answer; `bad-request` for other refusals
   */
  async fetch(query: UpstreamQuery): Promise<UpstreamReply> {
    const { candidates, named, skipped } = this.#choice.candidates(query);
    if (candidates.length === 0) {
      if (skipped !== undefined) throw leftAlone(skipped);
      const scope = query.scope === undefined ? '' : ` for ${query.scope}`;
      throw new EntrepotError('not-found', `Repository ${this.#definition.name} has no upstream${scope}`);
    }
    const failures: EntrepotError[] = [];
    // They cannot be asked for other paths either.
    const away = new Set<ConfiguredUpstream>();
    for (const [index, { url, upstream }] of candidates.entries()) {
      if (upstream !== undefined && away.has(upstream)) continue;
      try {
        return await this.#ask(url, upstream, query);
      } catch (error) {
        const failure = asEntrepotError(error, 'upstream-unavailable', `${printableUrl(url)} could not be asked`);
        query.signal.throwIfAborted();
        failures.push(failure);
        if (index >= named && upstream !== undefined && failure.kind === 'upstream-unavailable') away.add(upstream);
        const isNamedNext = index < named - 1;
        if (isNamedNext ? !isOutOfReach(failure) : !leadsOn(reachOf(failure, index < named), upstream, query)) break;
      }
    }
    // "Not found" is only true when nobody who could know was out of reach (architecture §10: our failure is never a 404).
    const outage = failures.find(({ kind }) => kind !== 'not-found');
    if (outage === undefined && skipped !== undefined) throw leftAlone(skipped);
    throw outage ?? (failures.at(-1) as EntrepotError);
  }

  async #ask(url: URL, upstream: ConfiguredUpstream | undefined, query: UpstreamQuery): Promise<UpstreamReply> {
    const { reply, finalUrl } = await this.#exchange.follow(url, upstream, query).catch((error: unknown) => {
      if (!query.signal.aborted && error instanceof EntrepotError && error.kind === 'upstream-unavailable')
        this.#choice.failed({ url, upstream });
      throw error;
    });
    this.#noteLimits(upstream, reply);
    const isFailure = reply.status >= 500 || reply.status === 429;
    if (isFailure && !isHeadUnknown(query.method, reply.status)) this.#choice.failed({ url, upstream }, reply);
    else this.#choice.answered({ url, upstream });
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

  /** The number of places that have the same. */
  mirrors({ scope, order, mirrors = [] }: Pick<UpstreamQuery, 'scope' | 'order' | 'mirrors'>): number {
    if (mirrors.length > 0) return mirrors.length + 1;
    return order === 'origins' ? 1 : this.#definition.upstreams.filter((upstream) => upstream.scope === scope).length;
  }

  /** Notes that `url` sent bytes that are not what was promised: for a while it is asked last. */
  distrust(url: string): void {
    this.#choice.distrust(url);
  }

  /** Whether it is known in which network the host of `url` is: that of an upstream, or of where one led to. */
  knowsZone(url: string): boolean {
    return this.#exchange.knowsZone(url);
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
