import type Router from '@koa/router';
import { EntrepotError, escapeHtml as escape, packageUrl, type PackageCoordinates } from '@entrepot/core';
import type { Governance } from '../policy/governance.js';
import { parsePackageUrl, type Explanation, type Inquiry } from '../policy/inquiry.js';
import type { AdminAccess } from './admin-access.js';

const PREFIX = '/-/explain/';

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6877; --line: #d9dfe6; --page: #f5f7f9; --card: #fff; --mark: #0b6e6e; --bad: #a4262c }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9aa7b4; --line: #2f3a45; --page: #12181e; --card: #1a222a; --mark: #5cc8c2; --bad: #ff8a80 } }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem }
h1 { font-size: 1.4rem; overflow-wrap: anywhere }
article { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem; margin: 0 0 1rem }
h2 { font-size: 1.1rem; margin: 0 0 .5rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top; border-top: 1px solid var(--line) }
h3 { font-size: .95rem; margin: 1rem 0 .3rem } td { overflow-wrap: anywhere } .wide { overflow-x: auto }
.deny, .hold { color: var(--bad) } .soft, th { color: var(--soft); font-weight: 400 } code { overflow-wrap: anywhere }
`;

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
    ctx.set('X-Content-Type-Options', 'nosniff');
    ctx.set('Vary', 'Accept');
    if (ctx.accepts('html', 'json') === 'json') {
      ctx.body = { explanations: explanations.map(forEverybody) };
      return;
    }
    ctx.set(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    );
    ctx.type = 'text/html; charset=utf-8';
    ctx.body = render(coordinates, explanations);
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

function render(coordinates: PackageCoordinates, explanations: readonly Explanation[]): string {
  const purl = packageUrl(coordinates);
  const none = '<p class="soft">No repository that you may read serves it.</p>';
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(purl)}</title><style>${STYLE}</style></head>
<body><main>
<h1>${escape(purl)}</h1>
${explanations.map(renderOne).join('\n') || none}
<p class="soft">An operator can make an exception: <code>entrepot exceptions add --purl ${escape(shellWord(purl))} --reason … --expires 30d</code></p>
</main></body></html>
`;
}

function renderOne({
  repository,
  purl,
  exists,
  decision,
  rules,
  facts,
  kept,
  findings,
  lastDecisions,
  quarantine,
  hidden = [],
}: Explanation): string {
  const shown = rules.filter(({ state }) => state !== 'silent' && state !== 'unmatched' && state !== 'off');
  const rows = shown.map(
    ({ id, action, mode, state, reason = '' }) =>
      `<tr><td>${escape(id)}</td>${actionCell(action, state)}<td>${escape(STATES[state] ?? state)}${mode === 'audit' ? ' (audit)' : ''}</td><td>${escape(reason)}</td></tr>`,
  );
  const known = Object.entries(facts).map(
    ([name, value]) => `<tr><th scope="row">${escape(name)}</th><td>${escape(printFact(name, value))}</td></tr>`,
  );
  const advisories = findings.map(
    ({ id, severity, title = '', fixedIn }) =>
      `<tr><td>${escape(id)}</td><td>${escape(severity)}</td><td>${escape(title)}</td><td>${escape(fixedIn.join(', '))}</td></tr>`,
  );
  const last = lastDecisions.map(
    ({ at, action, rules: fired }) =>
      `<tr><td>${escape(instant(at))}</td><td class="${escape(action)}">${escape(action)}</td><td>${escape(fired.map(({ id, reason }) => `${id}: ${reason}`).join('; '))}</td></tr>`,
  );
  const left = hidden.map(
    ({ purl: version, decision: { action: what, rules: fired } }) =>
      `<tr><td><code>${escape(version)}</code></td><td class="${escape(what)}">${escape(what)}</td><td>${escape(fired.map(({ id, reason }) => `${id}: ${reason}`).join('; '))}</td></tr>`,
  );
  if (exists === false)
    return `<article>
<h2>${escape(repository)}: does not exist</h2>
<p><code>${escape(purl)}</code> is not kept here, and where it would come from knows no such version.</p>
${table('What clients met last', ['when', 'action', 'rules'], last)}
</article>`;
  const change =
    decision.nextChangeAt === undefined ? '' : ` It can change by itself at ${escape(instant(decision.nextChangeAt))}.`;
  return `<article>
<h2>${escape(repository)}: <span class="${escape(decision.action)}">${escape(decision.action)}</span></h2>
<p><code>${escape(purl)}</code> ${kept === undefined ? 'Its bytes are not here: what only they tell is not known.' : `Kept since ${escape(instant(kept.fetchedAt))}.`}${change}${quarantine === undefined ? '' : ` In quarantine: ${escape(quarantine.state)}.`}</p>
${table('Rules', ['rule', 'action', 'state', 'why'], rows)}${table('Advisories', ['advisory', 'severity', 'title', 'fixed in'], advisories)}${table('Facts', ['fact', 'value'], known)}${table('Versions that documents leave out', ['version', 'action', 'rules'], left)}${table('What clients met last', ['when', 'action', 'rules'], last)}
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

/** Only what fired denies or holds anything. */
function actionCell(action: string, state: string): string {
  if (state === 'fired') return `<td class="${escape(action)}">${escape(action)}</td>`;
  return `<td class="soft">(${escape(action)})</td>`;
}

function table(heading: string, columns: readonly string[], rows: readonly string[]): string {
  if (rows.length === 0) return '';
  const head = columns.map((column) => `<th scope="col">${column}</th>`).join('');
  return `<h3>${heading}</h3><div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
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
