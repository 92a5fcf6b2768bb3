import { escapeHtml as escape, packageUrl } from '@entrepot/core';
import { z } from 'zod';
import type { DecisionRecord } from '../drivers/sql/decision-log.js';
import { parsePackageUrl, type Explanation, type Inquiry } from '../policy/inquiry.js';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { purlText } from '../http/operations/schemas.js';
import { page } from '../http/page.js';
import type { AdminAccess } from './admin-access.js';
import { explanations } from './policy-operations.js';

/** The operation that explains a decision to whoever met it. */
export const EXPLAIN_PAGE = operation({
  id: 'showExplanation',
  tag: 'policy',
  summary: 'Explains why a version is allowed or refused, to people and to programs.',
  description:
    'Everybody may read it for repositories that everybody may read, and administrators for all. The package URL may stand as it is, or escaped.',
  method: 'get',
  path: '/-/explain/{purl}',
  access: 'everybody',
  parameters: z.strictObject({ purl: purlText }),
  slashes: ['purl'],
  query: 'ignored',
  replies: { 200: { description: 'The explanations.', json: explanations, texts: ['text/html'] } },
});

/** Adds the page that explains why a version is allowed or refused. */
export function explainPage(operations: Operations, inquiry: Inquiry, access: AdminAccess): void {
  operations.add(EXPLAIN_PAGE, async ({ parameters, ctx }) => {
    const coordinates = parsePackageUrl(parameters.purl);
    await inquiry.governance.flush();
    const found = await inquiry.explain(coordinates, { openOnly: !(await access.isAllowed(ctx.req)) });
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Vary', 'Accept');
    if (ctx.accepts('html', 'json') === 'json') return json(200, { explanations: found.map(forEverybody) });
    const purl = packageUrl(coordinates);
    const none = '<p class="soft">No repository that you may read serves it.</p>';
    const body = `<header><h1>${escape(purl)}</h1></header>
<main>
${found.map(renderOne).join('\n') || none}
<p class="soft">An operator can make an exception: <code>entrepot exceptions add --purl ${escape(shellWord(purl))} --reason … --expires 30d</code></p>
</main>`;
    return page(ctx, purl, body);
  });
}

/** Without who asked for it. */
function forEverybody(explanation: Explanation): Explanation {
  return {
    ...explanation,
    quarantine: explanation.quarantine && { ...explanation.quarantine, decidedBy: undefined, note: undefined },
    lastDecisions: explanation.lastDecisions.map((decision) => ({ ...decision, caller: undefined })),
  };
}

function renderOne(explanation: Explanation): string {
  const { repository, purl, exists, decision, rules, facts, kept, findings, lastDecisions, quarantine } = explanation;
  const { hidden = [] } = explanation;
  const last = lastDecisions.map((made) => [cell(instant(made.at)), ...decisionCells(made)]);
  const lastTable = table('What clients met last', ['when', 'action', 'rules'], last);
  if (exists === false)
    return `<article>
<h2>${escape(repository)}: does not exist</h2>
<p><code>${escape(purl)}</code> is not kept here, and where it would come from knows no such version.</p>
${lastTable}
</article>`;
  const shown = rules.filter(({ state }) => state !== 'silent' && state !== 'unmatched' && state !== 'off');
  const rows = shown.map(({ id, action, mode, state, reason = '' }) => [
    cell(id),
    // Only what fired denies or holds anything.
    state === 'fired' ? cell(action, action) : cell(`(${action})`, 'soft'),
    cell(`${STATES[state] ?? state}${mode === 'audit' ? ' (audit)' : ''}`),
    cell(reason),
  ]);
  const advisories = findings.map(({ id, severity, title = '', fixedIn }) =>
    [id, severity, title, fixedIn.join(', ')].map((text) => cell(text)),
  );
  const known = Object.entries(facts).map(([name, value]) => [
    `<th scope="row">${escape(name)}</th>`,
    cell(printFact(name, value)),
  ]);
  const left = hidden.map(({ purl: version, decision: made }) => [
    `<td><code>${escape(version)}</code></td>`,
    ...decisionCells(made),
  ]);
  const { action, nextChangeAt } = decision;
  const change = nextChangeAt === undefined ? '' : ` It can change by itself at ${escape(instant(nextChangeAt))}.`;
  const bytes =
    kept === undefined
      ? 'Its bytes are not here: what only they tell is not known.'
      : `Kept since ${escape(instant(kept.fetchedAt))}.`;
  const state = quarantine === undefined ? '' : ` In quarantine: ${escape(quarantine.state)}.`;
  return `<article>
<h2>${escape(repository)}: <span class="${escape(action)}">${escape(action)}</span></h2>
<p><code>${escape(purl)}</code> ${bytes}${change}${state}</p>
${table('Rules', ['rule', 'action', 'state', 'why'], rows)}
${table('Advisories', ['advisory', 'severity', 'title', 'fixed in'], advisories)}
${table('Facts', ['fact', 'value'], known)}
${table('Versions that documents leave out', ['version', 'action', 'rules'], left)}
${lastTable}
</article>`;
}

/** Labels of the states of a rule on the page; the other states are shown by their own names. */
const STATES: Readonly<Record<string, string>> = {
  fired: 'fired',
  unknown: 'not known: a fact that it asks for is missing',
  pending: 'waits for the bytes, or their reports',
  excepted: 'would have fired, but for an exception',
  grace: 'would have fired, but for its grace',
  overridden: 'would have fired, but another rule overrides it',
};

function cell(text: string, kind?: string): string {
  return `<td${kind === undefined ? '' : ` class="${escape(kind)}"`}>${escape(text)}</td>`;
}

function decisionCells({ action, rules }: Pick<DecisionRecord, 'action' | 'rules'>): string[] {
  return [cell(action, action), cell(rules.map(({ id, reason }) => `${id}: ${reason}`).join('; '))];
}

function table(heading: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const head = columns.map((column) => `<th scope="col">${column}</th>`).join('');
  const body = rows.map((cells) => `<tr>${cells.join('')}</tr>`).join('');
  return `<h3>${heading}</h3><div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/** Of a version before: which one. */
function printOne(value: unknown): string {
  return typeof value === 'object' && value !== null && 'version' in value ? String(value.version) : String(value);
}

function printFact(name: string, value: unknown): string {
  if (name.endsWith('At') && typeof value === 'number') return instant(value);
  if (Array.isArray(value)) return value.slice(0, 50).map(printOne).join(', ') || 'none';
  return typeof value === 'object' && value !== null ? JSON.stringify(value).slice(0, 500) : String(value);
}

function instant(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
