import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Impact } from '../policy/impact.js';
import type { Explanation } from '../policy/inquiry.js';
import type { Simulated } from '../policy/simulate.js';
import type { JudgedBill } from '../policy/judge-bill.js';
import { apiClient, instant, queryOf, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { printAnswer } from './print-answer.js';

/** Options of the commands that ask a server about policy. Each has those that it needs. */
export interface InquiryOptions extends ServerOptions {
  readonly repository?: string;
  readonly days?: string;
  readonly csv?: boolean;
  readonly json?: boolean;
}

/**
 * Explains why a version is allowed or refused.
 * @param subject a package URL, or the URL of an explanation
 */
export async function explain(subject: string, options: InquiryOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  const purl = /\/-\/explain\/(pkg:[^?#]+)/.exec(subject)?.[1] ?? subject;
  const query = queryOf({ purl, repository: options.repository });
  const answer = await client.ask<{ readonly explanations: readonly Explanation[] }>('GET', `/explain${query}`);
  const lines = answer.explanations.flatMap((explanation) => [...explanationLines(explanation)]);
  printAnswer(
    answer,
    lines.length === 0 ? ['no repository of this server serves its ecosystem'] : lines,
    options,
    context,
  );
  return EXIT.ok;
}

function* explanationLines({ repository, purl, ...explanation }: Explanation): Generator<string> {
  const { exists, decision, rules, lastDecisions, hidden = [] } = explanation;
  if (exists === false) {
    yield `${repository}: ${purl}: does not exist: it is neither stored nor listed by the upstream`;
    return;
  }
  const until = decision.nextChangeAt === undefined ? '' : `, until ${instant(decision.nextChangeAt)}`;
  yield `${repository}: ${purl}: ${decision.action}${enforced(decision)}${until}`;
  for (const { id, action, state, reason = '' } of rules) {
    if (state === 'silent' || state === 'unmatched' || state === 'off') continue;
    yield `  ${id} (${action}): ${state}${reason === '' ? '' : `: ${reason}`}`;
  }
  const fired = (one: Pick<Explanation['decision'], 'action' | 'rules'>): string =>
    `${one.action}: ${one.rules.map(({ id, reason }) => `${id}: ${reason}`).join('; ')}`;
  for (const left of hidden) yield `  left out: ${left.purl}: ${fired(left.decision)}`;
  for (const last of lastDecisions.slice(0, 3)) yield `  at ${instant(last.at)}: ${fired(last)}`;
}

/** Tries a policy file on what was served. */
export async function simulate(file: string, options: InquiryOptions, context: CommandContext): Promise<number> {
  const text = readFileSync(path.resolve(context.cwd, file), 'utf8');
  const client = await apiClient(options, context);
  const answer = await client.ask<Simulated>('POST', `/policy/simulate${queryOf({ days: options.days })}`, text);
  const { judged, refused } = answer;
  const lines = refused.map(({ repository, purl, action, rules, callers, times }) => {
    const whom = callers.length === 0 ? '' : ` to ${callers.join(', ')}`;
    const by = reasonsOf(rules.filter((rule) => rule.action === action));
    return `${action}  ${repository}  ${purl}  ${by.join('; ')}; served ${times} times${whom}`;
  });
  const sum = `${judged} downloads were judged; the policy would refuse ${refused.length} of them`;
  printAnswer(answer, [sum, ...lines], options, context);
  return EXIT.ok;
}

/**
 * Judges a bill of materials by the policy of a server.
 * @returns `EXIT.refused` when policy refuses one of its components
 */
export async function check(file: string, options: InquiryOptions, context: CommandContext): Promise<number> {
  const text = readFileSync(path.resolve(context.cwd, file), 'utf8');
  const client = await apiClient(options, context);
  const query = queryOf({ repository: options.repository });
  const answer = await client.ask<JudgedBill>('POST', `/sbom${query}`, text);
  const { judged, refused, parts, unjudged } = answer;
  const lines = parts.map(({ purl, repository, action = 'not judged', wouldBe, rules, findings }) => {
    const place = repository === undefined ? '' : `  ${repository}`;
    const why = rules.length > 0 ? reasonsOf(rules) : findings.map(printFinding);
    return `${action}${enforced({ wouldBe })}${place}  ${purl}  ${why.join('; ')}`;
  });
  const rest = unjudged.map((name) => `not judged  ${name}`);
  const sum = `${judged} components were judged; policy refuses ${refused} of them`;
  printAnswer(answer, [...lines, ...rest, sum], options, context);
  return refused > 0 ? EXIT.refused : EXIT.ok;
}

/** Says who has a version, or what an advisory is about. @param subject a package URL or the id of an advisory */
export async function impact(subject: string, options: InquiryOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  const asked = subject.startsWith('pkg:') ? { purl: subject } : { advisory: subject };
  if (options.csv === true) {
    context.write((await client.askText(`/impact${queryOf({ ...asked, format: 'csv' })}`)).trimEnd());
    return EXIT.ok;
  }
  const answer = await client.ask<ImpactAnswer>('GET', `/impact${queryOf(asked)}`);
  const kept = answer.kept.map(
    ({ repository, purl, fetchedAt }) => `kept  ${repository}  ${purl}  since ${instant(fetchedAt)}`,
  );
  const served = answer.downloads.map(
    ({ repository, purl, caller = '-', address = '-', lastAt, times }) =>
      `served  ${repository}  ${purl}  ${caller}  ${address}  ${times} times, last ${instant(lastAt)}`,
  );
  const lines = [...kept, ...served];
  printAnswer(answer, lines.length === 0 ? ['no stored copies and no downloads'] : lines, options, context);
  return EXIT.ok;
}

interface ImpactAnswer extends Pick<Impact, 'kept'> {
  readonly downloads: readonly (Impact['downloads'][number] & { readonly purl: string })[];
}

function reasonsOf(rules: JudgedBill['parts'][number]['rules']): readonly string[] {
  return rules.map(({ id, reason }) => `${reason} (rule ${id})`);
}

function enforced({ wouldBe }: { readonly wouldBe?: string | undefined }): string {
  return wouldBe === undefined ? '' : ` (${wouldBe} if it were enforced)`;
}

function printFinding({ id, severity, fixedIn }: JudgedBill['parts'][number]['findings'][number]): string {
  return `${id} (${severity}${fixedIn.length === 0 ? '' : `, fixed in ${fixedIn.join(', ')}`})`;
}
