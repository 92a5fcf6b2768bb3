import type { Entry } from '../../api/entry-index.js';
import { abandoned, type SharedFlight, type Stored } from './shared-flight.js';
import { WaitLimit } from './wait-limit.js';

/** A running flight as a request for one of its keys sees it. */
export type FlightView = (key: string) => SharedFlight;

/** Starts flights. */
export interface FlightStarter {
  /** Starts a flight whose bytes are kept. */
  shared(resource: Stored, kept: Entry | undefined): FlightView;
  /** Starts a flight whose bytes are verified but not kept. */
  unshared(resource: Stored): SharedFlight;
}

interface RunningFlight {
  /** That it was started for. */
  readonly resource: Stored;
  readonly view: FlightView;
}

/** The running fetches of one repository. */
export class Flights {
  /** Bounds the waiting of requests that could be given a kept copy. */
  readonly waits = new WaitLimit();
  readonly #starter: FlightStarter;
  readonly #running = new Map<string, RunningFlight>();
  /** Flights that nobody can join; only known so that they can be ended. */
  readonly #alone = new Set<SharedFlight>();

  constructor(starter: FlightStarter) {
    this.#starter = starter;
  }

  /** The number of those that are running. */
  get count(): number {
    return this.#running.size + this.#alone.size;
  }

  /** The flight for `resource` that others can join. */
  running(resource: Stored): SharedFlight | undefined {
    return this.#running.get(flightKey(resource))?.view(resource.key);
  }

  /** Joins the flight for `resource`, or starts it. The caller retains it before it next awaits. */
  join(resource: Stored, kept: Entry | undefined): SharedFlight {
    const running = this.running(resource);
    if (running !== undefined) return running;
    const key = flightKey(resource);
    const view = this.#starter.shared(resource, kept);
    const started: RunningFlight = { resource, view };
    this.#running.set(key, started);
    const flight = view(resource.key);
    const ended = (): void => {
      if (this.#running.get(key) === started) this.#running.delete(key);
    };
    flight.done.then(ended, ended);
    return flight;
  }

  /** Starts a flight for one request only, whose bytes are verified but not kept. */
  alone(resource: Stored): SharedFlight {
    const flight = this.#starter.unshared(resource);
    this.#setAside(flight);
    return flight;
  }

  /**
   * Lets nobody join flights any more, whose bytes are not kept: who asks next gets what the upstream has then. Those who follow them
   * get what they bring. Sets go on as they are: what belongs together is served from the store alone.
   */
  outdate(isMeant: (resource: Stored) => boolean): void {
    for (const [name, { resource, view }] of this.#running) {
      const flight = isMeant(resource) ? view(resource.key) : undefined;
      if (flight?.outdate === undefined) continue;
      this.#running.delete(name);
      this.#setAside(flight);
      flight.outdate();
    }
  }

  #setAside(flight: SharedFlight): void {
    this.#alone.add(flight);
    const ended = (): void => void this.#alone.delete(flight);
    flight.done.then(ended, ended);
  }

  /** Ends a flight that was for a failed hook alone: who tries again must not join it, and fail on what it brings. */
  endUnwanted(resource: Stored, flight: SharedFlight): void {
    if (flight.wanted || this.running(resource) !== flight) return;
    this.#running.delete(flightKey(resource));
    this.#setAside(flight);
    flight.abort(abandoned(resource));
  }

  /** Waits for running flights up to `grace` milliseconds, then ends them. */
  async dispose(grace: number): Promise<void> {
    const running = Array.from(this.#running.values(), ({ resource, view }) => view(resource.key));
    const flights = [...running, ...this.#alone];
    const ended = Promise.allSettled(flights.map(({ done }) => done));
    const timer = setTimeout(() => {
      for (const flight of flights) flight.abort();
    }, grace);
    await ended;
    clearTimeout(timer);
  }
}

/** The resources that are fetched with `resource`, itself among them. */
export function membersOf(resource: Stored): readonly Stored[] {
  const publishedWith = resource.kind === 'artifact' ? resource.publishedWith : undefined;
  return publishedWith ?? [resource];
}

/** Names the flight for `resource`: those that are fetched together share one. */
export function flightKey(resource: Stored): string {
  return membersOf(resource)
    .map(({ key }) => key)
    .sort()
    .join('\n');
}
