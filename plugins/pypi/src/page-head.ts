import { escapeHtml } from '@entrepot/core';
import { PageFormatError } from './errors.js';
import type { PageForm } from './negotiation.js';

/** The newest version of the Simple API that is spoken here. */
const NEWEST_MINOR = 4;

/** Metadata of a page besides its files. */
export interface PageHead {
  /** Minor of the API version 1.x that the upstream speaks. */
  readonly minor: number;
  /** PEP 792. */
  readonly status?: { readonly status: string; readonly reason: string | undefined } | undefined;
  /** As the upstream spells them (PEP 700). Pages in HTML have none. */
  readonly versions?: readonly string[] | undefined;
}

/** The end of a page in HTML, behind its files. */
export const HTML_END = '  </body>\n</html>\n';

/** Reads the minor of an API version. @throws PageFormatError for a major that is not 1: its meaning is unknown (PEP 629) */
export function minorOf(version: unknown): number {
  const found = typeof version === 'string' ? /^(\d+)\.(\d+)$/.exec(version.trim()) : null;
  if (found === null) return 0;
  if (found[1] !== '1') throw new PageFormatError(`it has API version ${found[1]}.x; expected 1.x`);
  return Number(found[2]);
}

/** Prints the page of a project without files. */
export function emptyPage(project: string, form: PageForm): string {
  const head: PageHead = { minor: 0 };
  return form === 'json' ? `${jsonHead(project, head)}]}` : htmlHead(project, head) + HTML_END;
}

/** Prints the beginning of a page in JSON, up to its files. */
export function jsonHead(project: string, head: PageHead): string {
  // PEP 700: 1.1 promises versions and sizes, which an HTML page does not have.
  const minor = head.versions === undefined ? 0 : Math.min(head.minor, NEWEST_MINOR);
  const status = head.status === undefined ? '' : `"project-status":${JSON.stringify(head.status)},`;
  return `{"meta":{"api-version":"1.${minor}"},"name":${JSON.stringify(project)},${status}"files":[`;
}

/** Prints the beginning of a page in HTML, up to its files. */
export function htmlHead(project: string, { minor, status }: PageHead): string {
  const title = `Links for ${project}`;
  const shown = { 'project-status': status?.status, 'project-status-reason': status?.reason };
  return `${htmlStart(title, Math.min(minor, NEWEST_MINOR), shown)}    <h1>${title}</h1>\n`;
}

/** Prints the beginning of a page in HTML, up to the inside of its body. */
export function htmlStart(
  title: string,
  minor: number,
  more: Readonly<Record<string, string | undefined>> = {},
): string {
  let meta = '';
  for (const [name, text] of Object.entries({ 'repository-version': `1.${minor}`, ...more })) {
    if (text !== undefined) meta += `    <meta name="pypi:${name}" content="${escapeHtml(text)}">\n`;
  }
  return `<!DOCTYPE html>
<html>
  <head>
${meta}    <title>${title}</title>
  </head>
  <body>
`;
}
