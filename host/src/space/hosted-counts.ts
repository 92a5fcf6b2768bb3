import type { Clock, Logger } from '@entrepot/core';
import { inTime, type HostedCleanup } from '@entrepot/core/engine';
import { WorkTurns } from '@entrepot/core/formats';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';

/** Counting again begins this long after the last time at the earliest, in milliseconds. */
const REMEMBERED = 60_000;
/** Time for which a reader waits for counts, in milliseconds; then it gets those from before. */
const PATIENCE = 1_000;
/** The most tenants of a repository that have a series of their own: those with the most versions. */
const MOST_TENANTS = 100;
/** Stands for all other tenants. No name of one has brackets. */
const OTHERS = '(others)';

/** A hosted repository whose format has versions. */
export interface CountedRepository {
  readonly repository: string;
  readonly cleanup: Pick<HostedCleanup, 'stored'>;
}

export interface HostedCountsOptions {
  readonly repositories: readonly CountedRepository[];
  /** The revision of a repository: nothing is counted again where it is the same. */
  revision(repository: string): Promise<number>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Counts of a tenant. A tenant is what stands before the last slash of names; empty where there is none. */
export interface TenantCounts {
  readonly repository: string;
  readonly tenant: string;
  readonly names: number;
  readonly versions: number;
}

/** Counts names and versions of hosted repositories by tenant, when somebody asks and something has changed. */
export class HostedCounts {
  readonly #options: HostedCountsOptions;
  readonly #known = new Map<string, { readonly revision: number; readonly tenants: readonly TenantCounts[] }>();
  readonly #end = new AbortController();
  #countedAt = -Infinity;
  #counting: Promise<void> | undefined;

  constructor(options: HostedCountsOptions) {
    this.#options = options;
  }

  /** The counts, at most a minute old where the repositories are not too large for that. */
  async read(): Promise<readonly TenantCounts[]> {
    const { clock } = this.#options;
    if (clock.monotonic() - this.#countedAt >= REMEMBERED && !this.#end.signal.aborted) {
      this.#counting ??= this.#count().finally(() => (this.#counting = undefined));
      await inTime(this.#counting, PATIENCE);
    }
    return [...this.#known.values()].flatMap(({ tenants }) => tenants);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#counting;
  }

  async #count(): Promise<void> {
    const { repositories, clock, logger } = this.#options;
    for (const one of repositories) {
      try {
        await this.#countOne(one);
      } catch (error) {
        if (this.#end.signal.aborted) return;
        logger.warn({ err: error, repository: one.repository }, 'the versions of a repository cannot be counted');
      }
    }
    this.#countedAt = clock.monotonic();
  }

  async #countOne({ repository, cleanup }: CountedRepository): Promise<void> {
    const revision = await this.#options.revision(repository);
    if (this.#known.get(repository)?.revision === revision) return;
    const counts = new Map<string, { names: Set<string>; versions: number }>();
    const turns = new WorkTurns();
    for await (const versions of cleanup.stored()) {
      this.#end.signal.throwIfAborted();
      for (const { name, version } of versions) {
        if (version === undefined) continue;
        const tenant = name.slice(0, Math.max(0, name.lastIndexOf('/')));
        const own = counts.get(tenant) ?? { names: new Set(), versions: 0 };
        counts.set(tenant, own);
        own.names.add(name);
        own.versions += 1;
      }
      await turns.pause();
    }
    const all = [...counts].map(([tenant, { names, versions }]) => ({
      repository,
      tenant,
      names: names.size,
      versions,
    }));
    this.#known.set(repository, { revision, tenants: bounded(repository, all) });
  }
}

/** Shows the counts. @returns a function that ends this */
export function watchHostedCounts(metrics: PrometheusMetrics, counts: HostedCounts): () => void {
  const watch = (name: string, help: string, read: (one: TenantCounts) => number) =>
    metrics.watchSeries(name, help, ['repository', 'tenant'], async () =>
      (await counts.read()).map((one) => ({
        labels: { repository: one.repository, tenant: one.tenant },
        value: read(one),
      })),
    );
  const ends = [
    watch('entrepot_hosted_names', 'Charts, images, packages of hosted repositories.', ({ names }) => names),
    watch('entrepot_hosted_versions', 'Their versions, or tags.', ({ versions }) => versions),
  ];
  return () => {
    for (const end of ends) end();
  };
}

function bounded(repository: string, all: readonly TenantCounts[]): readonly TenantCounts[] {
  if (all.length <= MOST_TENANTS) return all;
  const sorted = [...all].sort((one, other) => other.versions - one.versions);
  const rest = sorted.slice(MOST_TENANTS);
  const sum = (read: (one: TenantCounts) => number) => rest.reduce((total, one) => total + read(one), 0);
  const others = { repository, tenant: OTHERS, names: sum(({ names }) => names), versions: sum((one) => one.versions) };
  return [...sorted.slice(0, MOST_TENANTS), others];
}
