import type { Entry, EntrySelection, RenderedDocument, ListingContext, Resource } from '@entrepot/core';
import { attributesOf } from './hosted-routes.js';
import { imageIndex } from './media-types.js';
import { clientName, nextLink, queryOf } from './paging.js';
import { KEY } from './reference.js';

/** The entries of one page of a list, and one more: it says whether there is a next page. */
export function entriesOf(list: Resource): EntrySelection {
  const prefix = prefixOf(list);
  const { name, page: { n, last } = {} } = attributesOf(list);
  return {
    prefix,
    after: last === undefined ? undefined : prefix + last,
    limit: n === undefined ? undefined : n + 1,
    orEmpty: true,
    requires: list.class === 'tags' ? KEY.name(name) : undefined,
  };
}

/** Lists the tags of a name, sorted by code points. */
export async function renderTags(
  list: Resource,
  entries: AsyncIterable<Entry>,
  { baseUrl, admits }: ListingContext,
): Promise<RenderedDocument> {
  const { name } = attributesOf(list);
  const { names, next } = await pageOf(list, entries);
  const tags = names.filter((version) => admits({ ecosystem: 'oci', name, version }));
  const body = JSON.stringify({ name: clientName(baseUrl, name), tags });
  return { bytes: [body], headers: nextLink(baseUrl, `${name}/tags/list`, next) };
}

/** Lists the names under which something was pushed. */
export async function renderCatalog(
  list: Resource,
  entries: AsyncIterable<Entry>,
  { baseUrl }: ListingContext,
): Promise<RenderedDocument> {
  const { names, next } = await pageOf(list, entries);
  const body = JSON.stringify({ repositories: names.map((name) => clientName(baseUrl, name)) });
  return { bytes: [body], headers: nextLink(baseUrl, '_catalog', next) };
}

/** Lists the descriptors of what refers to a manifest. */
export async function renderReferrers(
  list: Resource,
  entries: AsyncIterable<Entry>,
  { baseUrl, admits }: ListingContext,
): Promise<RenderedDocument> {
  const { name, digest = '', artifactType } = attributesOf(list);
  const { page, names, next } = await pageOf(list, entries);
  const admitted = page.filter((_, index) => admits({ ecosystem: 'oci', name, version: names[index] }));
  const descriptors = admitted.map(({ attributes }) => attributes as { artifactType?: string });
  const wanted = descriptors.filter((one) => artifactType === undefined || one.artifactType === artifactType);
  const filter = artifactType === undefined ? '' : `artifactType=${encodeURIComponent(artifactType)}&`;
  const query = next && `?${filter}last=${encodeURIComponent(names.at(-1) ?? '')}`;
  return { bytes: [imageIndex(wanted)], headers: nextLink(baseUrl, `${name}/referrers/${digest}`, query) };
}

function prefixOf(list: Resource): string {
  const { name, digest = '' } = attributesOf(list);
  if (list.class === 'tags') return KEY.tag(name, '');
  return list.class === 'catalog' ? KEY.name('') : KEY.referrer(name, digest, '');
}

/** The entries of the page, their names in the list, and the query of the next page. */
async function pageOf(list: Resource, entries: AsyncIterable<Entry>) {
  const { n = Infinity } = attributesOf(list).page ?? {};
  const found = await Array.fromAsync(entries);
  const page = found.slice(0, n);
  const names = page.map(({ key }) => key.slice(prefixOf(list).length));
  const isLast = found.length === page.length || page.length === 0;
  return { page, names, next: isLast ? undefined : queryOf({ n, last: names.at(-1) }) };
}
