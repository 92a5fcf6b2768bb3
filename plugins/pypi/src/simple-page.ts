import type { Content } from '@entrepot/core';
import { PageFormatError } from './errors.js';
import { readHtmlPage } from './html-page.js';
import { readJsonPage } from './json-page.js';
import type { PageExtent, PageHead, PagePart } from './page.js';
import type { PageFile } from './page-file.js';

/**
 * What a stored page says besides its files.
 * @throws PageFormatError for something that is no page of the Simple API
 */
export async function readHead(content: Content): Promise<PageHead> {
  const isHtml = await isHtmlContent(content);
  for await (const part of readParts(content, isHtml, '', 'head')) if (part.head !== undefined) return part.head;
  throw new PageFormatError('it is empty');
}

/**
 * The files of a stored page, in batches. Files that no client would take for one of `project` are left out.
 * @throws PageFormatError
 */
export async function* readFiles(content: Content, project: string): AsyncGenerator<readonly PageFile[]> {
  const isHtml = await isHtmlContent(content);
  for await (const part of readParts(content, isHtml, project, 'files')) if (part.files.length > 0) yield part.files;
}

/** Files and head in one pass, the head last: for what must look at all of it anyway. @throws PageFormatError */
export async function* readPage(content: Content, project: string): AsyncGenerator<PagePart> {
  yield* readParts(content, await isHtmlContent(content), project, 'all');
}

function readParts(
  content: Content,
  isHtml: boolean,
  project: string,
  extent: PageExtent,
): AsyncGenerator<PagePart, void, undefined> {
  return isHtml ? readHtmlPage(content, project, extent) : readJsonPage(content, project, extent);
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
