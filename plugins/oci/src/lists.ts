import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  EntrepotError,
  type ArtifactDescription,
  type ArtifactResource,
  type Content,
  type DocumentResource,
  type Entry,
  type ProduceContext,
  type ProducedFile,
  type RequestHead,
  type RenderedDocument,
  type RewriteContext,
} from '@entrepot/core';
import { sortedInTurns, WorkTurns } from '@entrepot/core/formats';
import { z } from 'zod';
import { nextTarget } from './links.js';
import { readNames } from './list-reader.js';
import { INDEX_TYPE } from './media-types.js';
import { KEY, repositoryIn } from './reference.js';

/** The largest list of names of an upstream that is read. Bytes. */
export const MAX_LIST = 32 * 1024 * 1024;
/** The largest list of referrers: an image index, of which clients read no more either. Bytes. */
export const MAX_REFERRERS = 4 * 1024 * 1024;
/** Largest number of names on a page that is made here, whatever `n` says. */
const MAX_PAGE = 10_000;
/** How many names go out as one piece. */
const PIECE = 1024;
const DEFAULT_CATALOG_PAGE = 100;
const MAX_CATALOG_PAGE = 1_000;
/** The longest query that is passed on to an upstream; tokens of pages are some hundred characters long. */
const LONGEST_QUERY = 4096;
/** How the variant of a page with `n=0` ends. */
const NOTHING = ' nothing';
/** Referrers in one page. */
const REFERRERS_PAGE = 1_000;

/** Which part of a list is asked for. */
export interface Page {
  /** At the most so many; absent: the client did not say. */
  readonly n: number | undefined;
  /** Only what comes after this. */
  readonly last: string | undefined;
}

/** @throws EntrepotError `bad-request` when `n` is no number */
export function pageOf(query: URLSearchParams): Page {
  const asked = query.get('n');
  if (asked !== null && !/^\d{1,15}$/.test(asked)) {
    throw new EntrepotError('bad-request', `n=${JSON.stringify(asked)}: expected a number of entries, 0 or more`, {
      code: 'PAGINATION_NUMBER_INVALID',
    });
  }
  // Too large a number is no error: the client goes on by the link.
  return { n: asked === null ? undefined : Math.min(Number(asked), MAX_PAGE), last: lastOf(query) };
}

/** @throws EntrepotError `bad-request` when it is the name of nothing */
export function lastOf(query: URLSearchParams): string | undefined {
  const last = query.get('last') ?? undefined;
  if (last === undefined || !last.includes('\0')) return last;
  throw new EntrepotError('bad-request', 'last: expected an entry of the list, found a NUL character', {
    code: 'PAGINATION_NUMBER_INVALID',
  });
}

function queryOf(n: number | undefined, last: string | undefined): string {
  const parts = new URLSearchParams();
  if (n !== undefined) parts.set('n', String(n));
  if (last !== undefined && last !== '') parts.set('last', last);
  return parts.size === 0 ? '' : `?${parts.toString()}`;
}

/**
 * The query of a list for the upstream: that of the client as it was sent, since a `Link` of the upstream that it follows may
 * hold tokens of any name.
 */
export function passedQuery({ rawQuery, query }: Pick<RequestHead, 'rawQuery' | 'query'>): string {
  if (rawQuery.length > LONGEST_QUERY) {
    throw new EntrepotError(
      'bad-request',
      `The query has ${rawQuery.length} characters; expected ${LONGEST_QUERY} at most`,
      {
        code: 'PAGINATION_NUMBER_INVALID',
      },
    );
  }
  const n = query.get('n');
  const parts = rawQuery.split('&').filter((part) => part !== '' && !part.startsWith('ns='));
  const bounded =
    n === null || Number(n) <= MAX_PAGE ? parts : [`n=${MAX_PAGE}`, ...parts.filter((part) => !part.startsWith('n='))];
  return bounded.length === 0 ? '' : `?${bounded.join('&')}`;
}

/** A part of an upstream's list, as clients that call it by one name get it. */
export type ListPage = Readonly<Record<'query' | 'variant', string>>;

/** Names the page of an upstream's list that a client asks for. An empty page (`n=0`) is made from the first one. */
export function listPage(head: Pick<RequestHead, 'rawQuery' | 'query'>, clientName = ''): ListPage {
  const isNothing = pageOf(head.query).n === 0;
  return { query: isNothing ? '' : passedQuery(head), variant: clientName + (isNothing ? NOTHING : '') };
}

/** List of the manifests that refer to another one, from the referrers API or under a tag: an image index, and nothing else. */
const referrersList = z.looseObject({
  mediaType: z.literal(INDEX_TYPE).optional(),
  manifests: z.array(z.looseObject({ mediaType: z.string(), digest: z.string(), size: z.number() })),
});

/**
 * A list of the upstream as clients of ours get it: with the name that they use, links that lead to us, and what policy
 * admits. Where the upstream gives none, the tags that are kept are the list.
 */
export async function rewriteList(
  document: DocumentResource,
  content: Content,
  context: RewriteContext,
): Promise<RenderedDocument> {
  // An empty page has none after it (distribution specification, "Listing Tags").
  const next = isEmptyPage(document) ? undefined : nextQuery(context.headers['link']);
  switch (document.class) {
    case 'referrers':
      return {
        bytes: [await content.bytes(MAX_REFERRERS)],
        headers: nextLink(context.baseUrl, clientPath(document), next),
      };
    case 'catalog': {
      const listed = (await readList(content)).get('repositories') ?? [];
      const { names, following } = await pageOfNames(document, listed, listed, next);
      return {
        bytes: jsonList('{"repositories":[', names, (name) => clientName(context.baseUrl, name)),
        headers: nextLink(context.baseUrl, '_catalog', following),
      };
    }
    default:
      return await tagList(document, content.size === 0 ? undefined : await readTags(content), next, context);
  }
}

/** The tags of a list that make up a page: of a tag nothing else is known. */
export async function describeTags(
  { coordinates }: DocumentResource,
  content: Content,
): Promise<ReadonlyMap<string, ArtifactDescription>> {
  const name = coordinates?.name ?? '';
  const tags = await readTags(content);
  return new Map(
    tags
      .slice(0, MAX_PAGE)
      .map((version) => [KEY.tag(name, version), { integrity: [], coordinates: { ecosystem: 'oci', name, version } }]),
  );
}

/** Checks a list of names, or of referrers. @throws EntrepotError `upstream-unavailable` for what is none */
export async function requireList(document: DocumentResource, content: Content): Promise<void> {
  if (document.class !== 'referrers') return void (await readList(content));
  const bytes = await content.bytes(MAX_REFERRERS);
  try {
    referrersList.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (error) {
    throw noList('an image index', error);
  }
}

async function tagList(
  document: DocumentResource,
  listed: readonly string[] | undefined,
  next: string | undefined,
  context: RewriteContext,
): Promise<RenderedDocument> {
  const { keptKeys, baseUrl } = context;
  const prefix = document.keptBelow ?? '';
  const name = prefix.slice('tag/'.length, -':/'.length);
  if (listed === undefined && [...queryIn(document).keys()].some((key) => key !== 'n' && key !== 'last'))
    throw new EntrepotError('not-found', 'Only the upstream knows which page of its list this is');
  const turns = new WorkTurns();
  const admitted: string[] = [];
  for (const version of listed ?? keptKeys.map((key) => key.slice(prefix.length))) {
    if (context.admits({ ecosystem: 'oci', name, version })) admitted.push(version);
    if (turns.over) await turns.next();
  }
  const { names, following } = await pageOfNames(document, admitted, listed, next);
  const start = `{"name":${JSON.stringify(clientName(baseUrl, document.accessName as string))},"tags":[`;
  return { bytes: jsonList(start, names), headers: nextLink(baseUrl, clientPath(document), following) };
}

/**
 * The page of a list that is asked for, and the query of the one after it.
 * @param names those of the list that are shown
 * @param listed the list as the upstream sent it; `undefined`: there is none, and `names` are all that there are
 */
async function pageOfNames(
  document: DocumentResource,
  names: readonly string[],
  listed: readonly string[] | undefined,
  next: string | undefined,
): Promise<{ readonly names: readonly string[]; readonly following: string | undefined }> {
  const { n = MAX_PAGE, last } = isEmptyPage(document) ? { n: 0, last: undefined } : pageOf(queryIn(document));
  // Some registries take no notice of `n` and `last`: then the whole list is here, and the page is ours to cut. The order
  // of those that do is their own.
  const isWhole = listed === undefined || (last !== undefined && listed.includes(last));
  const isOurs = next === undefined && (isWhole || listed.length > n);
  if (!isOurs) return { names, following: next };
  const rest = isWhole && last !== undefined ? names.filter((name) => compare(name, last) > 0) : names;
  const sorted = await sortedInTurns(rest, compare);
  if (sorted.length <= n) return { names: sorted, following: undefined };
  const page = sorted.slice(0, n);
  return { names: page, following: n > 0 ? queryOf(n, page.at(-1)) : undefined };
}

/** A list of names as the last member of a JSON object, a piece at a time. */
async function* jsonList(
  start: string,
  names: readonly string[],
  shown = (name: string): string => name,
): AsyncGenerator<Uint8Array> {
  const turns = new WorkTurns();
  for (let at = 0; at < names.length; at += PIECE) {
    const piece = JSON.stringify(names.slice(at, at + PIECE).map(shown)).slice(1, -1);
    yield Buffer.from((at === 0 ? start : ',') + piece);
    await turns.pause();
  }
  yield Buffer.from(names.length === 0 ? `${start}]}` : ']}');
}

/** Tags are ASCII: their order is that of their bytes. */
function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

function queryIn({ upstreamPath }: DocumentResource): URLSearchParams {
  return new URLSearchParams(upstreamPath.split('?', 2)[1]);
}

/** The path below the repository as the client spells it. */
function clientPath({ upstreamPath, accessName }: DocumentResource): string {
  const path = (upstreamPath.split('?', 1)[0] as string).replace(/^v2\//, '');
  return path.replace(/^.*\/(?=tags\/list$|referrers\/[^/]+$)/, `${accessName ?? ''}/`);
}

/** Whether nothing of the list is asked for, only whether there is one: `n=0`. */
function isEmptyPage({ variant }: DocumentResource): boolean {
  return variant?.endsWith(NOTHING) === true;
}

/** The name as the client spells it: at a mount that repositories share, it begins with the name of the repository. */
function clientName(baseUrl: string, name: string): string {
  const repository = repositoryIn(baseUrl);
  return repository === undefined ? name : `${repository}/${name}`;
}

async function readTags(content: Content): Promise<readonly string[]> {
  return (await readList(content)).get('tags') ?? [];
}

async function readList(content: Content): Promise<ReadonlyMap<string, string[]>> {
  const bytes = await content.bytes(MAX_LIST);
  try {
    return await readNames(bytes, ['tags', 'repositories']);
  } catch (error) {
    throw noList('JSON with tags or repositories', error);
  }
}

function noList(expected: string, cause: unknown): EntrepotError {
  return new EntrepotError('upstream-unavailable', `The upstream sent an invalid list: expected ${expected}`, {
    code: 'UPSTREAM_MALFORMED',
    cause,
  });
}

/** The query of the next page, from a `Link` that may be absolute, relative, or only a query. */
function nextQuery(link: string | undefined): string | undefined {
  const target = nextTarget(link ?? '');
  const at = target?.indexOf('?') ?? -1;
  return target === undefined || at < 0 ? undefined : target.slice(at).split('#', 1)[0];
}

function nextLink(baseUrl: string, path: string, query: string | undefined): Record<string, string> {
  // That of the upstream leads to the upstream.
  return query === undefined ? { Link: '' } : linkTo(baseUrl, path + query);
}

function linkTo(baseUrl: string, target: string): Record<string, string> {
  return { Link: `<${new URL(baseUrl).pathname.replace(/\/$/, '')}/${target}>; rel="next"` };
}

/**
 * What nothing refers to: an empty index, never 404 (distribution specification, "Listing Referrers"). Kept as any other
 * list, so that it is known while the upstream is down.
 */
export function noReferrers(name: string, digest: string): DocumentResource {
  return {
    kind: 'document',
    class: 'referrers',
    key: `referrers/${name}@${digest}/none`,
    upstreamPath: '',
    mediaType: INDEX_TYPE,
    freshness: { policy: 'immutable', expireAfter: Infinity },
    produced: true,
  };
}

/** Makes the body of `noReferrers`. */
export async function produceNoReferrers(
  { key }: ArtifactResource | DocumentResource,
  { folder }: ProduceContext,
): Promise<readonly ProducedFile[]> {
  const path = join(folder, 'index.json');
  await writeFile(path, indexOf([]));
  return [{ key, path, mediaType: INDEX_TYPE }];
}

function indexOf(manifests: readonly unknown[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests });
}

/** The tags of a name, sorted by code points. */
export function tagsDocument(name: string, { n, last }: Page): DocumentResource {
  const prefix = KEY.tag(name, '');
  return {
    kind: 'document',
    class: 'tags',
    key: `tags/${name}${queryOf(n, last)}`,
    upstreamPath: '',
    accessName: name,
    mediaType: 'application/json',
    variant: n === undefined ? undefined : String(n),
    // One more than asked for says whether there is a next page.
    fromEntries: {
      prefix,
      after: last === undefined ? undefined : prefix + last,
      limit: n === undefined ? undefined : n + 1,
      orEmpty: true,
      requires: KEY.name(name),
    },
  };
}

/** The names under which something was pushed. */
export function catalogDocument({ n: asked, last }: Page): DocumentResource {
  const n = Math.min(asked ?? DEFAULT_CATALOG_PAGE, MAX_CATALOG_PAGE);
  return {
    kind: 'document',
    class: 'catalog',
    key: `catalog${queryOf(n, last)}`,
    upstreamPath: '',
    mediaType: 'application/json',
    variant: String(n),
    fromEntries: {
      prefix: KEY.name(''),
      after: last === undefined ? undefined : KEY.name(last),
      limit: n + 1,
      orEmpty: true,
    },
  };
}

/** What refers to a manifest. */
export function referrersDocument(
  name: string,
  digest: string,
  artifactType: string | undefined,
  last: string | undefined,
): DocumentResource {
  const prefix = `referrer/${name}@${digest}/`;
  return {
    kind: 'document',
    class: 'referrers',
    key: `referrers/${name}@${digest}`,
    upstreamPath: '',
    accessName: name,
    mediaType: INDEX_TYPE,
    variant: artifactType,
    replyHeaders: artifactType === undefined ? undefined : { 'OCI-Filters-Applied': 'artifactType' },
    fromEntries: {
      prefix,
      after: last === undefined ? undefined : prefix + last,
      limit: REFERRERS_PAGE + 1,
      orEmpty: true,
    },
  };
}

/** Makes the body of one of these documents. */
export async function renderList(
  document: DocumentResource,
  entries: AsyncIterable<Entry>,
  { baseUrl }: RewriteContext,
): Promise<RenderedDocument> {
  const prefix = document.fromEntries?.prefix ?? '';
  const found: Entry[] = [];
  for await (const entry of entries) found.push(entry);
  const limit = document.fromEntries?.limit;
  const page = limit === undefined ? found : found.slice(0, limit - 1);
  const names = page.map(({ key }) => key.slice(prefix.length));
  const more = limit !== undefined && found.length >= limit && page.length > 0;
  const last = names.at(-1);
  switch (document.class) {
    case 'tags': {
      const name = document.accessName as string;
      const headers = more ? linkTo(baseUrl, `${name}/tags/list${queryOf(page.length, last)}`) : {};
      return { bytes: [JSON.stringify({ name: clientName(baseUrl, name), tags: names })], headers };
    }
    case 'catalog': {
      const headers = more ? linkTo(baseUrl, `_catalog${queryOf(page.length, last)}`) : {};
      return { bytes: [JSON.stringify({ repositories: names.map((name) => clientName(baseUrl, name)) })], headers };
    }
    default: {
      const descriptors = page.map(({ attributes }) => attributes as { artifactType?: string });
      const wanted = descriptors.filter(
        ({ artifactType }) => document.variant === undefined || artifactType === document.variant,
      );
      const type = document.variant === undefined ? '' : `artifactType=${encodeURIComponent(document.variant)}&`;
      const path = document.key.replace(/^referrers\/(.*)@/, '$1/referrers/');
      const headers = more ? linkTo(baseUrl, `${path}?${type}last=${encodeURIComponent(last as string)}`) : {};
      return { bytes: [indexOf(wanted)], headers };
    }
  }
}
