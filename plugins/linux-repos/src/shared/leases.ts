import { Lru } from '@entrepot/core/formats';
import type { ResolveContext } from '@entrepot/core';

/** The bound on clients that are remembered. */
const MOST = 20_000;

interface Lease {
  readonly generation: string;
  readonly until: number;
}

/** The client that asks. */
export type Client = Pick<ResolveContext, 'client' | 'connection' | 'now'>;

/**
 * The generations that clients have begun to read. A client that finds an index by its name, and not by its sum, gets the one of the
 * pointer document that it was given.
 */
export class Leases {
  readonly #duration: number;
  readonly #leases = new Lru<Lease>(MOST);

  /** @param duration of a lease after its last use, in milliseconds */
  constructor(duration: number) {
    this.#duration = duration;
  }

  /** Notes that a client was given the pointer document of a generation. */
  take(client: Client, root: string, generation: string): void {
    const lease = { generation, until: client.now + this.#duration };
    for (const key of keysOf(client, root)) this.#leases.set(key, lease);
  }

  /** The generation that a client has begun to read: by its connection, since several clients may share an address. */
  of(client: Client, root: string): string | undefined {
    for (const key of keysOf(client, root)) {
      const lease = this.#leases.get(key);
      if (lease === undefined || lease.until < client.now) continue;
      this.#leases.set(key, { ...lease, until: client.now + this.#duration });
      return lease.generation;
    }
    return undefined;
  }
}

/** Behind a reverse proxy several clients share a connection, too. */
function keysOf({ client = '', connection }: Client, root: string): string[] {
  const byAddress = `${client}\n\n${root}`;
  return connection === undefined ? [byAddress] : [`${client}\n${connection}\n${root}`, byAddress];
}
