import type Router from '@koa/router';
import { EntrepotError, escapeHtml as escape, packageUrl, type PackageCoordinates } from '@entrepot/core';
import type { DecisionRecord } from '../drivers/sql/decision-log.js';
import type { Governance } from '../policy/governance.js';
import { parsePackageUrl, type Explanation, type Inquiry } from '../policy/inquiry.js';
import { sendPage } from '../http/page.js';
import type { AdminAccess } from './admin-access.js';

const PREFIX = '/-/explain/';

/**
 * `/-/explain/<purl>`: why a version is allowed or refused. Everybody may read it for repositories that everybody may
 * read.
 */
export function explainPage(router: Router, inquiry: Inquiry, governance: Governance, access: AdminAccess): void {
  router.get(`${PREFIX}*purl`, async (ctx) => {
    const coordinates = coordinatesOf(ctx.req.url ?? '');
    await governance.flush();
    const explanations = await inquiry.explain(coordinates, { openOnly: !(await access.isAllowed(ctx.req)) });
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Vary', 'Accept');
    if (ctx.accepts('html', 'json') === 'json') {
      ctx.body = { explanations: explanations.map(forEverybody) };
      return;
    }
    const purl = packageUrl(coordinates);
    const none = '<p class="soft">No repository that you may read serves it.</p>';
    const body = `<header><h1>${escape(purl)}</h1></header>
<main>
${explanations.map(renderOne).join('\n') || none}
<p class="soft">An operator can make an exception: <code>entrepot exceptions add --purl ${escape(shellWord(purl))} --reason … --expires 30d</code></p>
</main>`;
    sendPage(ctx, purl, body);
  });
}

/** The path as it was sent: a router's decoded one is ambiguous. */
function coordinatesOf(url: string): PackageCoordinates {
  const path = url.split('?', 1)[0] as string;
  try {
    return parsePackageUrl(path.slice(PREFIX.length));
  } catch {
    throw new EntrepotError('bad-request', `expected ${PREFIX} and a package URL such as pkg:npm/lodash@4.17.20`);
  }
}

/** Without who asked for it. */
function forEverybody(explanation: Explanation): object {
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
