import { EntrepotError } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';

/** Origins that are remembered: those that were asked with last. */
const MOST_KNOWN = 1000;
/** New origins that may come up at once, and how often one more may; milliseconds. */
const AT_ONCE = 64;
const ONE_MORE_EVERY = 1000;

/**
 * Remembers the origins that clients reach a repository by. Documents are rendered for each of them, so that made-up `Host`
 * headers would multiply that work: only so many new ones are taken in a time.
 * @param now milliseconds
 * @returns a function that takes an origin. It throws an EntrepotError 503 for a new one where too many have come up
 */
export function knownOrigins(now: () => number = Date.now): (origin: string) => void {
  const known = new Lru<true>(MOST_KNOWN);
  /** When all of `AT_ONCE` may come up again. */
  let idleAt = 0;
  return (origin) => {
    if (known.get(origin) !== undefined) return;
    const at = now();
    const next = Math.max(idleAt, at) + ONE_MORE_EVERY;
    if (next - at > AT_ONCE * ONE_MORE_EVERY) throw tooMany();
    idleAt = next;
    known.set(origin, true);
  };
}

function tooMany(): EntrepotError {
  const message =
    'Host: clients name this server in too many ways at once; expected one that it was asked by before. Set server.publicUrl where that is no mistake';
  return new EntrepotError('bad-request', message, { code: 'TOO_MANY_HOSTS', status: 503, retryAfter: 1 });
}
