import type { AuditPage } from '../admin/audit-routes.js';
import { apiClient, instant, queryOf, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { printAnswer } from './print-answer.js';
import { wholeNumber } from './whole-number.js';

export interface AuditOptions extends ServerOptions {
  readonly kind?: string;
  readonly event?: string;
  readonly actor?: string;
  readonly address?: string;
  readonly repository?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

/** The most records that the server gives at once. */
const PAGE = 1_000;
/** The records that are printed where nobody says how many. */
const USUAL = 100;

/** Prints the audit log, the newest record first. */
export async function audit(options: AuditOptions, context: CommandContext): Promise<number> {
  const { kind, event, actor, address, repository, since, until } = options;
  const wanted = wholeNumber(options.limit, '--limit') ?? USUAL;
  const client = await apiClient(options, context);
  const records: AuditPage['records'] = [];
  for (let after: string | undefined; records.length < wanted;) {
    const limit = String(Math.min(PAGE, wanted - records.length));
    const query = queryOf({ kind, event, actor, address, repository, since, until, after, limit });
    const page = await client.ask<AuditPage>('GET', `/audit${query}`);
    records.push(...page.records);
    after = page.next;
    if (after === undefined) break;
  }
  printAnswer({ records }, records.map(lineOf), options, context);
  return EXIT.ok;
}

function lineOf({
  at,
  event,
  actor = '-',
  address = '-',
  repository,
  subject,
  times,
}: AuditPage['records'][number]): string {
  const what = [repository, subject].filter((one) => one !== undefined).join('  ');
  return `${instant(at)}  ${event}  ${actor}  ${address}  ${what}${times > 1 ? `  ${times} times` : ''}`;
}
