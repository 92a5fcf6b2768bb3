import { type RewriteContext } from '@entrepot/core';
import { normalisePythonVersion, pythonVersionIdentity, WorkTurns } from '@entrepot/core/formats';
import { isWheel } from './file-name.js';
import { escapeHtml } from './html-text.js';
import { filePath } from './keys.js';
import type { PageForm } from './negotiation.js';
import type { Hashes, PageFile } from './page-file.js';
import { HTML_END, htmlHead, jsonHead } from './page-text.js';
import type { PageHead } from './page.js';
import type { ProjectPage } from './project-page.js';

/** How much is handed on at once, in characters. */
const BATCH = 64 * 1024;

/** Where a provenance object is for clients; the upstream's own URL where it is not served here. */
export type ProvenanceUrl = (url: string, file: PageFile, baseUrl: string) => string;

/** What the pages of one repository have in common. */
export interface PageSettings {
  readonly provenanceUrl: ProvenanceUrl;
  /** Whether every wheel has metadata: what the upstream does not have is read out of the wheel. */
  readonly deriveMetadata: boolean;
}

/**
 * Renders a project page in `form`. Only files that policy admits are on it, and only versions that have one of them or
 * never had a file.
 */
export async function* rewritePage(
  page: ProjectPage,
  form: PageForm,
  context: RewriteContext,
  { provenanceUrl, deriveMetadata }: PageSettings,
): AsyncGenerator<string, void, undefined> {
  const { project, head } = page;
  const listing = new Listing(page, context);
  const turns = new WorkTurns();
  const isJson = form === 'json';
  let batch = isJson ? jsonHead(project, head) : htmlHead(project, head);
  let first = true;
  for (const [key, found] of page.files) {
    if (turns.over) await turns.next();
    if (!listing.admits(key, found)) continue;
    const file = deriveMetadata ? withMetadata(found) : found;
    const url = `../../${filePath(project, file)}`;
    const provenance = file.provenance && provenanceUrl(file.provenance, file, context.baseUrl);
    if (isJson) batch += (first ? '' : ',') + jsonFile(file, url, provenance);
    else batch += htmlFile(file, url, provenance);
    first = false;
    if (batch.length < BATCH) continue;
    yield batch;
    batch = '';
  }
  yield batch + (isJson ? jsonEnd(head, listing) : HTML_END);
}

/** Metadata that is read out of a wheel is offered without a hash: it is known once somebody has asked for it. */
function withMetadata(file: PageFile): PageFile {
  return file.coreMetadata === undefined && isWheel(file.filename) ? { ...file, coreMetadata: new Map() } : file;
}

/** Decides what is listed, and remembers which versions that leaves. */
class Listing {
  readonly #page: ProjectPage;
  readonly #context: RewriteContext;
  /** By identity: whether one of its files is listed. */
  readonly #versions = new Map<string, boolean>();

  constructor(page: ProjectPage, context: RewriteContext) {
    this.#page = page;
    this.#context = context;
  }

  admits(key: string, { version }: PageFile): boolean {
    const description = this.#page.get(key);
    const admitted =
      description?.coordinates !== undefined &&
      // PEP 792: nothing of a project in quarantine is offered.
      description.upstream !== 'quarantined' &&
      this.#context.admits(description.coordinates, description);
    const identity = pythonVersionIdentity(version);
    this.#versions.set(identity, admitted || this.#versions.get(identity) === true);
    return admitted;
  }

  /** Called when all files were seen. */
  keeps(version: string): boolean {
    const listed = this.#versions.get(pythonVersionIdentity(version));
    if (listed !== undefined) return listed;
    return this.#context.admits({
      ecosystem: 'pypi',
      name: this.#page.project,
      version: normalisePythonVersion(version),
    });
  }
}

function jsonFile(file: PageFile, url: string, provenance: string | undefined): string {
  const metadata = file.coreMetadata && jsonMetadata(file.coreMetadata);
  return JSON.stringify({
    filename: file.filename,
    url,
    hashes: Object.fromEntries(file.hashes),
    'requires-python': file.requiresPython,
    size: file.size,
    'upload-time': file.uploadTime,
    yanked: file.yanked,
    'gpg-sig': file.signed,
    // PEP 714: both names, the newer one for newer clients.
    'core-metadata': metadata,
    'dist-info-metadata': metadata,
    provenance,
  });
}

function jsonMetadata(hashes: Hashes): true | Record<string, string> {
  return hashes.size === 0 ? true : Object.fromEntries(hashes);
}

function jsonEnd(head: PageHead, listing: Listing): string {
  if (head.versions === undefined) return ']}';
  return `],"versions":${JSON.stringify(head.versions.filter((version) => listing.keeps(version)))}}`;
}

function htmlFile(file: PageFile, url: string, provenance: string | undefined): string {
  const hash = preferredHash(file.hashes);
  const metadata = file.coreMetadata && (preferredHash(file.coreMetadata) ?? 'true');
  const attributes: readonly (readonly [string, string | undefined])[] = [
    ['href', hash === undefined ? url : `${url}#${hash}`],
    ['data-requires-python', file.requiresPython],
    ['data-yanked', file.yanked === true ? '' : file.yanked || undefined],
    ['data-gpg-sig', file.signed?.toString()],
    ['data-core-metadata', metadata],
    ['data-dist-info-metadata', metadata],
    ['data-provenance', provenance],
  ];
  let tag = '    <a';
  for (const [name, value] of attributes) if (value !== undefined) tag += ` ${name}="${escapeHtml(value)}"`;
  return `${tag}>${escapeHtml(file.filename)}</a><br>\n`;
}

/** HTML has room for one hash: `sha256=…`, which every client knows, else the strongest. */
function preferredHash(hashes: Hashes): string | undefined {
  for (const algorithm of ['sha256', 'sha512', 'sha384', 'sha224', 'sha1', 'md5']) {
    const hex = hashes.get(algorithm);
    if (hex !== undefined) return `${algorithm}=${hex}`;
  }
  return undefined;
}
