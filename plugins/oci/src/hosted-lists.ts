import { listingClass, type Entry, type ListingClass, type ListingContext } from '@entrepot/core';
import { attributesOf, type HostedAttributes, type OciHosted } from './hosted-routes.js';
import { imageIndex, INDEX_TYPE } from './media-types.js';
import { clientName, nextLink, queryOf } from './paging.js';
import { KEY } from './reference.js';

interface Listed extends Entry {
  /** In the list. */
  readonly name: string;
}

interface List extends Pick<ListingClass<OciHosted>, 'about' | 'reply'> {
  /** The start of the keys of its entries, before their names. */
  prefix(list: HostedAttributes): string;
  /** Below the repository. */
  path(list: HostedAttributes): string;
  /** The key of the entry without which there is no list. */
  requires?(list: HostedAttributes): string;
  /** Writes one page. */
  write(page: readonly Listed[], list: HostedAttributes, context: ListingContext): string;
}

/** Declares a list that is given page by page. */
function paged({ about, reply, prefix, path, requires, write }: List): ListingClass<OciHosted> {
  return listingClass<OciHosted>({
    about,
    reply,
    policy: { accessName: (resource) => attributesOf(resource).name || undefined },
    entries(resource) {
      const list = attributesOf(resource);
      const { n, last } = list.page ?? {};
      return {
        prefix: prefix(list),
        after: last === undefined ? undefined : prefix(list) + last,
        // One more: it says whether there is a next page.
        limit: n === undefined ? undefined : n + 1,
        orEmpty: true,
        requires: requires?.(list),
      };
    },
    async render(resource, entries, context) {
      const list = attributesOf(resource);
      const { n = Infinity } = list.page ?? {};
      const found = await Array.fromAsync(entries);
      const page = found.slice(0, n).map((entry) => ({ ...entry, name: entry.key.slice(prefix(list).length) }));
      const isLast = found.length === page.length || page.length === 0;
      const next = isLast ? undefined : queryOf({ n, last: page.at(-1)?.name }, list.artifactType);
      return { bytes: [write(page, list, context)], headers: nextLink(context.baseUrl, path(list), next) };
    },
  });
}

/** The lists of a hosted registry, in the order of code points. */
export const LIST_CLASSES = {
  tags: paged({
    about: 'Lists of tags.',
    reply: { mediaType: 'application/json' },
    prefix: ({ name }) => KEY.tag(name, ''),
    path: ({ name }) => `${name}/tags/list`,
    requires: ({ name }) => KEY.name(name),
    write(page, { name }, { baseUrl, admits }) {
      const tags = page.map((tag) => tag.name).filter((version) => admits({ ecosystem: 'oci', name, version }));
      return JSON.stringify({ name: clientName(baseUrl, name), tags });
    },
  }),
  referrers: paged({
    about: 'Lists of what refers to a manifest: signatures, attestations, SBOMs.',
    reply: {
      mediaType: INDEX_TYPE,
      headers: ({ variant }) => (variant === undefined ? undefined : { 'OCI-Filters-Applied': 'artifactType' }),
    },
    prefix: ({ name, digest = '' }) => KEY.referrer(name, digest, ''),
    path: ({ name, digest = '' }) => `${name}/referrers/${digest}`,
    write(page, { name, artifactType }, { admits }) {
      const admitted = page.filter((referrer) => admits({ ecosystem: 'oci', name, version: referrer.name }));
      const descriptors = admitted.map(({ attributes }) => attributes as { artifactType?: string });
      return imageIndex(descriptors.filter((one) => artifactType === undefined || one.artifactType === artifactType));
    },
  }),
  catalog: paged({
    about: 'Lists of names.',
    reply: { mediaType: 'application/json' },
    prefix: () => KEY.name(''),
    path: () => '_catalog',
    write: (page, _list, { baseUrl }) =>
      JSON.stringify({ repositories: page.map(({ name }) => clientName(baseUrl, name)) }),
  }),
};
