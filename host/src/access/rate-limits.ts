import type { Clock } from '@entrepot/core';
import type { CallerLimits, Excess } from '@entrepot/core/engine';
import type { RateLimitConfig } from '../config/schema.js';
import { CallerAddresses } from './caller-addresses.js';
import { Share, type Use } from './share.js';

/** A finished request, as far as its bytes count. */
export interface SentBytes {
  /** The address of the client. */
  readonly client: string | undefined;
  readonly repository: string | undefined;
  readonly outcome: { readonly caller?: string | undefined } | undefined;
  /** Of the body. */
  readonly bytes: number;
}

/**
 * Limits of requests and of bytes by caller: those of the server, and beside them those of a repository. Callers who are authenticated
 * count by name, others by address. Each process counts by itself, in memory.
 */
export class RateLimits {
  readonly #server: Level | undefined;
  readonly #repositories: ReadonlyMap<string, Level>;
  readonly #clock: Clock;

  constructor(
    server: RateLimitConfig | undefined,
    repositories: Readonly<Record<string, { readonly rateLimit?: RateLimitConfig | undefined }>>,
    clock: Clock,
  ) {
    this.#clock = clock;
    this.#server = server && new Level('this server', server);
    this.#repositories = new Map(
      Object.entries(repositories).flatMap(([name, { rateLimit }]) =>
        rateLimit === undefined ? [] : [[name, new Level(`repository ${name}`, rateLimit, server)] as const],
      ),
    );
  }

  /** The limits for requests of a repository; without a name, those of the server. `undefined`: there are none. */
  of(repository?: string): CallerLimits | undefined {
    const server = this.#server;
    const own = repository === undefined ? undefined : this.#repositories.get(repository);
    if (server === undefined && own === undefined) return undefined;
    return {
      take: (client, name) => {
        const now = this.#clock.monotonic();
        const first = server?.useOf(client, name);
        const second = own?.useOf(client, name);
        const firstWait = first?.wait(now) ?? 0;
        const secondWait = second?.wait(now) ?? 0;
        if (firstWait > 0 || secondWait > 0)
          return firstWait > secondWait ? excess(first, firstWait, now) : excess(second, secondWait, now);
        first?.take(now);
        second?.take(now);
        return undefined;
      },
    };
  }

  /** Counts the bytes of an answer, at its end. */
  spend({ client, repository = '', outcome, bytes }: SentBytes): void {
    const now = this.#clock.monotonic();
    const name = outcome?.caller;
    this.#server?.useOf(client, name)?.spend(bytes, now);
    this.#repositories.get(repository)?.useOf(client, name)?.spend(bytes, now);
  }
}

function excess(use: Use | undefined, wait: number, now: number): Excess {
  const retryAfter = Math.ceil(wait / 1000);
  const message = `${use?.refusal(now)}; try again in ${retryAfter} ${retryAfter === 1 ? 'second' : 'seconds'}`;
  return { retryAfter, message };
}

/** Counts by one `rateLimit` of the configuration. */
class Level {
  readonly #byAddress: Share | undefined;
  readonly #byName: Share | undefined;
  readonly #addresses: CallerAddresses;
  readonly #exempt: ReadonlySet<string>;

  /** @param above whose exemptions hold here, too */
  constructor(where: string, { address, principal, exempt }: RateLimitConfig, above?: RateLimitConfig) {
    this.#byAddress = address && new Share(where, address);
    this.#byName = principal && new Share(where, principal);
    this.#addresses = new CallerAddresses([...exempt.networks, ...(above?.exempt.networks ?? [])]);
    this.#exempt = new Set([...exempt.principals, ...(above?.exempt.principals ?? [])]);
  }

  /** The part of it that a caller has used. `undefined`: the caller is not limited. */
  useOf(client: string | undefined, name: string | undefined): Use | undefined {
    if (name !== undefined && this.#exempt.has(name)) return undefined;
    const key = client === undefined ? undefined : this.#addresses.keyOf(client);
    // Requests of the server to itself have no client.
    if (key === undefined) return undefined;
    if (name !== undefined && this.#byName !== undefined) return this.#byName.of(name);
    return this.#byAddress?.of(key);
  }
}
