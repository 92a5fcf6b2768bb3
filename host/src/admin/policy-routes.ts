import { EntrepotError, packageUrl, type PackageCoordinates } from '@entrepot/core';
import { json, text } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { checkDocument } from '../policy/policy-document.js';
import { impactOf, type Impact } from '../policy/impact.js';
import { parsePackageUrl, type Inquiry } from '../policy/inquiry.js';
import { simulatePolicy } from '../policy/simulate.js';
import { POLICY } from './policy-operations.js';

/** Adds questions on what policy does, did, and would do. */
export function policyRoutes(operations: Operations, inquiry: Inquiry): void {
  const { governance } = inquiry;
  operations.add(POLICY.get, () => json(200, governance.policy.status()));
  operations.add(POLICY.simulate, async ({ body, query: { days } }) => {
    const { document, problems } = checkDocument(body, 'policy');
    if (problems !== undefined)
      throw new EntrepotError('bad-request', problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
    return json(200, await simulatePolicy(inquiry, document, days));
  });
  operations.add(POLICY.decisions, async ({ query: { purl, repository, limit } }) => {
    const coordinates = purl === undefined ? undefined : parsePackageUrl(purl);
    await governance.flush();
    return json(200, { decisions: await governance.decisions.list({ coordinates, repository, limit }) });
  });
  operations.add(POLICY.explain, async ({ query: { purl, repository } }) => {
    const coordinates = parsePackageUrl(purl);
    await governance.flush();
    return json(200, { explanations: await inquiry.explain(coordinates, { repository }) });
  });
  operations.add(POLICY.impact, async ({ query: { purl, advisory, vuln, format } }) => {
    const named = advisory ?? vuln;
    if ((purl === undefined) === (named === undefined))
      throw new EntrepotError('bad-request', 'expected either purl or advisory');
    await governance.flush();
    const impact = await impactOf(
      inquiry,
      purl === undefined ? { advisory: named as string } : { coordinates: parsePackageUrl(purl) },
    );
    if (format === 'csv') return text(200, 'text/csv; charset=utf-8', csvOf(impact));
    return json(200, { ...impact, downloads: impact.downloads.map(withPurl) });
  });
}

/** Adds the package URL to something with coordinates. */
export function withPurl<T extends { readonly coordinates: PackageCoordinates }>(one: T) {
  return { ...one, purl: packageUrl(one.coordinates) };
}

function csvOf({ downloads }: Impact): string {
  const lines = downloads.map(({ repository, coordinates, digest, caller, address, firstAt, lastAt, times }) => {
    const instants = [firstAt, lastAt].map((at) => new Date(at).toISOString());
    const cells = [repository, packageUrl(coordinates), digest, caller, address, ...instants, String(times)];
    return cells.map(cell).join(',');
  });
  return `${['repository,purl,digest,caller,address,first,last,times', ...lines].join('\r\n')}\r\n`;
}

/** RFC 4180; and what a spreadsheet would take for a formula is text. */
function cell(value = ''): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
