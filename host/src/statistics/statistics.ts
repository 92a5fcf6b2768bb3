import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, Logger } from '@entrepot/core';
import type { EngineObserver } from '@entrepot/core/engine';
import type { StatisticsConfig } from '../config/schema.js';
import { slices } from '../drivers/slices.js';
import type { SqlStatisticsStore, StatisticsBatch } from '../drivers/sql/statistics-store.js';
import type { ExchangeObserver } from '../http/exchange.js';
import { Counter } from './counter.js';

export interface StatisticsOptions {
  readonly store: Pick<SqlStatisticsStore, 'add' | 'tidy'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The most names whose numbers are only in memory. */
export const MOST_NAMES = 10_000;
/** The number of rows of one batch. */
const BATCH = 250;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * Counts what repositories answer: in memory at once, in the database at intervals. A database that does not take it keeps nobody from
 * being served: it is written later, and what comes meanwhile is counted within the same bounds.
 */
export class Statistics {
  readonly #options: StatisticsOptions;
  readonly #counter = new Counter(MOST_NAMES);
  /** Batches are numbered, so that one which may have been written is not added twice. */
  readonly #writer = randomUUID();
  #number = 0;
  #unwritten: StatisticsBatch[] = [];
  #config: StatisticsConfig | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #tidiedAt = -Infinity;
  #rowsSince = 0;
  #isComplaining = false;
  #isEnding = false;

  constructor(options: StatisticsOptions) {
    this.#options = options;
  }

  /** Whether requests are counted. */
  get enabled(): boolean {
    return this.#config?.enabled === true;
  }

  /** Begins to count and to write as `config` says, in place of the one before. */
  configure(config: StatisticsConfig): void {
    clearInterval(this.#timer);
    this.#config = config;
    // Other bounds may leave more rows than they let, of any day.
    this.#tidiedAt = -Infinity;
    if (!config.enabled) return;
    this.#timer = setInterval(() => void this.#flushQuietly(), config.interval).unref();
  }

  /** Counts a request that is over, if it was for a repository. */
  readonly observe: ExchangeObserver = (record) => {
    const { outcome } = record;
    if (outcome === undefined || !this.enabled) return;
    this.#counter.request(record, outcome, this.#options.clock.now());
  };

  /** The observer of the engines: counts what upstreams took, and passes everything on. */
  observer(inner: EngineObserver): EngineObserver {
    const { clock } = this.#options;
    return {
      ...inner,
      upstreamAnswered: (repository, status, duration) => {
        inner.upstreamAnswered(repository, status, duration);
        // The time until a failure says nothing of what an answer takes.
        if (this.enabled && status !== 'failed' && !status.startsWith('5'))
          this.#counter.upstreamAnswered(repository, duration, clock.now());
      },
      received: (repository, bytes, duration) => {
        inner.received?.(repository, bytes, duration);
        if (this.enabled) this.#counter.received(repository, bytes, duration, clock.now());
      },
    };
  }

  /** Writes what is in memory, and once an hour forgets what is old or too much. @throws EntrepotError `storage` */
  flush(): Promise<void> {
    // One after another: the store takes batches by their numbers.
    this.#writing = this.#writing.catch(() => {}).then(() => this.#flush());
    return this.#writing;
  }

  /** Writes for the last time. To forget what is old is left to the next process: it takes a thread. */
  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    this.#isEnding = true;
    await this.#flushQuietly();
  }

  async #flush(): Promise<void> {
    await this.#write();
    // What was counted while the database was away.
    this.#fill();
    await this.#write();
    await this.#tidy();
  }

  #fill(): void {
    for (const rows of slices(this.#counter.take(), BATCH)) {
      this.#number += 1;
      this.#unwritten.push({ writer: this.#writer, number: this.#number, rows });
    }
  }

  async #write(): Promise<void> {
    const { store, clock } = this.#options;
    for (let batch = this.#unwritten[0]; batch !== undefined; batch = this.#unwritten[0]) {
      await store.add(batch, clock.now());
      this.#unwritten.shift();
      this.#rowsSince += batch.rows.length;
      await turn();
    }
  }

  async #tidy(): Promise<void> {
    const { store, clock } = this.#options;
    if (this.#config === undefined || this.#isEnding) return;
    const { keep, packagesPerDay: packages, principalsPerDay: principals } = this.#config;
    const now = clock.now();
    if (now - this.#tidiedAt < HOUR && this.#rowsSince < MOST_NAMES) return;
    const since = this.#tidiedAt === -Infinity ? 0 : now - 2 * DAY;
    await store.tidy(now - keep, since, { packages, principals });
    this.#tidiedAt = now;
    this.#rowsSince = 0;
  }

  async #flushQuietly(): Promise<void> {
    const { logger } = this.#options;
    try {
      await this.flush();
      this.#isComplaining = false;
    } catch (error) {
      // Once for each outage.
      if (!this.#isComplaining) logger.warn({ err: error }, 'statistics are not written; they wait in memory');
      this.#isComplaining = true;
    }
  }
}
