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
  readonly #held = new Map<string, FlightLease>();

  constructor(options: SessionPlacesOptions) {
    this.#options = options;
  }

  /** Where it cannot be told, the upload goes on at this process alone. */
  async hold(id: string): Promise<void> {
    if (await this.#hold(id)) return;
    // The process before a restart has it still, or one that shares the folder.
    setTimeout(() => void this.#hold(id), AGAIN).unref();
  }

  async #hold(id: string): Promise<boolean> {
    try {
      const role = await this.#options.flights.take(subjectOf(id));
      if (role.role === 'leader') this.#held.set(id, role);
      else role.leave();
      return role.role === 'leader';
    } catch (error) {
      this.#options.logger.warn({ error }, 'other servers could not be told of an upload that began here');
      return true;
    }
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
}

function subjectOf(id: string): string {
  return `upload\n${id}`;
}
