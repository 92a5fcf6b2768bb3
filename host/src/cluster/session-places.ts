import type { Logger } from '@entrepot/core';
import type { FlightLease, SessionPeers, SessionUse } from '@entrepot/core/engine';
import type { SqlFlightLeases } from '../drivers/sql/flight-leases.js';
import type { LeasedFlights } from './flight-coordinator.js';
import { leaseName } from './lease-name.js';
import { RemoteSessions } from './remote-sessions.js';
import type { HttpRelayClient } from './relay-client.js';

/** After this long a lease of a process that was here before has ended; milliseconds. */
const AGAIN = 8_000;

export interface SessionPlacesOptions {
  readonly flights: LeasedFlights;
  readonly leases: SqlFlightLeases;
  readonly client: HttpRelayClient;
  readonly logger: Logger;
}

/** Which process has which unfinished upload, by leases. */
export class SessionPlaces implements SessionPeers {
  readonly #options: SessionPlacesOptions;
  /** The sessions of this process, with their leases as far as it has them. */
  readonly #held = new Map<string, FlightLease | undefined>();

  constructor(options: SessionPlacesOptions) {
    this.#options = options;
  }

  /** Where it cannot be told now, the upload goes on at this process alone, and others hear of it later. */
  async hold(id: string): Promise<void> {
    this.#held.set(id, undefined);
    const role = await this.#take(id);
    // The process before a restart has it still, or one that shares the folder.
    if (role === 'follower') this.#later(() => this.#take(id));
  }

  /** @returns whose it is */
  async #take(id: string): Promise<'leader' | 'follower' | undefined> {
    if (!this.#held.has(id)) return undefined;
    try {
      const lease = await this.#options.flights.take(subjectOf(id), () => void this.#take(id));
      if (lease.role === 'follower') lease.leave();
      // It may have ended meanwhile.
      else if (this.#held.has(id)) this.#held.set(id, lease);
      else lease.release();
      return lease.role;
    } catch (error) {
      this.#options.logger.warn({ error }, 'other servers could not be told of an upload that is here');
      this.#later(() => this.#take(id));
      return undefined;
    }
  }

  #later(work: () => Promise<unknown>): void {
    setTimeout(() => void work(), AGAIN).unref();
  }

  drop(id: string): void {
    this.#held.get(id)?.release();
    this.#held.delete(id);
  }

  async having(id: string): Promise<SessionUse | undefined> {
    const { leases, client } = this.#options;
    const [state] = await leases.look([leaseName(subjectOf(id))]);
    if (state?.isLive !== true || state.address === undefined || state.owner === leases.owner) return undefined;
    return new RemoteSessions(client, state.address);
  }

  /** Tells others of nothing any more. The sessions are there after a restart. */
  dispose(): void {
    this.#held.clear();
  }
}

function subjectOf(id: string): string {
  return `upload\n${id}`;
}
