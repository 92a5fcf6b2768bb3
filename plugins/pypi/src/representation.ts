import { escapeHtml, type DocumentBytes, type RenderRequest } from '@entrepot/core';
import { inBatches } from '@entrepot/core/formats';
import { isWheel } from './names.js';
import { filePath } from './keys.js';
import { Listing } from './listing.js';
import { formOf } from './negotiation.js';
import type { Hashes, PageFile } from './page-file.js';
import { HTML_END, htmlHead, jsonHead, type PageHead } from './page-head.js';
import type { ProjectPage } from './project-page.js';
import type { ProvenanceUrl } from './provenance.js';

/**
 * Renders a project page in the form that is asked for. Only files that policy admits are on it, and only versions that have
 * one of them or never had a file.
 */
export function renderPage(page: ProjectPage, request: RenderRequest, pypi: Urls): DocumentBytes {
  return inBatches(printPage(page, request, pypi));
}

type Urls = { readonly provenanceUrl: ProvenanceUrl };

function* printPage(page: ProjectPage, request: RenderRequest, { provenanceUrl }: Urls): Generator<string, void> {
  const { project, head, deriveMetadata } = page;
  const isJson = formOf(request.resource) === 'json';
  const listing = new Listing(project, request);
  yield isJson ? jsonHead(project, head) : htmlHead(project, head);
  let separator = '';
  for (const [, listed] of page.files.all()) {
    const found = listed.file;
    // Nothing, too, so that others have their turn.
    if (!listing.admits(found.version, page.describeFile(listed))) yield '';
    else {
      const file = deriveMetadata ? withMetadata(found) : found;
      const url = `../../${filePath(project, file)}`;
      const provenance = file.provenance && provenanceUrl(file.provenance, file, request.baseUrl);
      yield isJson ? separator + jsonFile(file, url, provenance) : htmlFile(file, url, provenance);
      separator = ',';
    }
  }
  yield isJson ? jsonEnd(head, listing) : HTML_END;
}

/** Metadata from a wheel is offered without a hash, which is unknown until it is first requested. */
function withMetadata(file: PageFile): PageFile {
  return file.coreMetadata === undefined && isWheel(file.filename) ? { ...file, coreMetadata: true } : file;
}

function jsonFile(file: PageFile, url: string, provenance: string | undefined): string {
  return JSON.stringify({
    filename: file.filename,
    url,
    hashes: file.hashes,
    'requires-python': file.requiresPython,
    size: file.size,
    'upload-time': file.uploadTime,
    yanked: file.yanked,
    'gpg-sig': file.signed,
    // Not by its older name, `dist-info-metadata`: pip 22.3 to 23.0, which Debian 12 has, fails on a table there (PEP 714).
    'core-metadata': file.coreMetadata,
    provenance,
  });
}

function jsonEnd(head: PageHead, listing: Listing): string {
  if (head.versions === undefined) return ']}';
  return `],"versions":${JSON.stringify(head.versions.filter((version) => listing.keeps(version)))}}`;
}

function htmlFile(file: PageFile, url: string, provenance: string | undefined): string {
  const hash = preferredHash(file.hashes);
  const metadata = file.coreMetadata && (preferredHash(file.coreMetadata) ?? 'true');
  const attributes = [
    ['href', hash === undefined ? url : `${url}#${hash}`],
    ['data-requires-python', file.requiresPython],
    ['data-yanked', file.yanked === true ? '' : file.yanked || undefined],
    ['data-gpg-sig', file.signed?.toString()],
    ['data-core-metadata', metadata],
    ['data-dist-info-metadata', metadata],
    ['data-provenance', provenance],
  ] as const;
  let tag = '    <a';
  for (const [name, value] of attributes) if (value !== undefined) tag += ` ${name}="${escapeHtml(value)}"`;
  return `${tag}>${escapeHtml(file.filename)}</a><br>\n`;
}

/** Picks the one hash that HTML has room for: `sha256=…`, which every client knows, else the strongest. */
function preferredHash(hashes: Hashes | true): string | undefined {
  if (hashes === true) return undefined;
  const algorithm = ['sha256', 'sha512', 'sha384', 'sha224', 'sha1', 'md5'].find((one) => hashes[one] !== undefined);
  return algorithm && `${algorithm}=${hashes[algorithm]}`;
}
