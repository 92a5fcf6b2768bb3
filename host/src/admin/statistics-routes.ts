import { EntrepotError, type Clock } from '@entrepot/core';
import { nearest } from '@entrepot/core/engine';
import type { StatisticsPart, StatisticsSums, SqlStatisticsReport } from '../drivers/sql/statistics-report.js';
import type { SqlUsageReport } from '../drivers/sql/usage-report.js';
import { json } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import type { Statistics } from '../statistics/statistics.js';
import { STATISTICS_OPERATIONS, type StatisticsAnswer, type StatisticsNumbers } from './statistics-operations.js';

const DAY = 86_400_000;

export interface StatisticsRoutesOptions {
  readonly statistics: Statistics;
  readonly report: SqlStatisticsReport;
  readonly usage: SqlUsageReport;
  readonly repositories: readonly { readonly name: string; readonly kind: 'proxy' | 'hosted' }[];
  readonly clock: Clock;
}

/** Adds statistics to the API of administration: by day, repository, principal or package; and what nobody asks for any more. */
export function statisticsRoutes(
  operations: Operations,
  { statistics, report, usage, repositories, clock }: StatisticsRoutesOptions,
): void {
  const hosted = repositories.filter(({ kind }) => kind === 'hosted').map(({ name }) => name);

  operations.add(STATISTICS_OPERATIONS.read, async ({ query: asked }) => {
    const { days, repository, by, sort: order, limit } = asked;
    requireRepository(repository);
    const to = dayOf(asked.to) ?? Math.floor(clock.now() / DAY);
    const from = dayOf(asked.from) ?? to - days + 1;
    if (from > to) throw new EntrepotError('bad-request', 'from: expected a day that is not after `to`');
    await statistics.flush();
    const query = { from, to, repository, by, order, limit, hosted };
    const [total, parts] = [await report.total(query), await report.parts(query)];
    return json(200, {
      from: dateOf(from),
      to: dateOf(to),
      by,
      total: numbersOf(total),
      rows: parts.map((part) => ({ ...namesOf(by, part), ...numbersOf(part) })),
    });
  });

  operations.add(STATISTICS_OPERATIONS.unused, async ({ query: { days, repository, limit } }) => {
    requireRepository(repository);
    return json(200, { packages: await usage.unused(repository, clock.now() - days * DAY, limit) });
  });

  /** @throws EntrepotError `bad-request` for a name that is close to that of a repository, and none */
  function requireRepository(name: string | undefined): void {
    const names = repositories.map((one) => one.name);
    if (name === undefined || names.includes(name)) return;
    const meant = nearest(name, names);
    // Of one that is not served any more there may be numbers.
    if (meant !== undefined)
      throw new EntrepotError('bad-request', `repository: there is no ${name.slice(0, 100)}; did you mean ${meant}?`);
  }
}

function dayOf(date: string | undefined): number | undefined {
  return date === undefined ? undefined : Math.floor(Date.parse(date) / DAY);
}

function dateOf(day: number): string {
  return new Date(day * DAY).toISOString().slice(0, 10);
}

function numbersOf(sums: StatisticsSums): StatisticsNumbers {
  const { hits, revalidated, stale, misses, savedTime } = sums;
  const kept = hits + revalidated + stale;
  return {
    requests: sums.requests,
    downloads: sums.downloads,
    bytes: sums.bytes,
    hits,
    revalidated,
    stale,
    misses,
    denied: sums.denied,
    failed: sums.failed,
    notModified: sums.not_modified,
    ranges: sums.ranges,
    hitRatio: kept + misses === 0 ? undefined : Math.round((kept / (kept + misses)) * 10_000) / 10_000,
    savedBytes: sums.savedBytes,
    savedMilliseconds: savedTime,
    upstreamRequests: sums.upstream_requests,
    upstreamBytes: sums.received_bytes,
  };
}

function namesOf(
  by: StatisticsAnswer['by'],
  { day, repository, dimension, name }: StatisticsPart,
): Pick<StatisticsAnswer['rows'][number], 'day' | 'repository' | 'package' | 'principal' | 'others'> {
  if (by === 'day') return { day: dateOf(day) };
  if (by === 'repository') return { repository };
  if (dimension === 'package') return { repository, package: name };
  if (dimension === 'principal') return { principal: name };
  if (dimension === 'anonymous') return { others: 'anonymous' };
  return dimension === 'other-packages' ? { repository, others: 'rest' } : { others: 'rest' };
}
