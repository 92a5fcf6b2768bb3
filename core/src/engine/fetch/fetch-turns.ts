import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import { FairLimiter } from '../../formats/limiter.js';
import type { RequestContext } from '../request/request-context.js';
import type { RepositoryLimits } from '../store/repository.js';
import { flightKey, type Flights } from './flights.js';
import type { SharedFlight, Stored } from './shared-flight.js';

/** The client of a request, as far as turns go. */
export type Asking = Pick<RequestContext, 'caller' | 'client'> & {
  readonly request: Pick<RequestContext['request'], 'signal'>;
};

/** Said to who waits for a turn when the flight is there that they would have started. */
const STARTED = new Error('somebody else has started it');
/** Seconds after which a client may try again that waited in vain. */
const RETRY_AFTER = 5;

/** A turn to fetch, which has to be ended. */
export interface FetchTurn {
  /** Ends it, unless it was left to a flight. */
  end(): void;
  /** Leaves it to a flight, with which it ends. */
  leaveTo(flight: SharedFlight): void;
}

/**
 * The turns of clients to fetch from the upstreams of one repository. A client that asks for a thousand cold artifacts at once waits
 * behind its own. Only requests of clients wait, and before there is a flight: what a flight needs itself has a turn already. So
 * nobody who has a turn waits for one who has none.
 */
export class FetchTurns {
  readonly #limits: RepositoryLimits;
  readonly #flights: Flights;
  readonly #turns: FairLimiter;
  /** Waiting clients, by the flight that they would start. */
  readonly #waiting = new Map<string, Set<AbortController>>();

  constructor(limits: RepositoryLimits, flights: Flights) {
    this.#limits = limits;
    this.#flights = flights;
    this.#turns = new FairLimiter(limits.fetches, limits.fetchesPerClient);
  }

  /**
   * Waits for a turn of the client to start a flight for `resource`, or to fetch something else.
   * @returns `undefined` where such a flight runs, which is to be joined
   * @throws EntrepotError `upstream-unavailable` when it takes too long, or the client goes
   */
  async next(asking: Asking, resource?: Stored): Promise<FetchTurn | undefined> {
    const party = asking.caller.name ?? asking.client ?? '';
    for (;;) {
      if (resource !== undefined && this.#flights.running(resource) !== undefined) return undefined;
      const release = this.#turns.hasRoomFor(party)
        ? await this.#turns.acquire(party)
        : await this.#wait(party, asking.request.signal, resource);
      if (release !== undefined) return turnOf(release);
    }
  }

  /** Joins the flight for `resource`, or starts it, and leaves the turn to it. */
  join(turn: FetchTurn | undefined, resource: Stored, kept?: Entry): SharedFlight {
    const isRunning = this.#flights.running(resource) !== undefined;
    const flight = this.#flights.join(resource, kept);
    // Many may have had their turn before one of them started it.
    if (isRunning) turn?.end();
    else {
      turn?.leaveTo(flight);
      this.#tell(resource);
    }
    return flight;
  }

  /** Starts a flight for one request alone when it is the turn of the client. @throws as `next` */
  async alone(asking: Asking, resource: Stored): Promise<SharedFlight> {
    const turn = await this.next(asking);
    const flight = this.#flights.alone(resource);
    turn?.leaveTo(flight);
    return flight;
  }

  /** Runs `work` when it is the turn of the client. @throws as `next` */
  async run<Result>(asking: Asking, work: () => Promise<Result>): Promise<Result> {
    const turn = await this.next(asking);
    try {
      return await work();
    } finally {
      turn?.end();
    }
  }

  /** @returns `undefined` when somebody else has started the flight */
  async #wait(party: string, gone: AbortSignal, resource: Stored | undefined): Promise<(() => void) | undefined> {
    const { fetchQueueTimeout } = this.#limits;
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(tookTooLong(fetchQueueTimeout)), fetchQueueTimeout).unref();
    const key = resource && flightKey(resource);
    if (key !== undefined) this.#waiting.set(key, (this.#waiting.get(key) ?? new Set()).add(stop));
    try {
      return await this.#turns.acquire(party, AbortSignal.any([stop.signal, gone]));
    } catch (error) {
      if (error === STARTED) return undefined;
      throw gone.aborted ? clientGone() : error;
    } finally {
      clearTimeout(timer);
      if (key !== undefined) this.#forget(key, stop);
    }
  }

  #forget(key: string, stop: AbortController): void {
    const waiting = this.#waiting.get(key);
    waiting?.delete(stop);
    if (waiting?.size === 0) this.#waiting.delete(key);
  }

  /** Has those join who wait to start the same flight. */
  #tell(resource: Stored): void {
    for (const stop of this.#waiting.get(flightKey(resource)) ?? []) stop.abort(STARTED);
  }
}

function turnOf(release: () => void): FetchTurn {
  let isLeft = false;
  let isOver = false;
  function end(): void {
    if (!isOver) release();
    isOver = true;
  }
  return {
    end: () => (isLeft ? undefined : end()),
    leaveTo(flight) {
      flight.done.then(end, end);
      // Once clients have the whole it is only being kept, and no upstream is asked any more.
      flight.head.then(
        (head) => head?.ahead.then((entry) => (entry === undefined ? undefined : end())),
        () => {},
      );
      isLeft = true;
    },
  };
}

function tookTooLong(milliseconds: number): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `Other fetches of this repository did not leave a turn for this one within ${milliseconds} ms`,
    { status: 503, code: 'FETCH_QUEUE_TIMEOUT', retryAfter: RETRY_AFTER },
  );
}

function clientGone(): EntrepotError {
  return new EntrepotError('upstream-unavailable', 'The client went before its fetch began', {
    // As servers log it; nobody is told.
    status: 499,
    code: 'CLIENT_GONE',
  });
}
