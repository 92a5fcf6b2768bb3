import type { KeptException } from '../drivers/sql/exception-store.js';
import type { Quarantined } from '../drivers/sql/quarantine-store.js';
import { apiClient, instant, queryOf, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { whoAmI } from './who-am-i.js';

/** Options of the commands that decide. */
export interface DecisionOptions extends ServerOptions {
  readonly by?: string;
}

/** Options of `exceptions add`. */
export interface ExceptionOptions extends DecisionOptions {
  readonly id?: string;
  readonly purl?: readonly string[];
  readonly repository?: readonly string[];
  readonly rule?: readonly string[];
  readonly advisory?: readonly string[];
  readonly falsePositive?: boolean;
  readonly reason: string;
  readonly ticket?: string;
  readonly expires: string;
}

const WEEK = 7 * 86_400_000;

/** Options of `exceptions list`. */
export interface ListOptions extends ServerOptions {
  readonly active?: boolean;
  readonly endsWithin?: string;
  readonly advisory?: string;
  readonly kind?: string;
}

export async function exceptionsList(options: ListOptions, context: CommandContext): Promise<number> {
  const { active, endsWithin, advisory, kind, ...server } = options;
  const client = await apiClient(server, context);
  const query = queryOf({ active: active === true ? 'true' : undefined, endsWithin, advisory, kind });
  type Answer = { readonly exceptions: readonly KeptException[] };
  const { exceptions } = await client.ask<Answer>('GET', `/exceptions${query}`);
  for (const { id, reason, scope, rules, advisories = [], approvedBy, expiresAt, active, lastUsedAt } of exceptions) {
    const left = expiresAt - Date.now();
    const end = !active ? 'off, ends' : left <= 0 ? 'ended' : left < WEEK ? 'ends soon,' : 'ends';
    const what = [...(scope.purl ?? []), ...advisories].join(' ');
    const used = lastUsedAt === undefined ? 'never used' : `last used ${instant(lastUsedAt)}`;
    const whom = `by ${approvedBy.join(', ')}`;
    context.write(
      `${id}  ${what}  rules ${rules?.join(', ') ?? 'all'}  ${whom}  ${end} ${instant(expiresAt)}  ${used}  ${reason}`,
    );
  }
  return EXIT.ok;
}

export async function exceptionsAdd(options: ExceptionOptions, context: CommandContext): Promise<number> {
  const { id, purl, repository, rule, advisory, falsePositive, reason, ticket, expires } = options;
  const kind = falsePositive === true ? 'false-positive' : 'risk-accepted';
  const form = { id, purl, repositories: repository, rules: rule, advisories: advisory, kind, reason, ticket, expires };
  const client = await apiClient(options, context);
  const made = await client.ask<KeptException>('POST', '/exceptions', { ...form, by: whoAmI(options) });
  context.write(`added ${made.id}`);
  return EXIT.ok;
}

export async function exceptionsApprove(
  id: string,
  options: DecisionOptions,
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  await client.ask('POST', `${exceptionPath(id)}/approve`, { by: whoAmI(options) });
  context.write(`approved ${id}`);
  return EXIT.ok;
}

/** Prints an exception as it is kept. */
export async function exceptionsShow(id: string, options: ServerOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  context.write(JSON.stringify(await client.ask('GET', exceptionPath(id)), undefined, 2));
  return EXIT.ok;
}

/** Options of `exceptions change`. */
export interface ChangeOptions extends DecisionOptions {
  readonly expires?: string;
  readonly reason?: string;
  readonly ticket?: string;
}

export async function exceptionsChange(id: string, options: ChangeOptions, context: CommandContext): Promise<number> {
  const { expires, reason, ticket } = options;
  const client = await apiClient(options, context);
  const changed = await client.ask<KeptException>('PATCH', exceptionPath(id), {
    expires,
    reason,
    ticket,
    by: whoAmI(options),
  });
  context.write(`changed ${id}: ends ${instant(changed.expiresAt)}, approved by ${changed.approvedBy.join(', ')}`);
  return EXIT.ok;
}

/** Switches an exception off, or on again. */
export async function exceptionsSwitch(
  to: 'on' | 'off',
  id: string,
  options: ServerOptions,
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  await client.ask('PATCH', exceptionPath(id), { active: to === 'on' });
  context.write(`switched ${id} ${to}`);
  return EXIT.ok;
}

export async function exceptionsRemove(id: string, options: ServerOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  await client.ask('DELETE', exceptionPath(id));
  context.write(`removed ${id}`);
  return EXIT.ok;
}

export async function quarantineList(
  options: ServerOptions & { readonly state?: string },
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  type Answer = { readonly quarantine: readonly (Quarantined & { readonly purl: string })[] };
  const { quarantine } = await client.ask<Answer>('GET', `/quarantine${queryOf({ state: options.state })}`);
  for (const { repository, purl, state, rules, heldAt, until, decidedBy, note } of quarantine) {
    const why = decidedBy === undefined ? `by ${rules.join(', ')}` : `by ${decidedBy}: ${note ?? ''}`;
    const end = until === undefined ? '' : `, until ${instant(until)}`;
    context.write(`${state}  ${repository}  ${purl}  ${why}  since ${instant(heldAt)}${end}`);
  }
  return EXIT.ok;
}

/** Options of `quarantine release` and `quarantine deny`. */
export interface VerdictOptions extends DecisionOptions {
  readonly repository: string;
  readonly reason: string;
  readonly expires?: string;
}

export async function quarantineDecide(
  verdict: 'release' | 'deny',
  purl: string,
  options: VerdictOptions,
  context: CommandContext,
): Promise<number> {
  const { repository, reason, expires } = options;
  const client = await apiClient(options, context);
  const end = verdict === 'release' ? { expires } : {};
  await client.ask('POST', `/quarantine/${verdict}`, { repository, purl, reason, by: whoAmI(options), ...end });
  context.write(`${verdict === 'release' ? 'released' : 'denied'} ${purl} in ${repository}`);
  return EXIT.ok;
}

function exceptionPath(id: string): string {
  return `/exceptions/${encodeURIComponent(id)}`;
}
