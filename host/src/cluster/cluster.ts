import type { EntryIndex, Logger } from '@entrepot/core';
import type { SessionPeers } from '@entrepot/core/engine';
import type { ClusterConfig } from '../config/schema.js';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import type { Notices } from '../drivers/sql/notices.js';
import { SqlFlightLeases } from '../drivers/sql/flight-leases.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { LeasedFlights } from './flight-coordinator.js';
import { HttpRelayClient } from './relay-client.js';
import { RelayServer, type RelayPlace } from './relay-server.js';
import { SessionPlaces } from './session-places.js';
import type { OwnSessions } from './session-server.js';
import { ClusterSignature } from './signature.js';

/** The place of one process in a cluster. */
export interface ClusterPlace {
  readonly place: RelayPlace;
  /** Of `place`, as other processes reach it: a URL, or `unix:` and the path of a socket. */
  readonly address: string;
  readonly secret: string;
}

/** Dependencies of a cluster. */
export interface ClusterServices {
  readonly database: SqlDatabase;
  /** Closes the database, and so has to outlive the cluster. */
  readonly entries: EntryIndex;
  readonly notices: Notices;
  readonly metrics: PrometheusMetrics;
  readonly logger: Logger;
}

/** The place that a configuration gives. */
export function clusterPlace({ secret, listen: { host, port }, advertise }: ClusterConfig): ClusterPlace {
  return { place: { host, port }, address: advertise, secret };
}

/** The part of this process in a cluster: leases of fetches, and the door at which others follow them. */
export class Cluster {
  readonly flights: LeasedFlights;
  /** Finds unfinished uploads that other processes have. */
  readonly sessionPeers: SessionPeers & { dispose(): void };
  readonly #client: HttpRelayClient;
  readonly #server: RelayServer;

  private constructor(
    flights: LeasedFlights,
    client: HttpRelayClient,
    server: RelayServer,
    sessionPeers: SessionPlaces,
  ) {
    this.flights = flights;
    this.sessionPeers = sessionPeers;
    this.#client = client;
    this.#server = server;
  }

  /** @throws EntrepotError `configuration` when it cannot listen where it should */
  static async open(
    { place, address, secret }: ClusterPlace,
    { database, notices, metrics, logger }: Omit<ClusterServices, 'entries'>,
  ): Promise<Cluster> {
    const signature = new ClusterSignature(secret);
    const client = new HttpRelayClient(signature);
    const leases = new SqlFlightLeases(database);
    const flights = new LeasedFlights({
      leases,
      address,
      relay: client,
      notices,
      logger,
      count: (role) => metrics.clusterFetched(role),
    });
    const server = await RelayServer.open({
      place,
      signature,
      logger,
      own: (name, generation) => flights.own(name, generation),
    });
    return new Cluster(flights, client, server, new SessionPlaces({ flights, leases, client, logger }));
  }

  /** Lets other processes use the unfinished uploads of this one. */
  offer(sessions: OwnSessions): void {
    this.#server.offer(sessions);
  }

  async dispose(): Promise<void> {
    this.sessionPeers.dispose();
    await this.flights.dispose();
    await this.#server.dispose();
    this.#client.dispose();
  }
}
