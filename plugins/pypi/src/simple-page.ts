import type { Content } from '@entrepot/core';
import { readHtmlPage } from './html-page.js';
import { readJsonPage } from './json-page.js';
import { ProjectPage } from './project-page.js';

/**
 * Reads a stored page, in whichever form it is. Files that no client would take for one of `project` are left out.
 * @param deriveMetadata whether metadata is read out of wheels where the upstream has none
 * @throws PageFormatError for something that is no page of the Simple API
 */
export async function readPage(content: Content, project: string, deriveMetadata: boolean): Promise<ProjectPage> {
  const page = new ProjectPage(project, deriveMetadata);
  return (await isHtmlContent(content)) ? readHtmlPage(content, page) : readJsonPage(content, page);
}

/** By the media type, and by the first character where that says nothing: static file servers do not know these types. */
export async function isHtmlContent(content: Content): Promise<boolean> {
  const { mediaType } = content;
  if (/[+/]json$/.test(mediaType)) return false;
  if (/[+/](?:html|xhtml\+xml)$/.test(mediaType)) return true;
  for await (const bytes of content.stream()) {
    const first = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 256)).toString('latin1').trim()[0];
    return first !== '{';
  }
  return true;
}
