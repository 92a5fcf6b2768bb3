import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import { shuttingDown, type FlightResult, type SharedFlight } from './shared-flight.js';

/** Result of a whole flight: entries, and the reason why a key has none. */
export interface WholeResult {
  readonly entries: readonly Entry[];
  readonly lacking?: ReadonlyMap<string, EntrepotError> | undefined;
}

/**
 * A fetch that cannot be followed while it runs: bytes that the protocol produces, or several artifacts that are
 * published together. Its result is an entry for each of its keys.
 */
export class WholeFlight {
  readonly #abort = new AbortController();
  readonly #result: Promise<WholeResult>;

  /** @param run fetches, verifies and publishes; ends when its signal says so */
  constructor(run: (signal: AbortSignal) => Promise<WholeResult>) {
    this.#result = run(this.#abort.signal);
    this.#result.catch(() => {});
  }

  /** The flight as a request for `key` sees it. */
  for(key: string): SharedFlight {
    const done = this.#result.then(
      ({ entries, lacking }): FlightResult => {
        const entry = entries.find((one) => one.key === key);
        if (entry !== undefined) return { kind: 'stored', entry };
        const reason = lacking?.get(key);
        if (reason !== undefined) throw reason;
        throw new EntrepotError('storage', `${key} is missing from the set that is kept`, { code: 'SET_INCOMPLETE' });
      },
      (error: unknown) => {
        throw asEntrepotError(error, 'upstream-unavailable', `Fetching ${key} failed`);
      },
    );
    done.catch(() => {});
    const head = done.then(() => undefined);
    head.catch(() => {});
    return {
      head,
      done,
      wanted: true,
      retain: () => {},
      release: async () => {},
      abort: () => this.#abort.abort(shuttingDown()),
    };
  }
}
