import { escapeHtml } from './html-text.js';
import type { PageForm } from './negotiation.js';
import { NEWEST_MINOR, type PageHead } from './page.js';

/** What stands behind the files of a page in HTML. */
export const HTML_END = '  </body>\n</html>\n';

/** The page of a project without files. */
export function emptyPage(project: string, form: PageForm): string {
  const head: PageHead = { minor: 0, isHtml: true, status: undefined, versions: undefined };
  return form === 'json' ? `${jsonHead(project, head)}]}` : htmlHead(project, head) + HTML_END;
}

/** The beginning of a page in JSON, up to its files. */
export function jsonHead(project: string, head: PageHead): string {
  // PEP 700: 1.1 promises versions and sizes, which an HTML page does not have.
  const minor = head.versions === undefined ? 0 : Math.min(head.minor, NEWEST_MINOR);
  const status = head.status === undefined ? '' : `"project-status":${JSON.stringify(head.status)},`;
  return `{"meta":{"api-version":"1.${minor}"},"name":${JSON.stringify(project)},${status}"files":[`;
}

/** The beginning of a page in HTML, up to its files. */
export function htmlHead(project: string, head: PageHead): string {
  const minor = Math.min(head.minor, NEWEST_MINOR);
  const meta = [['pypi:repository-version', `1.${minor}`]];
  if (head.status !== undefined) meta.push(['pypi:project-status', head.status.status]);
  if (head.status?.reason !== undefined) meta.push(['pypi:project-status-reason', head.status.reason]);
  const tags = meta.map(([name = '', text = '']) => `    <meta name="${name}" content="${escapeHtml(text)}">\n`);
  return `<!DOCTYPE html>
<html>
  <head>
${tags.join('')}    <title>Links for ${project}</title>
  </head>
  <body>
    <h1>Links for ${project}</h1>
`;
}
