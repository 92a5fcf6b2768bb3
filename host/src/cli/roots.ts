import type { RefreshAnswer } from '../admin/roots-routes.js';
import type { ListedRoot } from '../roots/root-refresher.js';
import { apiClient, instant, queryOf, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { printTable } from './table.js';

/** Options of the commands for roots. */
export interface RootsOptions extends ServerOptions {
  readonly json?: boolean;
}

/** Lists the roots of a repository, or of all. */
export async function listRoots(
  repository: string | undefined,
  { json, ...options }: RootsOptions,
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  const answer = await client.ask<{ readonly roots: readonly ListedRoot[] }>('GET', `/roots${queryOf({ repository })}`);
  if (json === true) context.write(JSON.stringify(answer, undefined, 2));
  else if (answer.roots.length === 0) context.write('no client has asked for any root yet');
  else
    context.write(printTable(['repository', 'root', 'state', 'published', 'dated', 'error'], answer.roots.map(rowOf)));
  return EXIT.ok;
}

/**
 * Has a server ask the upstream for a root now.
 * @returns `EXIT.failed` when what the upstream has could not be published
 */
export async function refreshRoot(
  repository: string,
  root: string | undefined,
  { json, ...options }: RootsOptions,
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  const form = { repository, root: root === undefined || root === '.' ? '' : root };
  let answer: RefreshAnswer;
  do answer = await client.ask<RefreshAnswer>('POST', '/roots/refresh', form);
  while (answer.running);
  const { state, generation, publishedAt, error } = answer.root as ListedRoot;
  const since = publishedAt === undefined ? '' : `, published at ${instant(publishedAt)}`;
  const lines = [`${repository}/${form.root}: ${state}, generation ${generation ?? 'none'}${since}`];
  if (error !== undefined) lines.push(error);
  context.write(json === true ? JSON.stringify(answer.root, undefined, 2) : lines.join('\n'));
  return state === 'active' ? EXIT.ok : EXIT.failed;
}

function rowOf({ repository, name, state, publishedAt, date, error = '' }: ListedRoot): readonly string[] {
  const time = (at: number | undefined): string => (at === undefined ? '' : instant(at));
  return [repository, name || '.', state, time(publishedAt), time(date), error];
}
