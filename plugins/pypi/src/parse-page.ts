import type { Content } from '@entrepot/core';
import { isHtml, readHtmlPage } from './html-page.js';
import { readJsonPage } from './json-page.js';
import { ProjectPage } from './project-page.js';

/**
 * Reads a project page, in whichever form it is. Files that no client would take for one of `project` are left out.
 * @param deriveMetadata whether metadata is read out of wheels where the upstream has none
 * @throws PageFormatError for something that is no page of the Simple API
 */
export async function parsePage(content: Content, project: string, deriveMetadata: boolean): Promise<ProjectPage> {
  const page = new ProjectPage(project, deriveMetadata);
  page.head = (await isHtml(content)) ? await readHtmlPage(content, page) : await readJsonPage(content, page);
  return page;
}
