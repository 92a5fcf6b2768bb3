import { type Clock, EntrepotError, type Logger, messageOf } from '@entrepot/core';
import type { SqlLeases } from '../drivers/sql/leases.js';
import type { Collected, CollectOptions } from './collector.js';
import { holdLease } from './held-lease.js';

/** The lease of the process that collects in the background. */
const LEASE = 'gc';

/** How an administrator wants blobs to be collected. */
export type CollectRequest = Pick<CollectOptions, 'dryRun' | 'reconcile' | 'force' | 'batchSize'>;

/** A run that was asked for, as far as it has come. */
export interface CollectionStatus extends Partial<Collected> {
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  readonly dryRun: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Milliseconds since the epoch. Absent while it is running. */
  readonly endedAt?: number | undefined;
  /** Why it has failed. */
  readonly error?: string | undefined;
}

export interface CollectionServices {
  readonly leases: SqlLeases;
  readonly clock: Clock;
  readonly logger: Logger;
  collect(options: Partial<CollectOptions>): Promise<Collected>;
  /** Told of each run in the background. Must not throw. */
  readonly onCollected?: ((report: Collected) => void) | undefined;
}

/** Collects in the background, one process at a time, and when an administrator asks for it. */
export class Collection {
  readonly #services: CollectionServices;
  readonly #stopping = new AbortController();
  #cancelling = new AbortController();
  #status: CollectionStatus | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(services: CollectionServices) {
    this.#services = services;
  }

  /** The run that was asked for last. `undefined`: none was. */
  get status(): CollectionStatus | undefined {
    return this.#status;
  }

  /** Collects unless another process does. */
  async tick(): Promise<void> {
    const { leases, logger } = this.#services;
    const lease = await holdLease(leases, LEASE);
    if (lease === undefined) return;
    try {
      const signal = AbortSignal.any([this.#stopping.signal, lease.signal]);
      const report = await this.#services.collect({ signal });
      logger.info({ ...report }, 'blobs that nobody needs were collected');
      this.#services.onCollected?.(report);
    } finally {
      await lease.release();
    }
  }

  /** Begins a run. @throws EntrepotError `conflict` while another one runs that was asked for */
  begin(request: CollectRequest): CollectionStatus {
    if (this.#status?.state === 'running')
      throw new EntrepotError('conflict', 'a collection is running already; wait for its end, or cancel it');
    this.#cancelling = new AbortController();
    const begun = { dryRun: request.dryRun === true, startedAt: this.#services.clock.now() };
    this.#status = { ...begun, state: 'running' };
    this.#running = this.#run(request, begun);
    return this.#status;
  }

  /** Ends the run that was asked for. What it has condemned stays condemned. @returns its report; `undefined`: there is none */
  async cancel(): Promise<CollectionStatus | undefined> {
    if (this.#status?.state !== 'running') return undefined;
    this.#cancelling.abort();
    await this.#running;
    return this.#status;
  }

  /** Waits for the end of the run that was asked for. */
  async finished(): Promise<CollectionStatus | undefined> {
    await this.#running;
    return this.#status;
  }

  async #run(request: CollectRequest, begun: Pick<CollectionStatus, 'dryRun' | 'startedAt'>): Promise<void> {
    const { clock, collect, logger } = this.#services;
    const { signal } = this.#cancelling;
    const note = (change: Partial<CollectionStatus>): void => {
      this.#status = { ...(this.#status ?? { ...begun, state: 'running' }), ...change };
    };
    try {
      const report = await collect({
        ...request,
        signal: AbortSignal.any([this.#stopping.signal, signal]),
        progress: note,
      });
      note({ ...report, state: 'done', endedAt: clock.now() });
    } catch (error) {
      const state = signal.aborted || this.#stopping.signal.aborted ? 'cancelled' : 'failed';
      if (state === 'failed') logger.warn({ error }, 'blobs could not be collected');
      note({ state, error: state === 'failed' ? messageOf(error) : undefined, endedAt: clock.now() });
    }
  }

  /** Ends what is running. */
  async dispose(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}
