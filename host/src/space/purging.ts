import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { EntrepotError, messageOf, type Clock, type Logger } from '@entrepot/core';
import { type ChangeCounts, countChange } from '../drivers/sql/changes.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import type { Memory } from './memory.js';
import { NOTHING_PURGED, type Purged, type Purger, type PurgeOptions } from './purger.js';
import type { Selector } from './selector.js';

/** The number of purges whose reports are kept. */
const KEPT_RUNS = 20;

/** A purge that is asked for. */
export interface PurgeRequest extends Omit<PurgeOptions, 'signal' | 'progress'> {
  readonly selector: Selector;
  /** Its subject, as it was said. */
  readonly subject: string;
  /** The name of the administrator. */
  readonly by?: string | undefined;
}

/** A purge, as far as it has come. */
export interface PurgeStatus extends Purged {
  readonly id: string;
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  readonly subject: string;
  readonly dryRun: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Milliseconds since the epoch. Absent while it is running. */
  readonly endedAt?: number | undefined;
  /** Why it has failed. What was removed before is gone. */
  readonly error?: string | undefined;
}

interface Run {
  status: PurgeStatus;
  readonly end: AbortController;
  readonly done: Promise<void>;
}

export interface PurgingParts {
  readonly database: SqlDatabase;
  readonly purger: Pick<Purger, 'run'>;
  readonly memory: Memory;
  /** Whether a repository is a proxy. `undefined`: there is no such repository any more. */
  isProxy(repository: string): boolean | undefined;
  /** Ends holds that are over: what was just put may go. */
  release(): Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Purges on demand, each by itself, and lets all processes forget what is gone. */
export class Purging {
  readonly #parts: PurgingParts;
  readonly #runs = new Map<string, Run>();
  /** The number of purges by all processes of which memory knows. `undefined`: it has only begun to remember. */
  #known: number | undefined;

  constructor(parts: PurgingParts) {
    this.#parts = parts;
  }

  /** The number of purges by all processes of which memory knows. `undefined`: none is known yet. */
  get purges(): number | undefined {
    return this.#known;
  }

  /** Forgets what other processes may have purged. */
  async noteChanges({ purges }: Pick<ChangeCounts, 'purges'>): Promise<void> {
    const isNews = this.#known !== undefined && purges !== this.#known;
    this.#known = purges;
    if (isNews) await this.#parts.memory.forgetAll();
  }

  /**
   * Begins a purge.
   * @throws EntrepotError `conflict` for a hosted repository that may not be purged
   */
  begin(request: PurgeRequest): PurgeStatus {
    const { selector, subject, hosted, dryRun } = request;
    const { repository } = selector;
    if (repository !== undefined && !hosted && this.#parts.isProxy(repository) === false)
      throw new EntrepotError(
        'conflict',
        `${repository} is a hosted repository: what is purged there comes from nowhere again. Purge it with --hosted (hosted: true) if that is meant`,
        { code: 'PURGE_OF_HOSTED' },
      );
    const id = randomUUID();
    const end = new AbortController();
    const status: PurgeStatus = {
      ...NOTHING_PURGED,
      id,
      state: 'running',
      subject,
      dryRun,
      startedAt: this.#parts.clock.now(),
    };
    const run: Run = { status, end, done: Promise.resolve().then(() => this.#run(run, request)) };
    this.#runs.set(id, run);
    for (const [old, { status: of }] of this.#runs) {
      if (this.#runs.size <= KEPT_RUNS) break;
      if (of.state !== 'running') this.#runs.delete(old);
    }
    return status;
  }

  /**
   * Finds a purge of this process, when it has ended or `patience` milliseconds are over.
   * @throws EntrepotError `not-found` for one that never was, or is forgotten
   */
  async find(id: string, patience: number): Promise<PurgeStatus> {
    const run = this.#get(id);
    const late = new AbortController();
    await Promise.race([run.done, wait(patience, undefined, { signal: late.signal, ref: false }).catch(() => {})]);
    late.abort();
    return run.status;
  }

  /** The purges of this process that are remembered, the newest first. */
  list(): readonly PurgeStatus[] {
    return Array.from(this.#runs.values(), ({ status }) => status).reverse();
  }

  /** Ends a purge after the batch that it is at: what is gone is gone. @throws EntrepotError as `find` */
  async cancel(id: string): Promise<PurgeStatus> {
    const run = this.#get(id);
    run.end.abort();
    await run.done;
    return run.status;
  }

  /** Ends what is running. */
  async dispose(): Promise<void> {
    await Promise.all(Array.from(this.#runs.keys(), (id) => this.cancel(id)));
  }

  #get(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw new EntrepotError('not-found', `This server has no purge ${id}`);
    return run;
  }

  async #run(run: Run, { selector, subject, by, ...options }: PurgeRequest): Promise<void> {
    const { clock, logger } = this.#parts;
    const { signal } = run.end;
    const note = (change: Partial<PurgeStatus>): void => {
      run.status = { ...run.status, ...change };
    };
    try {
      const report = await this.#purge(selector, { ...options, signal, progress: note });
      note({ ...report, state: signal.aborted ? 'cancelled' : 'done', endedAt: clock.now() });
    } catch (error) {
      note({ state: 'failed', error: messageOf(error), endedAt: clock.now() });
      logger.warn({ by, subject, err: error }, 'a purge failed half-way');
    }
    const { dryRun, entries, blobs, bytes, kept, state } = run.status;
    if (!dryRun) logger.info({ by, subject, state, entries, blobs, bytes, kept }, 'purged');
  }

  async #purge(selector: Selector, options: PurgeOptions): Promise<Purged> {
    const { database, memory, purger, release } = this.#parts;
    await release();
    if (options.dryRun) return await purger.run(selector, options);
    await memory.forgetBeside(selector);
    try {
      return await purger.run(selector, options);
    } finally {
      const purges = await countChange(database, 'purges');
      if (purges - 1 === (this.#known ?? 0)) this.#known = purges;
    }
  }
}
