/** The remaining requests of an upstream's rate limit. */
interface Allowance {
  readonly remaining: number;
  readonly limit: number | undefined;
  /** When the window is surely over, on the monotonic clock. */
  readonly until: number;
}

/** Below this part of its limit an upstream is spared. */
const SPARED_BELOW = 0.1;
/** The window where an upstream does not say it; seconds. Docker Hub's. */
const DEFAULT_WINDOW = 21_600;

/** Rate limits of upstreams, in the form of Docker Hub: `ratelimit-remaining: 76;w=21600`. */
export class RateLimits {
  readonly #allowances = new Map<string, Allowance>();

  /** Reads a reply's headers. @returns how many requests remain, if they say so */
  note(upstream: string, headers: Readonly<Record<string, string>>, now: number): number | undefined {
    const remaining = parseAllowance(headers['ratelimit-remaining']);
    if (remaining === undefined) return undefined;
    const limit = parseAllowance(headers['ratelimit-limit'])?.count ?? this.#allowances.get(upstream)?.limit;
    this.#allowances.set(upstream, { remaining: remaining.count, limit, until: now + remaining.window * 1000 });
    return remaining.count;
  }

  /** Whether the upstream will soon take no more, so that what can wait should. */
  isShort(upstream: string, now: number): boolean {
    const known = this.#allowances.get(upstream);
    if (known?.limit === undefined || now >= known.until) return false;
    return known.remaining < known.limit * SPARED_BELOW;
  }
}

/** `count` with the window that it is counted in, in seconds. */
function parseAllowance(header: string | undefined): { count: number; window: number } | undefined {
  const [, count, window] = /^\s*(\d{1,12})\s*(?:;\s*w=(\d{1,9})\s*)?$/.exec(header ?? '') ?? [];
  if (count === undefined) return undefined;
  return { count: Number(count), window: window === undefined ? DEFAULT_WINDOW : Number(window) };
}
