import { Lru } from '@entrepot/core/formats';
import type { ResolveContext } from '@entrepot/core';

/** The bound on clients that are remembered. */
const MOST = 20_000;
/** Time for which a client that has asked for the head of a document gets that one; milliseconds. zypper reads its signature in between. */
const PROBED = 60_000;

interface Lease {
  readonly generation: string;
  /** Time at which the client asked about the generation first, or was given its main document last. */
  readonly since: number;
  readonly until: number;
  /** Whether the client has only asked what the main document is like. */
  readonly isProbe: boolean;
}

/** The client that asks. */
export type Client = Pick<ResolveContext, 'client' | 'connection' | 'now' | 'isHead'>;

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

  /** Notes that a client was given the main pointer document of a generation, or asked what it is like. */
  take(client: Client, root: string, generation: string): void {
    for (const key of keysOf(client, root)) {
      const last = this.#leases.get(key);
      const since = last?.isProbe === true && last.generation === generation ? last.since : client.now;
      this.#leases.set(key, { generation, since, until: client.now + this.#duration, isProbe: client.isHead });
    }
  }

  /** The generation whose main document a client has asked about just now, and will ask for. */
  probed(client: Client, root: string): string | undefined {
    for (const key of keysOf(client, root)) {
      const lease = this.#leases.get(key);
      if (lease === undefined) continue;
      return lease.isProbe && client.now - lease.since < PROBED ? lease.generation : undefined;
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

function keysOf({ client = '', connection }: Client, root: string): string[] {
  const byAddress = `${client}\n\n${root}`;
  return connection === undefined ? [byAddress] : [`${client}\n${connection}\n${root}`, byAddress];
}
