import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import type { Verification } from './verification.js';

/** Shows how many entries have lost their bytes. */
export function watchVerification(metrics: PrometheusMetrics, verification: Verification): void {
  metrics.watchSeries(
    'entrepot_lost_entries',
    'Entries whose bytes are damaged or missing, as far as that is known, by repository.',
    ['repository'],
    async () =>
      (await verification.lostEntries()).map(({ repository, entries }) => ({ labels: { repository }, value: entries })),
  );
}
