import { printSize } from '@entrepot/core/formats';
import type { StatisticsAnswer, StatisticsNumbers, UnusedAnswer } from '../admin/statistics-operations.js';
import { apiClient, instant, queryOf, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { printTable } from './table.js';
import { wholeNumber } from './whole-number.js';

export interface StatisticsOptions extends ServerOptions {
  readonly by?: string;
  readonly sort?: string;
  readonly days?: string;
  readonly from?: string;
  readonly to?: string;
  readonly unused?: boolean;
  readonly limit?: string;
  readonly json?: boolean;
}

const ROWS = 20;

/** Prints what was asked for and answered, or what nobody asks for any more. */
export async function statistics(
  repository: string | undefined,
  options: StatisticsOptions,
  context: CommandContext,
): Promise<number> {
  const { by, sort, from, to, unused, json } = options;
  const days = wholeNumber(options.days, '--days')?.toString();
  // Days are few, and their order is that of time: a part of them says little.
  const most = wholeNumber(options.limit, '--limit') ?? (by === undefined || by === 'day' ? 10_000 : ROWS);
  const client = await apiClient(options, context);
  if (unused === true) {
    const query = queryOf({ repository, days, limit: String(most === 10_000 ? ROWS : most) });
    const answer = await client.ask<UnusedAnswer>('GET', `/statistics/unused${query}`);
    context.write(json === true ? JSON.stringify(answer, undefined, 2) : unusedTable(answer));
    return EXIT.ok;
  }
  const query = queryOf({ repository, by, sort, days, from, to, limit: String(most) });
  const answer = await client.ask<StatisticsAnswer>('GET', `/statistics${query}`);
  context.write(json === true ? JSON.stringify(answer, undefined, 2) : table(answer));
  return EXIT.ok;
}

function table({ from, to, by, total, rows }: StatisticsAnswer): string {
  const columns = [by, 'requests', 'downloads', 'sent', 'hit ratio', 'denied', 'failed', 'saved', 'time saved'];
  const named = by === 'package' ? ['repository', ...columns] : columns;
  const lines = rows.map((row) => {
    const name = row.package ?? row.principal ?? (by === 'repository' ? row.repository : row.day);
    const shown = name ?? (row.others === 'anonymous' ? '(anonymous)' : '(others)');
    return [...(by === 'package' ? [row.repository ?? ''] : []), shown, ...cells(row)];
  });
  const all = [...(by === 'package' ? [''] : []), 'total', ...cells(total)];
  return `${from} to ${to}\n\n${printTable(named, [...lines, all])}`;
}

function cells(numbers: StatisticsNumbers): (string | number)[] {
  const { requests, downloads, bytes, hitRatio, denied, failed, savedBytes, savedMilliseconds } = numbers;
  const ratio = hitRatio === undefined ? '-' : `${(hitRatio * 100).toFixed(1)} %`;
  const time = savedMilliseconds === undefined ? '-' : spell(savedMilliseconds);
  return [requests, downloads, printSize(bytes), ratio, denied, failed, printSize(savedBytes), time];
}

/** A time in its largest unit, and the next one. */
function spell(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function unusedTable({ packages }: UnusedAnswer): string {
  const rows = packages.map(({ purl, repository, entries, bytes, lastServedAt }) => [
    purl,
    repository,
    entries,
    printSize(bytes),
    lastServedAt === undefined ? 'never' : instant(lastServedAt),
  ]);
  return printTable(['package', 'repository', 'entries', 'size', 'last served'], rows);
}
