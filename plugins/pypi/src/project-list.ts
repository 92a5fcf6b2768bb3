import { withoutTrailingSlashes, type Content, type RewriteContext } from '@entrepot/core';
import { PageFormatError } from './errors.js';
import { escapeHtml } from './html-text.js';
import { readAnchors, requireIndex } from './html-page.js';
import { isRecord } from './json-page.js';
import { readJsonMembers } from './json-members.js';
import type { PageForm } from './negotiation.js';
import { isProjectName, normalise } from './project-name.js';
import { minorOf } from './page.js';
import { isHtmlContent } from './simple-page.js';

/** How much is handed on at once, in characters. */
const BATCH = 64 * 1024;

/** Reads the list of all projects to its end. @throws PageFormatError for something else */
export async function checkProjectList(content: Content): Promise<void> {
  const names = readNames(content);
  while ((await names.next()).done !== true);
}

/**
 * The list of all projects in `form`, as a stream: the public index has 700,000.
 * @param isServed whether a name is asked of the upstream that this list is from
 */
export async function* rewriteProjectList(
  content: Content,
  form: PageForm,
  context: RewriteContext,
  isServed: (project: string) => boolean,
): AsyncGenerator<string, void, undefined> {
  const isJson = form === 'json';
  let batch = isJson ? '{"meta":{"api-version":"1.0"},"projects":[' : HTML_HEAD;
  let first = true;
  for await (const names of readNames(content)) {
    for (const name of names) {
      const project = normalise(name);
      if (!isServed(project) || !context.admits({ ecosystem: 'pypi', name: project })) continue;
      if (isJson) batch += `${first ? '' : ','}{"name":${JSON.stringify(name)}}`;
      else batch += `    <a href="${project}/">${escapeHtml(name)}</a><br>\n`;
      first = false;
    }
    if (batch.length < BATCH) continue;
    yield batch;
    batch = '';
  }
  yield batch + (isJson ? ']}' : '  </body>\n</html>\n');
}

const HTML_HEAD = `<!DOCTYPE html>
<html>
  <head>
    <meta name="pypi:repository-version" content="1.0">
    <title>Simple index</title>
  </head>
  <body>
`;

async function* readNames(content: Content): AsyncGenerator<readonly string[], void, undefined> {
  yield* (await isHtmlContent(content)) ? readHtmlNames(content) : readJsonNames(content);
}

async function* readJsonNames(content: Content): AsyncGenerator<readonly string[], void, undefined> {
  let meta: unknown;
  const readingOf = (key: string) => (key === 'projects' ? 'elements' : key === 'meta' ? 'whole' : 'skip');
  for await (const members of readJsonMembers(content, readingOf)) {
    const names: string[] = [];
    for (const { key, value } of members) {
      if (key === 'meta') meta = value;
      else if (isRecord(value) && typeof value['name'] === 'string' && isProjectName(value['name'])) {
        names.push(value['name']);
      }
    }
    yield names;
  }
  if (!isRecord(meta)) throw new PageFormatError('it has no "meta": it is no index of the Simple API');
  minorOf(meta['api-version']);
}

async function* readHtmlNames(content: Content): AsyncGenerator<readonly string[], void, undefined> {
  const summary = { meta: new Map<string, string>(), heading: '' };
  let links = 0;
  for await (const anchors of readAnchors(content, summary)) {
    links += anchors.length;
    yield anchors.flatMap(({ href }) => nameOf(href));
  }
  requireIndex(summary, links);
  minorOf(summary.meta.get('repository-version'));
}

/** The last segment of a link: the name in its normal form. */
function nameOf(href: string): string[] {
  const path = withoutTrailingSlashes(href.split(/[?#]/, 1)[0] as string);
  const name = path.slice(path.lastIndexOf('/') + 1);
  return isProjectName(name) ? [name] : [];
}
