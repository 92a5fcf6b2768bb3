import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Simulated } from '../policy/simulate.js';
import type { JudgedBill } from '../policy/judge-bill.js';
import { apiClient, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';

interface Explained {
  readonly repository: string;
  readonly purl: string;
  readonly exists?: boolean;
  readonly decision: {
    readonly action: string;
    readonly wouldBe?: string;
    readonly nextChangeAt?: number;
    readonly rules: readonly { readonly id: string; readonly reason: string }[];
  };
  readonly rules: readonly {
    readonly id: string;
    readonly action: string;
    readonly state: string;
    readonly reason?: string;
  }[];
  readonly lastDecisions: readonly {
    readonly at: number;
    readonly action: string;
    readonly rules: readonly { readonly id: string; readonly reason: string }[];
  }[];
  readonly hidden?: readonly Pick<Explained, 'purl' | 'decision'>[];
}

/**
 * Explains why a version is allowed or refused.
 * @param subject a package URL, or the URL of an explanation
 */
export async function explain(
  subject: string,
  options: ServerOptions & { readonly repository?: string; readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  const purl = /\/-\/explain\/(pkg:[^?#]+)/.exec(subject)?.[1] ?? subject;
  const query = new URLSearchParams({
    purl,
    ...(options.repository !== undefined && { repository: options.repository }),
  });
  const answer = (await client.ask('GET', `/explain?${query}`)) as { readonly explanations: readonly Explained[] };
  if (options.json === true) {
    context.write(JSON.stringify(answer, undefined, 2));
    return EXIT.ok;
  }
  if (answer.explanations.length === 0) context.write('no repository of this server serves its ecosystem');
  for (const { repository, purl: name, exists, decision, rules, lastDecisions, hidden = [] } of answer.explanations) {
    if (exists === false) {
      context.write(`${repository}: ${name}: does not exist: it is neither stored nor listed by the upstream`);
      continue;
    }
    const until = decision.nextChangeAt === undefined ? '' : `, until ${instant(decision.nextChangeAt)}`;
    const watched = decision.wouldBe === undefined ? '' : ` (${decision.wouldBe} if it were enforced)`;
    context.write(`${repository}: ${name}: ${decision.action}${watched}${until}`);
    for (const { id, action, state, reason = '' } of rules) {
      if (state === 'silent' || state === 'unmatched' || state === 'off') continue;
      context.write(`  ${id} (${action}): ${state}${reason === '' ? '' : `: ${reason}`}`);
    }
    for (const { purl: version, decision: left } of hidden) {
      context.write(
        `  left out: ${version}: ${left.action}: ${left.rules.map(({ id, reason }) => `${id}: ${reason}`).join('; ')}`,
      );
    }
    for (const { at, action, rules: fired } of lastDecisions.slice(0, 3)) {
      context.write(`  at ${instant(at)}: ${action}: ${fired.map(({ id, reason }) => `${id}: ${reason}`).join('; ')}`);
    }
  }
  return EXIT.ok;
}

/** Tries a policy file on what was served. */
export async function simulate(
  file: string,
  options: ServerOptions & { readonly days?: string; readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const text = readFileSync(path.resolve(context.cwd, file), 'utf8');
  const client = await apiClient(options, context);
  const query = new URLSearchParams({ days: options.days ?? '30' });
  const { judged, refused } = (await client.ask('POST', `/policy/simulate?${query}`, text)) as Simulated;
  if (options.json === true) {
    context.write(JSON.stringify({ judged, refused }, undefined, 2));
    return EXIT.ok;
  }
  context.write(`${judged} downloads were judged; the policy would refuse ${refused.length} of them`);
  for (const { repository, purl, action, rules, callers, times } of refused) {
    const whom = callers.length === 0 ? '' : ` to ${callers.join(', ')}`;
    const by = rules.filter((rule) => rule.action === action).map(({ id, reason }) => `${reason} (rule ${id})`);
    context.write(`${action}  ${repository}  ${purl}  ${by.join('; ')}; served ${times} times${whom}`);
  }
  return EXIT.ok;
}

/**
 * Judges a bill of materials by the policy of a server.
 * @returns `EXIT.refused` when policy refuses one of its components
 */
export async function check(
  file: string,
  options: ServerOptions & { readonly repository?: string; readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const text = readFileSync(path.resolve(context.cwd, file), 'utf8');
  const client = await apiClient(options, context);
  const query = options.repository === undefined ? '' : `?${new URLSearchParams({ repository: options.repository })}`;
  const answer = (await client.ask('POST', `/sbom${query}`, text)) as JudgedBill;
  const { judged, refused, parts, unjudged } = answer;
  const code = refused > 0 ? EXIT.refused : EXIT.ok;
  if (options.json === true) {
    context.write(JSON.stringify(answer, undefined, 2));
    return code;
  }
  for (const { purl, repository, action = 'not judged', wouldBe, rules, findings } of parts) {
    const watched = wouldBe === undefined ? '' : ` (${wouldBe} if it were enforced)`;
    const place = repository === undefined ? '' : `  ${repository}`;
    const why = rules.length > 0 ? rules.map(({ id, reason }) => `${reason} (rule ${id})`) : findings.map(printFinding);
    context.write(`${action}${watched}${place}  ${purl}  ${why.join('; ')}`);
  }
  for (const name of unjudged) context.write(`not judged  ${name}`);
  context.write(`${judged} components were judged; policy refuses ${refused} of them`);
  return code;
}

function printFinding({ id, severity, fixedIn }: JudgedBill['parts'][number]['findings'][number]): string {
  return `${id} (${severity}${fixedIn.length === 0 ? '' : `, fixed in ${fixedIn.join(', ')}`})`;
}

/** Says who has a version, or what an advisory is about. @param subject a package URL or the id of an advisory */
export async function impact(
  subject: string,
  options: ServerOptions & { readonly csv?: boolean; readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  const query = new URLSearchParams(subject.startsWith('pkg:') ? { purl: subject } : { advisory: subject });
  if (options.csv === true) {
    context.write((await client.askText(`/impact?${query}&format=csv`)).trimEnd());
    return EXIT.ok;
  }
  const answer = (await client.ask('GET', `/impact?${query}`)) as ImpactAnswer;
  if (options.json === true) {
    context.write(JSON.stringify(answer, undefined, 2));
    return EXIT.ok;
  }
  for (const { repository, purl, fetchedAt } of answer.kept)
    context.write(`kept  ${repository}  ${purl}  since ${instant(fetchedAt)}`);
  for (const { repository, purl, caller, address, lastAt, times } of answer.downloads) {
    context.write(
      `served  ${repository}  ${purl}  ${caller ?? '-'}  ${address ?? '-'}  ${times} times, last ${instant(lastAt)}`,
    );
  }
  if (answer.kept.length + answer.downloads.length === 0) context.write('no stored copies and no downloads');
  return EXIT.ok;
}

interface ImpactAnswer {
  readonly kept: readonly { readonly repository: string; readonly purl: string; readonly fetchedAt: number }[];
  readonly downloads: readonly {
    readonly repository: string;
    readonly purl: string;
    readonly caller?: string;
    readonly address?: string;
    readonly lastAt: number;
    readonly times: number;
  }[];
}

function instant(at: number): string {
  return new Date(at).toISOString();
}
