import { setTimeout as wait } from 'node:timers/promises';
import { EntrepotError, type Clock, type Logger, type Root } from '@entrepot/core';
import { nearest, type RepositoryRoots } from '@entrepot/core/engine';
import type { SqlLeases } from '../drivers/sql/leases.js';
import { holdLease } from '../space/held-lease.js';

/** The interval at which it is looked whether roots are due, in milliseconds. */
const INTERVAL = 15_000;
/** The number of roots of a repository that are refreshed at a time. */
const AT_A_TIME = 4;

/** A root, and its repository. */
export interface ListedRoot extends Root {
  readonly repository: string;
}

export interface RootRefresherOptions {
  /** The repositories that have roots. */
  readonly repositories: ReadonlyMap<string, RepositoryRoots>;
  readonly leases: SqlLeases;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Refreshes the roots of repositories: those that are due, one process of a cluster at a time, and those that somebody asks for. */
export class RootRefresher {
  readonly #options: RootRefresherOptions;
  readonly #end = new AbortController();
  /** Repositories whose roots are being refreshed by the timer. */
  readonly #busy = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RootRefresherOptions) {
    this.#options = options;
  }

  /** Whether any repository has roots. */
  get hasAny(): boolean {
    return this.#options.repositories.size > 0;
  }

  /** Begins to look for roots that are due. */
  start(): void {
    if (this.hasAny) this.#timer = setInterval(() => void this.refreshDue(), INTERVAL).unref();
  }

  /** Begins with no other root. What is running ends with its repository. */
  stop(): void {
    this.#end.abort();
    clearInterval(this.#timer);
  }

  /** Waits for what is running. */
  async ended(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  /** Refreshes the roots that are due. Does not reject. */
  async refreshDue(): Promise<void> {
    for (const [repository, roots] of this.#options.repositories) {
      if (this.#busy.has(repository)) continue;
      const work = this.#refreshDueOf(repository, roots)
        .catch((error: unknown) => {
          if (!this.#end.signal.aborted)
            this.#options.logger.warn({ err: error, repository }, 'roots could not be refreshed');
        })
        .finally(() => this.#busy.delete(repository));
      this.#busy.set(repository, work);
    }
    await Promise.all(this.#busy.values());
  }

  async #refreshDueOf(repository: string, roots: RepositoryRoots): Promise<void> {
    const { leases, logger } = this.#options;
    if ((await this.#due(roots)).length === 0) return;
    const lease = await holdLease(leases, `roots ${repository}`);
    if (lease === undefined) return;
    try {
      // Another process may have refreshed some meanwhile.
      const due = await this.#due(roots);
      const work = async (): Promise<void> => {
        for (let name = due.shift(); name !== undefined; name = due.shift()) {
          if (this.#end.signal.aborted || lease.signal.aborted) return;
          await roots
            .refresh(name)
            .catch((error: unknown) =>
              logger.warn({ err: error, repository, root: name }, 'a root could not be refreshed'),
            );
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, work));
    } finally {
      await lease.release();
    }
  }

  /** The names of those that are due, the one first that has been so for longest. */
  async #due(roots: RepositoryRoots): Promise<string[]> {
    const now = this.#options.clock.now();
    const due = (await roots.list()).filter(({ dueAt }) => dueAt !== undefined && dueAt <= now);
    return due.sort((one, other) => (one.dueAt ?? 0) - (other.dueAt ?? 0)).map(({ name }) => name);
  }

  /**
   * Lists the roots of a repository, or of all.
   * @throws EntrepotError `not-found` for a repository without roots
   */
  async list(repository?: string): Promise<readonly ListedRoot[]> {
    const wanted =
      repository === undefined ? this.#options.repositories : [[repository, this.#find(repository)] as const];
    const lists = Array.from(wanted, async ([name, roots]) =>
      (await roots.list()).map((root): ListedRoot => ({ repository: name, ...root })),
    );
    return (await Promise.all(lists)).flat();
  }

  /**
   * Refreshes a root now. Who asks again while that goes on waits for the same.
   * @returns how it is after that; `undefined` after `patience` milliseconds
   * @throws EntrepotError `not-found` for a repository without roots, or a root that is not known, `conflict` for a frozen one; as the
   * upstream answers where nothing was ever published
   */
  async refresh(repository: string, name: string, patience: number): Promise<ListedRoot | undefined> {
    const refreshing = this.#find(repository).refresh(name);
    const late = new AbortController();
    const patient = wait(patience, undefined, { signal: late.signal, ref: false }).catch(() => undefined);
    try {
      const root = await Promise.race([refreshing, patient]);
      return root && { repository, ...root };
    } finally {
      late.abort();
      refreshing.catch(() => {});
    }
  }

  #find(repository: string): RepositoryRoots {
    const { repositories } = this.#options;
    const roots = repositories.get(repository);
    if (roots !== undefined) return roots;
    const names = [...repositories.keys()];
    const meant = nearest(repository, names);
    const hint = meant === undefined ? `found ${names.join(', ') || 'none'}` : `did you mean ${meant}?`;
    throw new EntrepotError('not-found', `No repository ${repository} has roots; ${hint}`);
  }
}
