import type { Content } from '@entrepot/core';
import type { NewRow } from '@entrepot/core/formats';
import { readingError } from './errors.js';
import { isHtml, readHtmlPage } from './html-page.js';
import { readJsonPage } from './json-page.js';
import type { PageHead } from './page-head.js';
import { ReadFiles } from './project-page.js';

/** The key of the row with the `PageHead`. */
export const HEAD = '';

/** Parameters of the rows of a page. */
export interface PageParameters {
  readonly project: string;
  /** The key of the page, for messages. */
  readonly key: string;
}

/**
 * Reads a large project page as rows: its head, its files (`ListedFile`) by key, and keys of files by the keys of their provenance.
 * @throws EntrepotError `upstream-unavailable`, code `UPSTREAM_MALFORMED`, for a body that is no page
 */
export async function* readPageRows(
  content: Content,
  { project, key: subject }: PageParameters,
): AsyncGenerator<NewRow> {
  const { files, head } = await readPage(content, project).catch((error: unknown) => {
    throw readingError(subject, error);
  });
  yield [HEAD, JSON.stringify(head)];
  for (const [key, listed] of files.all()) yield [key, JSON.stringify(listed)];
  yield* files.attested;
}

/**
 * Reads a project page, in whichever form it is. Files that no client would take for one of `project` are left out.
 * @throws PageFormatError, JsonFormatError for something that is no page of the Simple API
 */
export async function readPage(
  content: Content,
  project: string,
): Promise<{ readonly files: ReadFiles; readonly head: PageHead }> {
  const files = new ReadFiles(project);
  const head = (await isHtml(content)) ? await readHtmlPage(content, files) : await readJsonPage(content, files);
  return { files, head };
}
