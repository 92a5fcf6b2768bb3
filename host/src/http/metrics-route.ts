import type Router from '@koa/router';
import { EntrepotError } from '@entrepot/core';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { isSameSecret } from '../access/check-password.js';

export interface MetricsRouteOptions {
  readonly path: string;
  /** Absent: everybody may read them. */
  readonly token?: string | undefined;
  readonly source: Pick<PrometheusMetrics, 'contentType' | 'render'>;
}

/** The metrics, to those who have the token when there is one (RFC 6750 §2.1). */
export function metricsRoute(router: Router, { path, token, source }: MetricsRouteOptions): void {
  router.get(path, async (ctx) => {
    const given = /^Bearer +([^ ]+) *$/i.exec(ctx.get('Authorization'))?.[1];
    if (token !== undefined && (given === undefined || !isSameSecret(given, token))) {
      throw new EntrepotError('unauthorized', 'Metrics: expected the bearer token of metrics.token', {
        headers: { 'WWW-Authenticate': 'Bearer realm="metrics"' },
      });
    }
    ctx.body = await source.render();
    ctx.set('Content-Type', source.contentType);
    ctx.set('Cache-Control', 'no-store');
  });
}
