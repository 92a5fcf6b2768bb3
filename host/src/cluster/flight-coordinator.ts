import { setTimeout as pause } from 'node:timers/promises';
import { EntrepotError, type Logger } from '@entrepot/core';
import type {
  FlightCoordinator,
  FlightEnd,
  FlightLease,
  FollowedFlight,
  RelayedReply,
  RelayedBody,
} from '@entrepot/core/engine';
import { FLIGHT_TERM, type LeaseState, type SqlFlightLeases } from '../drivers/sql/flight-leases.js';
import type { Notices } from '../drivers/sql/notices.js';
import { leaseName } from './lease-name.js';
import { outcomeOf, readOutcome } from './outcome.js';
import { OwnFlight } from './own-flight.js';

/** The interval at which leases are renewed: three times within their term. Milliseconds. */
const RENEWAL = 2_000;
/** The first and the longest pause between two looks at the leases of others, and its part that is left to chance. Milliseconds. */
const LOOKS = { first: 50, longest: 250, chance: 0.3 };
/** The channel on which the ends of leases are told. */
const CHANNEL = 'flights';
/** Old rows are removed this often; milliseconds. */
const TIDYING = 600_000;
/** The pause before a body is asked for again that could not be followed; milliseconds. */
const AGAIN = 250;

const GONE = 'The server that fetched this is not heard of any more';

/** Opens bodies that other processes receive. */
export interface RelayClient {
  /** `undefined`: it cannot be followed, now or at all. @throws the reason of `signal` when it is aborted */
  open(lease: LeaseState, from: number, signal: AbortSignal): Promise<RelayedReply | undefined>;
}

export interface ClusterOptions {
  readonly leases: SqlFlightLeases;
  /** Where other processes follow what this one fetches. `undefined`: they wait for its end. */
  readonly address: string | undefined;
  readonly relay: RelayClient;
  /** Tell at once that a lease has ended. */
  readonly notices: Pick<Notices, 'notify' | 'listen'>;
  readonly logger: Logger;
  /** The time for which leases may not be readable before nobody waits for their ends; milliseconds. Default: the term of a lease. */
  readonly patience?: number | undefined;
  /** Counts how fetches went. */
  readonly count?: ((outcome: 'led' | 'followed' | 'lost') => void) | undefined;
}

/** One followed lease, for all who wait for its end. */
interface Followed {
  readonly state: LeaseState;
  readonly end: PromiseWithResolvers<FlightEnd>;
  /** Aborted when the other process is not heard of any more: what it sends is not waited for. */
  readonly broken: AbortController;
  isEnded: boolean;
  users: number;
}

/**
 * The flights of a cluster by leases in its database. The leases of this process are renewed together, those of others are looked
 * at together while somebody waits for them.
 */
export class LeasedFlights implements FlightCoordinator {
  readonly #options: ClusterOptions;
  readonly #own = new Map<string, OwnFlight>();
  /** By name and generation. */
  readonly #followed = new Map<string, Followed>();
  #looking: Promise<void> | undefined;
  #hurry: () => void = () => {};
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #endNotices: () => void;
  readonly #ending = new Set<Promise<void>>();
  #isDisposed = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#timers = [
      setInterval(() => void this.#renew(), RENEWAL).unref(),
      setInterval(() => void options.leases.removeOld().catch(() => {}), TIDYING).unref(),
    ];
    this.#endNotices = options.notices.listen(CHANNEL, (name) => {
      const isFollowed = [...this.#followed.values()].some(({ state }) => state.name === name);
      if (name === undefined || isFollowed) this.#hurry();
    });
  }

  /** The flight of this process that has a lease. */
  own(name: string, generation: number): OwnFlight | undefined {
    const flight = this.#own.get(name);
    return flight?.fence.generation === generation ? flight : undefined;
  }

  async enter(what: string): Promise<FlightLease | FollowedFlight> {
    const role = await this.take(what);
    this.#options.count?.(role.role === 'leader' ? 'led' : 'followed');
    return role;
  }

  /**
   * Takes the lease of something that is not fetched, or finds the process that has it.
   * @param whenLost called when another process may have it, since it could not be renewed
   */
  async take(what: string, whenLost?: () => void): Promise<FlightLease | FollowedFlight> {
    const name = leaseName(what);
    const { leases, address } = this.#options;
    const taken = await leases.take(name, address);
    if (typeof taken !== 'number') return this.#follow(taken);
    return this.#lead({ name, owner: leases.owner, generation: taken }, whenLost);
  }

  #lead(fence: OwnFlight['fence'], whenLost: (() => void) | undefined): FlightLease {
    const flight = new OwnFlight(fence, whenLost);
    const begun = performance.now();
    const { leases, notices, logger } = this.#options;
    this.#own.set(fence.name, flight);
    return {
      role: 'leader',
      fence,
      isFirst: fence.generation === 1,
      offer: (body: RelayedBody) => flight.offer(body),
      release: (failure?: EntrepotError) => {
        if (this.#own.get(fence.name) === flight) this.#own.delete(fence.name);
        flight.end();
        // Of a shorter one nobody has waited long enough to look again.
        const isWaitedFor = performance.now() - begun > LOOKS.first;
        const ending = leases
          .release(fence, failure && outcomeOf(failure))
          .then(() => (isWaitedFor ? notices.notify(CHANNEL, fence.name) : undefined))
          // It ends by itself.
          .catch((error: unknown) => logger.debug({ error }, 'a lease could not be ended'))
          .finally(() => this.#ending.delete(ending));
        this.#ending.add(ending);
      },
    };
  }

  #follow(state: LeaseState): FollowedFlight {
    const key = keyOf(state);
    const followed = this.#followed.get(key) ?? {
      state,
      end: Promise.withResolvers<FlightEnd>(),
      broken: new AbortController(),
      isEnded: false,
      users: 0,
    };
    followed.users += 1;
    this.#followed.set(key, followed);
    this.#looking ??= this.#look();
    let isLeft = false;
    return {
      role: 'follower',
      ended: followed.end.promise,
      open: (from, signal) => this.#open(followed, from, signal),
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        followed.users -= 1;
        if (followed.users === 0) this.#forget(followed, {});
      },
    };
  }

  async #open(followed: Followed, from: number, signal: AbortSignal): Promise<RelayedReply | undefined> {
    const { relay, logger } = this.#options;
    const either = AbortSignal.any([signal, followed.broken.signal]);
    while (!followed.isEnded) {
      const reply = await relay.open(followed.state, from, either).catch((error: unknown) => {
        signal.throwIfAborted();
        logger.debug({ error }, 'a fetch of another server could not be followed');
        return undefined;
      });
      if (reply !== undefined) return reply;
      // Without an address there is nothing to wait for but the end.
      if (followed.state.address === undefined) return undefined;
      await pause(AGAIN, undefined, { signal: either }).catch(() => {});
      signal.throwIfAborted();
    }
    return undefined;
  }

  #forget(followed: Followed, end: FlightEnd): void {
    const key = keyOf(followed.state);
    if (this.#followed.get(key) === followed) this.#followed.delete(key);
    followed.isEnded = true;
    followed.end.resolve(end);
  }

  /** Looks at the leases that somebody waits for, again and again. */
  async #look(): Promise<void> {
    let delay = LOOKS.first;
    let heardAt = performance.now();
    while (this.#followed.size > 0 && !this.#isDisposed) {
      const hurried = new AbortController();
      this.#hurry = () => hurried.abort();
      const chance = 1 + (Math.random() - 0.5) * LOOKS.chance;
      await pause(delay * chance, undefined, { signal: hurried.signal }).catch(() => {});
      const isChanged = await this.#lookOnce().catch((error: unknown) => {
        this.#options.logger.debug({ error }, 'the leases of other servers could not be read');
        return undefined;
      });
      if (isChanged !== undefined) heardAt = performance.now();
      else if (performance.now() - heardAt > (this.#options.patience ?? FLIGHT_TERM)) this.#forgetAll();
      delay = isChanged === true ? LOOKS.first : Math.min(LOOKS.longest, delay * 1.5);
    }
    // At once: who comes before this is heard of would wait for looks that have ended.
    this.#looking = undefined;
  }

  /** Nobody can tell who has a lease any more: nobody waits for that. Bodies that come still do. */
  #forgetAll(): void {
    for (const followed of this.#followed.values()) this.#forget(followed, {});
  }

  /** @returns whether one of them has ended */
  async #lookOnce(): Promise<boolean> {
    const waited = [...this.#followed.values()];
    const names = [...new Set(waited.map(({ state }) => state.name))];
    const found = new Map((await this.#options.leases.look(names)).map((state) => [state.name, state]));
    const ended = waited.filter(({ state }) => {
      const now = found.get(state.name);
      return now?.isLive !== true || now.generation !== state.generation;
    });
    for (const followed of ended) {
      const now = found.get(followed.state.name);
      const isSame = now?.generation === followed.state.generation;
      // The answer of a later one is for those who followed that one.
      const outcome = isSame ? now.outcome : undefined;
      // A lease that was released has no address: the rest of its body still comes.
      const isReleased = isSame && now.address === undefined && followed.state.address !== undefined;
      if (!isReleased) followed.broken.abort(new EntrepotError('upstream-unavailable', GONE, { code: 'RELAY_ENDED' }));
      this.#forget(followed, { failure: outcome === undefined ? undefined : readOutcome(outcome) });
    }
    return ended.length > 0;
  }

  async #renew(): Promise<void> {
    const flights = [...this.#own.values()];
    if (flights.length === 0) return;
    const renewed = await this.#options.leases.renew(flights.map(({ fence }) => fence)).catch((error: unknown) => {
      this.#options.logger.warn({ error }, 'the leases of running fetches could not be renewed');
      return undefined;
    });
    if (renewed === undefined) return;
    for (const flight of flights) {
      if (renewed.has(flight.fence.name) || this.#own.get(flight.fence.name) !== flight) continue;
      // Whoever follows it must not go on: another process fetches it by now.
      this.#own.delete(flight.fence.name);
      this.#options.count?.('lost');
      flight.end();
      flight.whenLost();
    }
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#endNotices();
    this.#hurry();
    this.#forgetAll();
    await this.#looking;
    await Promise.all(this.#ending);
  }
}

function keyOf({ name, generation }: LeaseState): string {
  return `${generation} ${name}`;
}
