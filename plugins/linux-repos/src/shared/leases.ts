import { Lru } from '@entrepot/core/formats';
import type { ResolveContext } from '@entrepot/core';

/** The bound on clients that are remembered. */
const MOST = 20_000;
/** How long a client that reads a signature before its document gets the document of that; milliseconds. zypper does. */
const PAIRED = 10_000;

interface Lease {
  readonly generation: string;
  /** When the client was given the generation first. */
  readonly since: number;
  readonly until: number;
  /** Whether the client has read a document beside the main one, and not the main one again. */
  readonly isBeside: boolean;
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

  /** Notes that a client was given the main pointer document of a generation. */
  take(client: Client, root: string, generation: string): void {
    for (const key of keysOf(client, root)) {
      const last = this.#leases.get(key);
      const since = last?.generation === generation ? last.since : client.now;
      this.#leases.set(key, { generation, since, until: client.now + this.#duration, isBeside: false });
    }
  }

  /** The generation that a client has begun to read, for a document beside the main one, such as its signature. */
  beside(client: Client, root: string): string | undefined {
    const found = this.of(client, root);
    for (const key of keysOf(client, root)) {
      const lease = this.#leases.get(key);
      if (lease !== undefined && lease.generation === found) this.#leases.set(key, { ...lease, isBeside: true });
    }
    return found;
  }

  /** The generation whose signature a client has read just now, for the main document that it goes with. */
  paired(client: Client, root: string): string | undefined {
    for (const key of keysOf(client, root)) {
      const lease = this.#leases.get(key);
      if (lease === undefined) continue;
      return lease.isBeside && client.now - lease.since < PAIRED ? lease.generation : undefined;
    }
    return undefined;
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
