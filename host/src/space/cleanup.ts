import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { EntrepotError, type Clock, type Logger } from '@entrepot/core';
import { beginReport, cleanRepository, type CleanupTarget } from './clean-repository.js';
import type { CleanupReport } from './cleanup-report.js';
import type { Pins } from './pins.js';

/** The first cleanup after a start waits for so long, in milliseconds: a server that is restarted every day cleans up, too. */
const FIRST = 300_000;
/** The clock of the machine may jump by so much since the start, in milliseconds. */
const MOST_JUMP = 3_600_000;
/** The number of runs whose reports are kept. */
const KEPT_RUNS = 20;

/** A cleanup of one repository, or of several one after the other. */
export interface CleanupRun {
  readonly id: string;
  readonly running: boolean;
  /** Of the repositories that it has begun with. */
  readonly reports: readonly CleanupReport[];
}

interface Run extends CleanupRun {
  running: boolean;
  readonly reports: CleanupReport[];
  readonly done: Promise<void>;
}

export interface CleanupOptions {
  readonly targets: readonly CleanupTarget[];
  readonly pins: Pick<Pins, 'matcher'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** When the process began, as `startOf` its clock. */
  readonly begunAt: number;
  /** Told of each repository that was cleaned up, unless nothing was to be removed. Must not throw. */
  readonly onCleaned?: ((report: CleanupReport) => void) | undefined;
}

/** The zero of the monotonic clock; milliseconds since the epoch. */
export function startOf(clock: Clock): number {
  return clock.now() - clock.monotonic();
}

/** Removes versions from hosted repositories by rules: in the background, and when it is asked to. One run at a time. */
export class Cleanup {
  readonly #options: CleanupOptions;
  readonly #end = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #runs = new Map<string, Run>();
  #last: Promise<void> = Promise.resolve();

  constructor(options: CleanupOptions) {
    this.#options = options;
  }

  /** Cleans up in the background, each repository as often as its rules are to be applied. */
  start(): void {
    const { targets, clock, logger, begunAt } = this.#options;
    for (const target of targets) {
      const { interval } = target.plan;
      const clean = (): void => {
        const jump = startOf(clock) - begunAt;
        if (Math.abs(jump) <= MOST_JUMP) this.#begin([target], false);
        // To a clock that is ahead everything has been unused for long.
        else
          logger.warn(
            { repository: target.repository, jump },
            'the clock has jumped: nothing is cleaned up before a restart',
          );
      };
      const first = setTimeout(
        () => {
          clean();
          this.#timers.push(setInterval(clean, interval).unref());
        },
        Math.min(FIRST, interval),
      );
      this.#timers.push(first.unref());
    }
  }

  /** Ends what is running between two changes. */
  async stop(): Promise<void> {
    this.#end.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#last;
  }

  /**
   * Begins to clean up a repository, or all that have rules.
   * @throws EntrepotError `not-found` for a repository without rules
   */
  begin({ repository, dryRun }: { readonly repository?: string | undefined; readonly dryRun: boolean }): CleanupRun {
    const { targets } = this.#options;
    const wanted = targets.filter((target) => repository === undefined || target.repository === repository);
    if (repository !== undefined && wanted.length === 0) {
      const others = targets.map((target) => target.repository).join(', ') || 'none';
      throw new EntrepotError('not-found', `No repository ${repository} has rules of cleanup; found ${others}`);
    }
    return this.#begin(wanted, dryRun);
  }

  /** The runs of this process that are remembered, the newest first. */
  list(): readonly CleanupRun[] {
    return [...this.#runs.values()].reverse();
  }

  /**
   * Finds a run of this server, when it has ended or `patience` milliseconds are over.
   * @throws EntrepotError `not-found` for one that never was, or is forgotten
   */
  async find(id: string, patience: number): Promise<CleanupRun> {
    const run = this.#runs.get(id);
    if (run === undefined) throw new EntrepotError('not-found', `This server has no cleanup ${id}`);
    const end = new AbortController();
    const late = wait(patience, undefined, { signal: end.signal, ref: false }).catch(() => {});
    await Promise.race([run.done, late]);
    end.abort();
    return run;
  }

  #begin(targets: readonly CleanupTarget[], dryRun: boolean): Run {
    const reports: CleanupReport[] = [];
    const { pins, clock, logger } = this.#options;
    const { signal } = this.#end;
    const done = this.#last.then(async () => {
      for (const target of targets) {
        if (signal.aborted) break;
        const report = beginReport(target, dryRun, clock.now());
        reports.push(report);
        await cleanRepository(target, report, { dryRun, pins, clock, logger, signal });
        const { repository, looked, removed, bytes, refused } = report;
        logger.info({ repository, dryRun, looked, removed, bytes, ...refused }, 'cleaned up');
        if (!dryRun) this.#options.onCleaned?.(report);
      }
      run.running = false;
    });
    const run: Run = { id: randomUUID(), running: true, reports, done };
    this.#last = done;
    this.#runs.set(run.id, run);
    for (const id of this.#runs.keys()) {
      if (this.#runs.size <= KEPT_RUNS) break;
      this.#runs.delete(id);
    }
    return run;
  }
}
