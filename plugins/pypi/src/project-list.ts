import { escapeHtml, withoutTrailingSlashes } from '@entrepot/core';
import type { Content, DocumentBytes, RenderRequest } from '@entrepot/core';
import { eachOf, inBatches, isRecord, readJsonSteps, SKIP } from '@entrepot/core/formats';
import { PageFormatError, readingError } from './errors.js';
import { isHtml, readAnchors } from './html-page.js';
import { coordinatesOf } from './keys.js';
import { formOf } from './negotiation.js';
import { HTML_END, htmlStart, minorOf } from './page-head.js';
import { isProjectName, normalise } from './names.js';

/** Reads the list of all projects to its end. @throws PageFormatError, JsonFormatError */
export async function checkProjectList(content: Content): Promise<void> {
  const names = readNames(content);
  while ((await names.next()).done !== true);
}

/**
 * Renders the list of all projects, as a stream: the public index has 700,000.
 * @param isServed whether a name is asked of the upstream that this list is from
 */
export function renderProjectList(request: RenderRequest, isServed: (project: string) => boolean): DocumentBytes {
  return inBatches(printList(request, isServed));
}

async function* printList(
  { content, resource, admits }: RenderRequest,
  isServed: (project: string) => boolean,
): AsyncGenerator<string, void> {
  const isJson = formOf(resource) === 'json';
  yield isJson ? '{"meta":{"api-version":"1.0"},"projects":[' : htmlStart('Simple index', 0);
  let separator = '';
  try {
    for await (const names of readNames(content)) {
      let text = '';
      for (const name of names) {
        const project = normalise(name);
        if (!isServed(project) || !admits(coordinatesOf(project))) continue;
        if (isJson) text += `${separator}{"name":${JSON.stringify(name)}}`;
        else text += `    <a href="${project}/">${escapeHtml(name)}</a><br>\n`;
        separator = ',';
      }
      yield text;
    }
  } catch (error) {
    // A stored list was checked; one that is malformed all the same is not passed on as if it were whole.
    throw readingError(resource.key, error);
  }
  yield isJson ? ']}' : HTML_END;
}

async function* readNames(content: Content): AsyncGenerator<readonly string[]> {
  yield* (await isHtml(content)) ? readHtmlNames(content) : readJsonNames(content);
}

async function* readJsonNames(content: Content): AsyncGenerator<readonly string[]> {
  const found: { meta?: unknown; names: string[] } = { names: [] };
  const takeName = (name: unknown): void => {
    if (typeof name === 'string' && isProjectName(name)) found.names.push(name);
  };
  const projects = eachOf({ member: (key) => (key === 'name' ? takeName : SKIP) });
  const steps = readJsonSteps(content, (key) => {
    if (key === 'projects') return projects;
    return key === 'meta' ? (value) => void (found.meta = value) : SKIP;
  });
  for await (const _ of steps) {
    yield found.names;
    found.names = [];
  }
  if (!isRecord(found.meta)) throw new PageFormatError('it has no "meta": it is no index of the Simple API');
  minorOf(found.meta['api-version']);
}

async function* readHtmlNames(content: Content): AsyncGenerator<readonly string[]> {
  const meta = new Map<string, string>();
  for await (const anchors of readAnchors(content, meta)) yield anchors.flatMap(({ href }) => nameOf(href));
  minorOf(meta.get('repository-version'));
}

/** Reads the last segment of a link: the name in its normal form. */
function nameOf(href: string): string[] {
  const path = withoutTrailingSlashes(href.split(/[?#]/, 1)[0] as string);
  const name = path.slice(path.lastIndexOf('/') + 1);
  return isProjectName(name) ? [name] : [];
}
