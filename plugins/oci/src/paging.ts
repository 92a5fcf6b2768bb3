import type { EntrepotError, RequestHead } from '@entrepot/core';
import { badRequest } from './errors.js';
import { repositoryIn } from './reference.js';

/** Largest number of names on a page that is made here, whatever `n` says. */
export const MAX_PAGE = 10_000;
/** The longest query that is passed on to an upstream; tokens of pages are some hundred characters long. */
const LONGEST_QUERY = 4096;

/** A part of a list. */
export interface Page {
  /** At the most so many; absent: the client did not say. */
  readonly n?: number | undefined;
  /** Only what comes after this. */
  readonly last?: string | undefined;
}

/** @throws EntrepotError `bad-request` when `n` is no number */
export function pageOf(query: URLSearchParams): Page {
  const asked = query.get('n');
  if (asked !== null && !/^\d{1,15}$/.test(asked))
    throw invalid(`n=${JSON.stringify(asked)}: expected a number of entries, 0 or more`);
  // Too large a number is no error: the client goes on by the link.
  return { n: asked === null ? undefined : Math.min(Number(asked), MAX_PAGE), last: lastOf(query) };
}

/** @throws EntrepotError `bad-request` when it is the name of nothing */
export function lastOf(query: URLSearchParams): string | undefined {
  const last = query.get('last') ?? undefined;
  if (last?.includes('\0')) throw invalid('last: expected an entry of the list, found a NUL character');
  return last;
}

/** The query that asks for a page. */
export function queryOf({ n, last }: Page, artifactType?: string): string {
  const parts = new URLSearchParams(artifactType && { artifactType });
  if (n !== undefined) parts.set('n', String(n));
  if (last !== undefined && last !== '') parts.set('last', last);
  return parts.size === 0 ? '' : `?${parts.toString()}`;
}

/**
 * The query of a list for the upstream: that of the client as it was sent, since a `Link` of the upstream that it follows may
 * hold tokens of any name.
 */
export function passedQuery({ rawQuery, query }: Pick<RequestHead, 'rawQuery' | 'query'>): string {
  if (rawQuery.length > LONGEST_QUERY)
    throw invalid(`The query has ${rawQuery.length} characters; expected ${LONGEST_QUERY} at most`);
  const n = query.get('n');
  const parts = rawQuery.split('&').filter((part) => part !== '' && !part.startsWith('ns='));
  const bounded =
    n === null || Number(n) <= MAX_PAGE ? parts : [`n=${MAX_PAGE}`, ...parts.filter((part) => !part.startsWith('n='))];
  return bounded.length === 0 ? '' : `?${bounded.join('&')}`;
}

/** A `Link` to the next page (RFC 8288), as a path: right behind every proxy that ends TLS. Without `query`: there is none. */
export function nextLink(baseUrl: string, path: string, query: string | undefined): Record<string, string> {
  // An empty one takes the place of the upstream's, which leads to the upstream.
  return { Link: query === undefined ? '' : `<${pathOf(baseUrl)}/${path}${query}>; rel="next"` };
}

/** The target of the link to the next page among those of a `Link` header (RFC 8288 §3), as it is written there. */
export function nextTarget(header: string): string | undefined {
  for (const [, target, parameters = ''] of header.matchAll(/<([^<>]*)>([^<]*)/g)) {
    const [, quoted, bare = ''] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters) ?? [];
    const relations = (quoted ?? bare).toLowerCase().split(' ');
    if (relations.includes('next')) return target;
  }
  return undefined;
}

/** The path of the repository, without a trailing slash. */
export function pathOf(baseUrl: string): string {
  return new URL(baseUrl).pathname.replace(/\/$/, '');
}

/** The name as the client spells it: at a mount that repositories share, it begins with the name of the repository. */
export function clientName(baseUrl: string, name: string): string {
  const repository = repositoryIn(baseUrl);
  return repository === undefined ? name : `${repository}/${name}`;
}

function invalid(message: string): EntrepotError {
  return badRequest('PAGINATION_NUMBER_INVALID', message);
}
