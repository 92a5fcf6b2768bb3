import type { Clock } from '@entrepot/core';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import type { Governance } from './governance.js';

/** Shows the policy, the scanners and what waits for them. @returns a function that ends this */
export function watchGovernance(
  metrics: PrometheusMetrics,
  { policy, desk, reports, scanners }: Governance,
  clock: Clock,
): () => void {
  const ends = [
    metrics.watch('policyFileInvalid', () => (policy.status().problems.length > 0 ? 1 : 0)),
    metrics.watch('policySince', () => policy.status().since / 1000),
    metrics.watch('waitingForScans', () => desk.waiting),
  ];
  if (scanners.length > 0) ends.push(...watchScanners(metrics, { reports, scanners }, clock));
  return () => {
    for (const end of ends) end();
  };
}

function watchScanners(
  metrics: PrometheusMetrics,
  { reports, scanners }: Pick<Governance, 'reports' | 'scanners'>,
  clock: Clock,
): readonly (() => void)[] {
  return [
    metrics.watchSeries(
      'entrepot_scan_reports',
      'Kept reports, by scanner and state.',
      ['scanner', 'state'],
      async () => {
        const { states } = await reports.counts();
        return Object.entries(states).flatMap(([scanner, counts]) =>
          Object.entries(counts).map(([state, value]) => ({ labels: { scanner, state }, value })),
        );
      },
    ),
    metrics.watchSeries('entrepot_scan_queue', 'Scans that are to be done, by scanner.', ['scanner'], async () => {
      const { queued } = await reports.counts();
      return scanners.map(({ id }) => ({ labels: { scanner: id }, value: queued[id] ?? 0 }));
    }),
    metrics.watchSeries(
      'entrepot_scan_database_age_seconds',
      'The age of the database of a scanner, where it says that.',
      ['scanner'],
      async () =>
        scanners.flatMap(({ id, scanner }) => {
          const date = scanner.databaseDate?.();
          return date === undefined ? [] : [{ labels: { scanner: id }, value: (clock.now() - date) / 1000 }];
        }),
    ),
  ];
}
