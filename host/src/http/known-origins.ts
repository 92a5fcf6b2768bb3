import { EntrepotError } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';

/** Origins that are remembered: those that were asked with last. */
const MOST_KNOWN = 1000;
/** New origins that may come up at once, and how often one more may; milliseconds. */
const AT_ONCE = 64;
const ONE_MORE_EVERY = 1000;

/**
 * The origins that clients reach a repository by. Documents are rendered for each of them, so that made-up `Host` headers would
 * multiply that work: only so many new ones are taken in a time.
 */
export class KnownOrigins {
  readonly #known = new Lru<true>(MOST_KNOWN);
  readonly #now: () => number;
  /** When all of `AT_ONCE` may come up again. */
  #idleAt = 0;

  /** @param now milliseconds */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** @throws EntrepotError 503 for a new origin where too many have come up */
  admit(origin: string): void {
    if (this.#known.get(origin) !== undefined) return;
    const now = this.#now();
    const idleAt = Math.max(this.#idleAt, now) + ONE_MORE_EVERY;
    if (idleAt - now > AT_ONCE * ONE_MORE_EVERY) throw tooMany();
    this.#idleAt = idleAt;
    this.#known.set(origin, true);
  }
}

function tooMany(): EntrepotError {
  const message =
    'Host: clients name this server in too many ways at once; expected one that it was asked by before. Set server.publicUrl where that is no mistake';
  return new EntrepotError('bad-request', message, { code: 'TOO_MANY_HOSTS', status: 503, retryAfter: 1 });
}
