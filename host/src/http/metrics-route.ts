import { EntrepotError } from '@entrepot/core';
import type { Middleware } from 'koa';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { isSameSecret } from '../access/check-password.js';
import { operation, text } from './operations/operation.js';
import type { Operations } from './operations/operations.js';

export interface MetricsRouteOptions {
  readonly path: string;
  readonly source: Pick<PrometheusMetrics, 'contentType' | 'render'>;
}

/** Declares the metrics at the path that the configuration gives them. */
export function metricsAt<const Path extends string>(path: Path) {
  return operation({
    id: 'getMetrics',
    tag: 'server',
    summary: 'Reads the metrics.',
    description: 'In the text format of Prometheus. `metrics.path` of the configuration names another path.',
    method: 'get',
    path,
    access: 'metrics',
    query: 'ignored',
    replies: { 200: { description: 'The metrics.', texts: ['text/plain; version=0.0.4; charset=utf-8'] } },
  });
}

/** Adds the metrics. */
export function metricsRoute(operations: Operations, { path, source }: MetricsRouteOptions): void {
  operations.add(metricsAt(path), async ({ ctx }) => {
    const metrics = await source.render();
    ctx.set('Cache-Control', 'no-store');
    return text(200, source.contentType, metrics);
  });
}

/** Admits those who have the token of the metrics, when there is one (RFC 6750 §2.1). @param token absent: everybody may read them */
export function metricsGuard(token: string | undefined): Middleware {
  return async (ctx, next) => {
    const given = /^Bearer +([^ ]+) *$/i.exec(ctx.get('Authorization'))?.[1];
    if (token !== undefined && (given === undefined || !isSameSecret(given, token))) {
      throw new EntrepotError('unauthorized', 'Metrics: expected the bearer token of metrics.token', {
        headers: { 'WWW-Authenticate': 'Bearer realm="metrics"' },
      });
    }
    await next();
  };
}
