/** Cache rules of a class of resources. Durations are milliseconds; `Infinity` is "forever" or "never". */
export interface FreshnessRule {
  /**
   * `immutable`: kept bytes are right for ever; `revalidate`: right for `freshFor`, then the upstream is asked with the
   * kept validators; `bypass`: never kept.
   */
  readonly policy: 'immutable' | 'revalidate' | 'bypass';
  /** The time for which a `revalidate` copy is served without asking, from the last answer that confirmed it. */
  readonly freshFor: number;
  /** The ceiling for every policy: past it the upstream is asked again. An expired copy is kept until it is replaced. */
  readonly expireAfter: number;
  /**
   * The reaction to a running refresh of the resource: wait for it, serve the cached copy, or ask the upstream as well.
   */
  readonly busy: 'wait' | 'stale' | 'bypass';
  /** The time after it went stale for which a copy may be served while the upstream is failing. */
  readonly staleIfError: number;
  /**
   * The longest wait for the upstream where a kept copy could stand in for it by `staleIfError`; then the request gets that, and the
   * refresh goes on behind. Bounds `busy: wait`.
   */
  readonly staleAfter: number;
  /** The time after it went stale for which a copy is served at once while a refresh runs in the background (RFC 5861 §3). */
  readonly staleWhileRevalidate: number;
  /** The time for which a 404 or 410 of the upstream is remembered. 0 remembers nothing. */
  readonly negativeFor: number;
  /**
   * The time after that for which it stands in while the upstream is failing. 0: never, as befits names that may have come to be
   * meanwhile. For ecosystems whose clients try names that do not exist, and give up on an outage.
   */
  readonly negativeIfError: number;
  /** A kept document whose upstream says 404 or 410: pass that on, or go on serving the copy. Artifacts are always kept. */
  readonly onGone: 'pass' | 'keep';
  /** Whether `Cache-Control: no-store` or `private` of the upstream forbids keeping (RFC 9111 §5.2.2). */
  readonly respectNoStore: boolean;
}

const COMMON: Omit<FreshnessRule, 'policy' | 'freshFor' | 'onGone'> = {
  expireAfter: 720 * 3_600_000,
  busy: 'wait',
  staleIfError: Infinity,
  staleAfter: 2000,
  staleWhileRevalidate: 0,
  negativeFor: 60_000,
  negativeIfError: 0,
  respectNoStore: false,
};

/** The rule of a class that says nothing of its own. */
export const DEFAULT_FRESHNESS: Readonly<Record<'artifact' | 'document', FreshnessRule>> = {
  artifact: { ...COMMON, policy: 'immutable', freshFor: Infinity, onGone: 'keep' },
  document: { ...COMMON, policy: 'revalidate', freshFor: 300_000, onGone: 'pass' },
};
