import type { Content } from '@entrepot/core';
import { slices } from '@entrepot/core/formats';
import { Parser } from 'htmlparser2';
import { PageFormatError } from './errors.js';
import { readFile, type PageFile } from './page-file.js';
import { FILE_LIMIT, minorOf } from './page.js';
import type { ProjectPage } from './project-page.js';

/** What the heading or title of an index page says where it has no links: a login page says something else. */
const HEADING = /\b(?:links|index|simple)\b/i;

/** An anchor of a page. */
export interface Anchor {
  /** As it stands there; resolved against `<base>`, but not against the page. */
  readonly href: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What is read of an HTML page. */
export interface HtmlSummary {
  /** The contents of its `<meta name="pypi:…">`, by the part of the name behind the colon. */
  readonly meta: ReadonlyMap<string, string>;
  /** What its title and headings say. */
  readonly heading: string;
}

/** The anchors of an HTML page, in batches; at the end what else it says. */
export async function* readAnchors(
  content: Content,
  summary: { meta: Map<string, string>; heading: string },
): AsyncGenerator<readonly Anchor[], void, undefined> {
  let anchors: Anchor[] = [];
  let base: string | undefined;
  let inHeading = 0;
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        if (name === 'a') {
          const href = attributes['href']?.trim();
          if (href !== undefined)
            anchors.push({ href: base === undefined ? href : joinReferences(base, href), attributes });
        } else if (name === 'base') base ??= attributes['href']?.trim();
        else if (name === 'title' || name === 'h1') inHeading++;
        else if (name === 'meta') {
          const key = /^pypi:(.+)$/i.exec(attributes['name']?.trim() ?? '')?.[1]?.toLowerCase();
          if (key !== undefined && summary.meta.size < 16) summary.meta.set(key, attributes['content'] ?? '');
        }
      },
      onclosetag(name) {
        if (name === 'title' || name === 'h1') inHeading--;
      },
      ontext(text) {
        if (inHeading > 0 && summary.heading.length < 1000) summary.heading += ` ${text}`;
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
}

/** Reads a project page in HTML (PEP 503). Only what looks like an index is one: a login page is not. @throws PageFormatError */
export async function readHtmlPage(content: Content, page: ProjectPage): Promise<ProjectPage> {
  const summary = { meta: new Map<string, string>(), heading: '' };
  let links = 0;
  for await (const anchors of readAnchors(content, summary)) {
    links += anchors.length;
    if (links > FILE_LIMIT) throw new PageFormatError(`it has more than ${FILE_LIMIT} links`);
    for (const anchor of anchors) {
      const file = fileOf(page.project, anchor);
      if (file !== undefined) page.add(file);
    }
  }
  requireIndex(summary, links);
  const status = summary.meta.get('project-status');
  const reason = summary.meta.get('project-status-reason');
  return page.settle({
    minor: minorOf(summary.meta.get('repository-version')),
    isHtml: true,
    versions: undefined,
    status: status === undefined ? undefined : { status, reason },
  });
}

/** @throws PageFormatError for a page that has nothing of an index */
export function requireIndex({ meta, heading }: HtmlSummary, links: number): void {
  if (meta.size > 0 || HEADING.test(heading)) return;
  if (links === 0) throw new PageFormatError('it is an HTML page without links: it is no page of the Simple API');
}

function fileOf(project: string, { href, attributes }: Anchor): PageFile | undefined {
  const hash = href.indexOf('#');
  return readFile(project, {
    url: href,
    hashes: hash < 0 ? [] : fragmentHashes(href.slice(hash + 1)),
    requiresPython: attributes['data-requires-python'],
    coreMetadata: metadataOf(attributes['data-core-metadata'] ?? attributes['data-dist-info-metadata']),
    yanked: attributes['data-yanked'] === '' ? true : attributes['data-yanked'],
    signed: attributes['data-gpg-sig'] === undefined ? undefined : attributes['data-gpg-sig'] === 'true',
    provenance: attributes['data-provenance'],
  });
}

/** `#sha256=…`, also beside `egg=` and others. */
function fragmentHashes(fragment: string): [string, string][] {
  return fragment.split('&').map((part) => {
    const equals = part.indexOf('=');
    return [part.slice(0, Math.max(equals, 0)).toLowerCase(), part.slice(equals + 1)];
  });
}

/** `true`, or one hash: `sha256=…` (PEP 658). */
function metadataOf(value: string | undefined): unknown {
  if (value === undefined) return undefined;
  return value.trim().toLowerCase() === 'true' ? true : Object.fromEntries(fragmentHashes(value.trim()));
}

/** `reference` resolved against a `<base>` that may be relative itself (RFC 3986 §5.2, for the cases that occur). */
export function joinReferences(base: string, reference: string): string {
  if (/^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(reference)) return reference;
  if (URL.canParse(base)) return URL.canParse(reference, base) ? new URL(reference, base).href : reference;
  if (base.startsWith('//')) {
    const joined = URL.canParse(reference, `http:${base}`) ? new URL(reference, `http:${base}`).href : undefined;
    return joined?.slice('http:'.length) ?? reference;
  }
  if (reference.startsWith('/')) return reference;
  const path = base.split(/[?#]/, 1)[0] as string;
  return `${path.slice(0, path.lastIndexOf('/') + 1)}${reference}`;
}
