import type { Content } from '@entrepot/core';
import { slices } from '@entrepot/core/formats';
import { Parser } from 'htmlparser2';
import { PageFormatError } from './errors.js';
import { readFile, type PageFile } from './page-file.js';
import { minorOf, type PageHead } from './page-head.js';
import type { ReadFiles } from './project-page.js';
import { headOf } from './verify.js';

/** The heading or title of an index page without links: a login page has another one. */
const HEADING = /\b(?:links|index|simple)\b/i;

/** An anchor of a page. */
interface Anchor {
  /** As it stands there; resolved against `<base>`, but not against the page. */
  readonly href: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/**
 * Reads the anchors of an HTML page, in batches, and into `meta` the contents of its `<meta name="pypi:…">`, by the part of the
 * name behind the colon.
 * @throws PageFormatError for a page that has nothing of an index: a login page
 */
export async function* readAnchors(
  content: Content,
  meta: Map<string, string>,
): AsyncGenerator<readonly Anchor[], void, undefined> {
  // Of its title and headings.
  let heading = '';
  let links = 0;
  let anchors: Anchor[] = [];
  let base: string | undefined;
  let inHeading = 0;
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        if (name === 'a') {
          const href = attributes['href']?.trim();
          if (href === undefined) return;
          anchors.push({ href: base === undefined ? href : joinReferences(base, href), attributes });
          links++;
        } else if (name === 'base') base ??= attributes['href']?.trim();
        else if (name === 'title' || name === 'h1') inHeading++;
        else if (name === 'meta') {
          const key = /^pypi:(.+)$/i.exec(attributes['name']?.trim() ?? '')?.[1]?.toLowerCase();
          if (key !== undefined && meta.size < 16) meta.set(key, attributes['content'] ?? '');
        }
      },
      onclosetag(name) {
        if (name === 'title' || name === 'h1') inHeading--;
      },
      ontext(text) {
        if (inHeading > 0 && heading.length < 1000) heading += ` ${text}`;
      },
    },
    { decodeEntities: true, lowerCaseTags: true, lowerCaseAttributeNames: true },
  );
  const decoder = new TextDecoder('utf-8');
  for await (const slice of slices(content.stream())) {
    parser.write(decoder.decode(slice, { stream: true }));
    if (anchors.length === 0) continue;
    yield anchors;
    anchors = [];
  }
  parser.end(decoder.decode());
  if (anchors.length > 0) yield anchors;
  if (meta.size > 0 || links > 0 || HEADING.test(heading)) return;
  throw new PageFormatError('it is an HTML page without links: it is no page of the Simple API');
}

/** Reads a project page in HTML (PEP 503). Only what looks like an index is one: a login page is not. @throws PageFormatError */
export async function readHtmlPage(content: Content, page: ReadFiles): Promise<PageHead> {
  const meta = new Map<string, string>();
  for await (const anchors of readAnchors(content, meta)) {
    for (const anchor of anchors) page.add(fileOf(page.project, anchor));
  }
  const status = meta.get('project-status');
  return {
    minor: minorOf(meta.get('repository-version')),
    status: status === undefined ? undefined : { status, reason: meta.get('project-status-reason') },
  };
}

/** Tells HTML by the media type, and by the first character where that says nothing: static file servers do not know these types. */
export async function isHtml(content: Content): Promise<boolean> {
  const { mediaType } = content;
  if (/[+/]json$/.test(mediaType)) return false;
  if (/[+/](?:html|xhtml\+xml)$/.test(mediaType)) return true;
  return !(await headOf(content, 256)).trimStart().startsWith('{');
}

function fileOf(project: string, { href, attributes }: Anchor): PageFile | undefined {
  const hash = href.indexOf('#');
  return readFile(project, {
    url: href,
    hashes: hash < 0 ? undefined : fragmentHashes(href.slice(hash + 1)),
    requiresPython: attributes['data-requires-python'],
    coreMetadata: metadataOf(attributes['data-core-metadata'] ?? attributes['data-dist-info-metadata']),
    yanked: attributes['data-yanked'] === '' ? true : attributes['data-yanked'],
    signed: attributes['data-gpg-sig'] === undefined ? undefined : attributes['data-gpg-sig'] === 'true',
    provenance: attributes['data-provenance'],
  });
}

/** Reads `#sha256=…`, also beside `egg=` and others. */
function fragmentHashes(fragment: string): Record<string, string> {
  return Object.fromEntries(
    fragment.split('&').map((part) => {
      const equals = part.indexOf('=');
      return [part.slice(0, Math.max(equals, 0)).toLowerCase(), part.slice(equals + 1)];
    }),
  );
}

/** Reads `true`, or one hash: `sha256=…` (PEP 658). */
function metadataOf(value: string | undefined): unknown {
  if (value === undefined) return undefined;
  return value.trim().toLowerCase() === 'true' ? true : fragmentHashes(value.trim());
}

/** Resolves `reference` against a `<base>` that may be relative itself (RFC 3986 §5.2, for the cases that occur). */
function joinReferences(base: string, reference: string): string {
  if (/^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(reference)) return reference;
  // One without a scheme is taken for one with a scheme that is then cut off.
  const scheme = base.startsWith('//') ? 'http:' : '';
  if (URL.canParse(scheme + base)) return URL.parse(reference, scheme + base)?.href.slice(scheme.length) ?? reference;
  if (reference.startsWith('/')) return reference;
  const path = base.split(/[?#]/, 1)[0] as string;
  return `${path.slice(0, path.lastIndexOf('/') + 1)}${reference}`;
}
