import { printSize } from '@entrepot/core/formats';
import type { Age, EntryUsage, PackageUsage } from '../drivers/sql/usage-report.js';
import type { UsageOverview } from '../space/space-usage.js';
import { apiClient, instant, queryOf, type ApiClient, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { printTable } from './table.js';
import { wholeNumber } from './whole-number.js';

export interface UsageOptions extends ServerOptions {
  readonly packages?: boolean;
  readonly ages?: boolean;
  readonly limit?: string;
  readonly json?: boolean;
}

/** One answer of the API, and the table that shows it. */
interface Part {
  readonly answer: object;
  readonly table: string;
}

const PACKAGES = 20;

/** Prints how much room everything takes, or one repository. */
export async function usage(
  repository: string | undefined,
  options: UsageOptions,
  context: CommandContext,
): Promise<number> {
  const { packages, ages, json } = options;
  const limit = wholeNumber(options.limit, '--limit') ?? PACKAGES;
  const client = await apiClient(options, context);
  const parts: Part[] = [];
  if (packages === true) parts.push(await largestPackages(client, repository, limit));
  if (ages === true) parts.push(await byAge(client, repository));
  if (parts.length === 0) parts.push(await overview(client, repository));
  const all = Object.assign({}, ...parts.map(({ answer }) => answer)) as object;
  context.write(json === true ? JSON.stringify(all, undefined, 2) : parts.map(({ table }) => table).join('\n\n'));
  return EXIT.ok;
}

async function overview(client: ApiClient, only: string | undefined): Promise<Part> {
  const all = await client.ask<UsageOverview>('GET', '/usage');
  const { blobs, bytes, maxBytes, freeBytes, reserve, isFull, isVolumeFull } = all;
  const repositories = all.repositories.filter(({ name }) => only === undefined || name === only);
  if (only !== undefined && repositories.length === 0)
    throw new Error(
      `there is no repository ${only}; expected one of ${all.repositories.map(({ name }) => name).join(', ')}`,
    );
  const rows = repositories.map(({ name, kind = 'not served', entries, bytes: own, quota, isFull: noRoom }) => [
    name,
    kind,
    entries,
    printSize(own),
    quota === undefined ? '-' : printSize(quota),
    noRoom ? 'full' : '',
  ]);
  const table = printTable(['repository', 'kind', 'entries', 'size', 'quota', ''], rows);
  if (only !== undefined) return { answer: { repositories }, table };
  const bound = maxBytes === undefined ? '' : ` of ${printSize(maxBytes)}`;
  const projects = all.projects.map(({ name, repositories: its, bytes: own, quota, isFull: noRoom }) => [
    name,
    its.join(', '),
    printSize(own),
    printSize(quota),
    noRoom ? 'full' : '',
  ]);
  const below =
    projects.length === 0 ? [] : ['', printTable(['project', 'repositories', 'size', 'quota', ''], projects)];
  const lines = [`${blobs} blobs, ${printSize(bytes)}${bound}${isFull ? ', full' : ''}`];
  if (freeBytes !== undefined)
    lines.push(
      `${printSize(freeBytes)} free on the volume, of which ${printSize(reserve)} stay free${isVolumeFull ? ', full' : ''}`,
    );
  return { answer: all, table: [...lines, '', table, ...below].join('\n') };
}

async function largestPackages(client: ApiClient, repository: string | undefined, limit: number): Promise<Part> {
  const query = queryOf({ repository, limit: String(limit) });
  const answer = await client.ask<{ readonly packages: readonly PackageUsage[] }>('GET', `/usage/packages${query}`);
  const rows = answer.packages.map(({ repository: name, purl, entries, bytes, lastServedAt }) => [
    purl,
    name,
    entries,
    printSize(bytes),
    lastServedAt === undefined ? 'never' : instant(lastServedAt),
  ]);
  return { answer, table: printTable(['package', 'repository', 'entries', 'size', 'last served'], rows) };
}

const AGES: Readonly<Record<Age, string>> = {
  '1d': 'within a day',
  '7d': 'within 7 days',
  '30d': 'within 30 days',
  '90d': 'within 90 days',
  '1y': 'within a year',
  older: 'before that',
  never: 'never',
};

async function byAge(client: ApiClient, repository: string | undefined): Promise<Part> {
  type Answer = { readonly ages: readonly (EntryUsage & { readonly age: Age })[] };
  const answer = await client.ask<Answer>('GET', `/usage/ages${queryOf({ repository })}`);
  const rows = answer.ages.map(({ age, entries, bytes }) => [AGES[age], entries, printSize(bytes)]);
  return { answer, table: printTable(['last served', 'entries', 'size'], rows) };
}
