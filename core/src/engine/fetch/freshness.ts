import type { Entry } from '../../api/entry-index.js';
import { DEFAULT_FRESHNESS, type FreshnessRule } from '../../api/freshness.js';
import { isPinned } from '../store/pinned-name.js';
import type { FlightContext, Stored } from './shared-flight.js';

/** The factor by which copies of names stay fresh longer while their upstream takes few more requests. */
const FRESH_LONGER = 10;

/** The freshness of an entry at one instant. */
export interface Standing {
  /** Served without asking. */
  readonly fresh: boolean;
  /** Served at once while a refresh runs in the background. */
  readonly whileRevalidating: boolean;
  /** Served when the upstream is failing. */
  readonly ifError: boolean;
  /** When it stops being fresh; milliseconds since the epoch, `Infinity` for never. */
  readonly freshUntil: number;
  /** Seconds for which it stays fresh; negative when it is not; `undefined` for ever. */
  readonly ttl: number | undefined;
}

/** The rule for a resource: its class's, with its own exceptions. */
export function freshnessRule(
  { definition, upstreams }: Pick<FlightContext, 'definition' | 'upstreams'>,
  resource: Stored,
): FreshnessRule {
  const common = definition.freshness[resource.class] ?? DEFAULT_FRESHNESS[resource.kind];
  const rule = resource.freshness === undefined ? common : { ...common, ...resource.freshness };
  // Requests that the upstream still takes are for what is not cached at all.
  if (!isPinned(resource) || !upstreams.isShort(resource.upstreamScope)) return rule;
  return { ...rule, freshFor: rule.freshFor * FRESH_LONGER };
}

/** The standing of `entry` under `rule` at `now`. Counted from the last answer of the upstream that confirmed it. */
export function standing(entry: Entry, rule: FreshnessRule, now: number): Standing {
  const age = now - entry.checkedAt;
  const lifetime = Math.min(rule.policy === 'immutable' ? Infinity : rule.freshFor, rule.expireAfter);
  // A copy of the future was noted by a clock that was ahead. Nobody knows how old it is: it has just gone stale.
  const staleness = age < 0 && lifetime !== Infinity ? 0 : age - lifetime;
  return {
    fresh: rule.policy !== 'bypass' && staleness < 0,
    whileRevalidating: rule.policy === 'revalidate' && staleness < rule.staleWhileRevalidate,
    ifError: staleness < rule.staleIfError,
    freshUntil: now - staleness,
    ttl: lifetime === Infinity ? undefined : Math.floor(-staleness / 1000),
  };
}

/** Whether a reply's `Cache-Control` forbids a shared cache to keep it (RFC 9111 §5.2.2.5, §5.2.2.7). */
export function forbidsStoring(cacheControl: string | undefined): boolean {
  return cacheControl !== undefined && /(?:^|[\s,])(?:no-store|private)(?:$|[\s,;=])/i.test(cacheControl);
}
