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
import { z } from 'zod';
import { INDEX_TYPE } from './media-types.js';
import { nextTarget } from './links.js';
import { KEY, repositoryIn } from './reference.js';

/** The largest list of an upstream that is read. Bytes. */
const MAX_LIST = 32 * 1024 * 1024;
/** What one page holds at the most, whatever `n` says. */
const MAX_PAGE = 10_000;
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

const upstreamList = z.looseObject({
  tags: z.array(z.string()).nullish(),
  repositories: z.array(z.string()).nullish(),
});

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
  const bytes = await content.bytes(MAX_LIST);
  // An empty page has none after it (distribution specification, "Listing Tags").
  const next = isEmptyPage(document) ? undefined : nextQuery(context.headers['link']);
  switch (document.class) {
    case 'referrers':
      return { bytes: [bytes], headers: nextLink(context.baseUrl, clientPath(document), next) };
    case 'catalog': {
      const { repositories } = readList(bytes);
      const names = isEmptyPage(document) ? [] : (repositories ?? []);
      return {
        bytes: [JSON.stringify({ repositories: names.map((name) => clientName(context.baseUrl, name)) })],
        headers: nextLink(context.baseUrl, '_catalog', next),
      };
    }
    default:
      return tagList(document, bytes.length === 0 ? undefined : (readList(bytes).tags ?? []), next, context);
  }
}

/** The tags of a list, as far as it goes: of a tag nothing else is known. */
export async function describeTags(
  { coordinates }: DocumentResource,
  content: Content,
): Promise<ReadonlyMap<string, ArtifactDescription>> {
  const name = coordinates?.name ?? '';
  const { tags } = readList(await content.bytes(MAX_LIST));
  return new Map(
    (tags ?? []).map((version) => [
      KEY.tag(name, version),
      { integrity: [], coordinates: { ecosystem: 'oci', name, version } },
    ]),
  );
}

/** Checks a list of names, or of referrers. @throws EntrepotError `upstream-unavailable` for what is none */
export async function requireList(document: DocumentResource, content: Content): Promise<void> {
  const bytes = await content.bytes(MAX_LIST);
  if (document.class === 'referrers') parseList(bytes, referrersList, 'an image index');
  else readList(bytes);
}

function tagList(
  document: DocumentResource,
  listed: readonly string[] | undefined,
  next: string | undefined,
  context: RewriteContext,
): RenderedDocument {
  const { keptKeys, baseUrl } = context;
  const prefix = document.keptBelow ?? '';
  const name = prefix.slice('tag/'.length, -':/'.length);
  const query = new URLSearchParams(document.upstreamPath.split('?', 2)[1]);
  const { n, last } = isEmptyPage(document) ? { n: 0, last: undefined } : pageOf(query);
  if (listed === undefined && [...query.keys()].some((key) => key !== 'n' && key !== 'last'))
    throw new EntrepotError('not-found', 'Only the upstream knows which page of its list this is');
  const all = listed ?? keptKeys.map((key) => key.slice(prefix.length));
  const admitted = all.filter((version) => context.admits({ ecosystem: 'oci', name, version }));
  // Some registries take no notice of `n` and `last`: then the whole list is here, and the page is ours to cut. The order
  // of those that do is their own.
  const isWhole = listed === undefined || (last !== undefined && listed.includes(last));
  const isOurs = next === undefined && (isWhole || (n !== undefined && listed.length > n));
  const sorted = isOurs ? admitted.toSorted(compare) : admitted;
  const rest = isOurs && isWhole && last !== undefined ? sorted.filter((tag) => compare(tag, last) > 0) : sorted;
  const cut = isOurs && n !== undefined && rest.length > n;
  const tags = cut ? rest.slice(0, n) : rest;
  const following = cut && n > 0 ? queryOf(n, tags.at(-1)) : next;
  const body = JSON.stringify({ name: clientName(baseUrl, document.accessName as string), tags });
  return { bytes: [body], headers: nextLink(baseUrl, clientPath(document), following) };
}

/** Tags are ASCII: their order is that of their bytes. */
function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
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

function readList(bytes: Uint8Array): z.output<typeof upstreamList> {
  return parseList(bytes, upstreamList, 'JSON with tags or repositories');
}

function parseList<List>(bytes: Uint8Array, list: z.ZodType<List>, expected: string): List {
  try {
    return list.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (error) {
    throw new EntrepotError('upstream-unavailable', `The upstream sent an invalid list: expected ${expected}`, {
      code: 'UPSTREAM_MALFORMED',
      cause: error,
    });
  }
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
