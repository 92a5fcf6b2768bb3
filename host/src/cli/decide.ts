import { userInfo } from 'node:os';
import { apiClient, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';

/** Options of `exceptions add`. */
export interface ExceptionOptions extends ServerOptions {
  readonly id?: string;
  readonly purl?: readonly string[];
  readonly repository?: readonly string[];
  readonly rule?: readonly string[];
  readonly advisory?: readonly string[];
  readonly falsePositive?: boolean;
  readonly reason: string;
  readonly ticket?: string;
  readonly by?: string;
  readonly expires: string;
}

interface ListedException {
  readonly id: string;
  readonly reason: string;
  readonly scope: { readonly purl?: readonly string[]; readonly repositories?: readonly string[] };
  readonly rules?: readonly string[];
  readonly advisories?: readonly string[];
  readonly approvedBy: readonly string[];
  readonly expiresAt: number;
  readonly active: boolean;
  readonly lastUsedAt?: number;
}

const WEEK = 7 * 86_400_000;

export async function exceptionsList(options: ServerOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  const { exceptions } = (await client.ask('GET', '/exceptions')) as {
    readonly exceptions: readonly ListedException[];
  };
  for (const { id, reason, scope, rules, advisories, approvedBy, expiresAt, active, lastUsedAt } of exceptions) {
    const left = expiresAt - Date.now();
    const end = !active ? 'off, ends' : left <= 0 ? 'ended' : left < WEEK ? 'ends soon,' : 'ends';
    const what = [...(scope.purl ?? []), ...(advisories ?? [])].join(' ');
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
  const client = await apiClient(options, context);
  const made = await client.ask('POST', '/exceptions', {
    id,
    purl,
    repositories: repository,
    rules: rule,
    advisories: advisory,
    kind: falsePositive === true ? 'false-positive' : 'risk-accepted',
    reason,
    ticket,
    by: whoAmI(options),
    expires,
  });
  context.write(`added ${(made as ListedException).id}`);
  return EXIT.ok;
}

export async function exceptionsApprove(
  id: string,
  options: ServerOptions & { readonly by?: string },
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  await client.ask('POST', `/exceptions/${encodeURIComponent(id)}/approve`, { by: whoAmI(options) });
  context.write(`approved ${id}`);
  return EXIT.ok;
}

/** Switches an exception off, or on again. */
export async function exceptionsSwitch(
  id: string,
  active: boolean,
  options: ServerOptions,
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  await client.ask('PATCH', `/exceptions/${encodeURIComponent(id)}`, { active });
  context.write(`switched ${id} ${active ? 'on' : 'off'}`);
  return EXIT.ok;
}

export async function exceptionsRemove(id: string, options: ServerOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  await client.ask('DELETE', `/exceptions/${encodeURIComponent(id)}`);
  context.write(`removed ${id}`);
  return EXIT.ok;
}

interface ListedQuarantine {
  readonly repository: string;
  readonly purl: string;
  readonly state: string;
  readonly rules: readonly string[];
  readonly heldAt: number;
  readonly until?: number;
  readonly decidedBy?: string;
  readonly note?: string;
}

export async function quarantineList(
  options: ServerOptions & { readonly state?: string },
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  const query = options.state === undefined ? '' : `?state=${encodeURIComponent(options.state)}`;
  const answer = (await client.ask('GET', `/quarantine${query}`)) as {
    readonly quarantine: readonly ListedQuarantine[];
  };
  for (const { repository, purl, state, rules, heldAt, until, decidedBy, note } of answer.quarantine) {
    const why = decidedBy === undefined ? `by ${rules.join(', ')}` : `by ${decidedBy}: ${note ?? ''}`;
    context.write(
      `${state}  ${repository}  ${purl}  ${why}  since ${instant(heldAt)}${until === undefined ? '' : `, until ${instant(until)}`}`,
    );
  }
  return EXIT.ok;
}

/** Options of `quarantine release` and `quarantine deny`. */
export interface VerdictOptions extends ServerOptions {
  readonly repository: string;
  readonly reason: string;
  readonly by?: string;
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

function whoAmI({ by }: { readonly by?: string }): string {
  return by ?? userInfo().username;
}

function instant(at: number): string {
  return new Date(at).toISOString();
}
