import { ROOT_STATES } from '@entrepot/core';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import type { RootRefresher } from './root-refresher.js';

/** Shows how many roots repositories have in each state. @returns a function that ends this */
export function watchRoots(metrics: PrometheusMetrics, roots: RootRefresher): () => void {
  return metrics.watchSeries(
    'entrepot_repository_roots',
    'Parts of upstreams that are published as a whole, such as suites, by their state.',
    ['repository', 'state'],
    async () => {
      const counts = new Map<string, Map<string, number>>();
      for (const { repository, state } of await roots.list()) {
        const own = counts.get(repository) ?? new Map<string, number>();
        counts.set(repository, own.set(state, (own.get(state) ?? 0) + 1));
      }
      return [...counts].flatMap(([repository, own]) =>
        ROOT_STATES.map((state) => ({ labels: { repository, state }, value: own.get(state) ?? 0 })),
      );
    },
  );
}
