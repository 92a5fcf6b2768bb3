import {
  EntrepotError,
  type Content,
  type Entry,
  type JoinedPiece,
  listingClass,
  type ListingClass,
  type Resource,
} from '@entrepot/core';
import { readValues, templatesJson } from './chart-archive.js';
import { inOrder } from './chart-parts.js';
import { chartFileName } from './chart-url.js';
import { attributesOf, policy, type HelmHosted } from './hosted.js';
import {
  CHART_LIST,
  entryJson,
  findVersion,
  IndexJoiner,
  INDEXES,
  jsonFragment,
  YAML_INDEX,
  type IndexEntry,
  type IndexForm,
  type IndexHead,
} from './index-fragment.js';
import { KEY } from './keys.js';
import { readVersions, versionsOf, withPrefix } from './read-versions.js';
import { welcomePage } from './welcome.js';

type Given = Parameters<ListingClass<HelmHosted>['render']>;

const entries = {
  none: () => ({ prefix: '', limit: 0 }),
  ofTenant: (resource: Resource) => ({ prefix: KEY.versions(attributesOf(resource).tenant, ''), orEmpty: true }),
  /** The parts of a chart, besides its first one. */
  ofChart(resource: Resource) {
    const { tenant, name } = attributesOf(resource);
    return { prefix: `${KEY.versions(tenant, name)}/`, orEmpty: true };
  },
};

/** Replies of `/api`. */
const reply = { mediaType: 'application/json', headers: (_resource: Resource, self: HelmHosted) => self.apiHeaders };
const ofChart = { reply, policy, entries: entries.ofChart };

/** The classes of documents that are made from what is stored. */
export const LISTING_CLASSES = {
  index: listingClass<HelmHosted>({
    about: 'Indexes: `index.yaml`.',
    reply: { mediaType: (_resource, { options }) => INDEXES[options.index].mediaType },
    ...listsCharts(({ options }) => INDEXES[options.index]),
  }),
  listing: listingClass<HelmHosted>({
    about: 'Lists of the charts of a hosted repository: `/api/charts`.',
    reply,
    ...listsCharts(() => CHART_LIST),
  }),
  versions: listingClass<HelmHosted>({
    about: 'Lists of the versions of a chart of a hosted repository: `/api/charts/<name>`.',
    ...ofChart,
    async render(...given) {
      const versions = await shownOf(await partsOf(...given), ...given);
      if (versions.length === 0) throw new EntrepotError('not-found', 'chart not found');
      return [`[${jsonFragment(versions).toString()}]`];
    },
  }),
  version: listingClass<HelmHosted>({
    about: 'Versions of charts of a hosted repository: `/api/charts/<name>/<version>`.',
    ...ofChart,
    render: async (...given) => [entryJson(await versionOf(...given))],
  }),
  templates: listingClass<HelmHosted>({
    about: 'Templates of charts of a hosted repository: `/api/charts/<name>/<version>/templates`.',
    ...ofChart,
    render: async (...given) => templatesJson((await archiveOf(...given)).stream()),
  }),
  values: listingClass<HelmHosted>({
    about: 'Values of charts of a hosted repository: `/api/charts/<name>/<version>/values`.',
    ...ofChart,
    reply: { ...reply, mediaType: 'application/yaml' },
    async render(...given) {
      const values = await readValues((await archiveOf(...given)).stream());
      if (values === undefined) throw new EntrepotError('not-found', 'values.yaml not found');
      return [values];
    },
  }),
  tags: listingClass<HelmHosted>({
    about: 'Charts of a hosted repository as images: lists of tags.',
    reply: { mediaType: 'application/json' },
    policy,
    entries(resource) {
      const { tenant, name } = attributesOf(resource);
      return { prefix: KEY.tag(tenant, name, ''), requires: KEY.versions(tenant, name), orEmpty: true };
    },
    async render(resource, found) {
      const { tenant, name } = attributesOf(resource);
      const tags = (await Array.fromAsync(found)).map(({ key }) => key.slice(KEY.tag(tenant, name, '').length));
      return [JSON.stringify({ name: [tenant, name].filter(Boolean).join('/'), tags })];
    },
  }),
  welcome: listingClass<HelmHosted>({
    about: 'The start page of a hosted repository.',
    reply: { mediaType: 'text/html; charset=utf-8' },
    entries: entries.none,
    render: (_resource, _entries, { baseUrl }, { name }) => [welcomePage(name, baseUrl)],
  }),
  artifacthub: listingClass<HelmHosted>({
    about: 'The ID of a hosted repository for Artifact Hub: `artifacthub-repo.yml`.',
    reply: { mediaType: 'application/x-yaml' },
    policy,
    entries: entries.none,
    render: (resource, _entries, _context, self) => [`repositoryID: ${self.hubId(attributesOf(resource).tenant)}\n`],
  }),
};

/** Lists all charts of a tenant. Parts that are shown as they are stored are joined, without reading them. */
function listsCharts(
  formOf: (self: HelmHosted) => IndexForm,
): Pick<ListingClass<HelmHosted>, 'policy' | 'entries' | 'join' | 'render'> {
  return {
    policy,
    entries: entries.ofTenant,
    join(resource, found, { admits, baseUrl }, self) {
      const charts = pageOfCharts(found, resource);
      const prefix = self.prefix(attributesOf(resource).tenant);
      const isShown = (part: Entry): boolean => {
        const { name, prefix: written, versions } = versionsOf(part);
        return written === prefix && versions.every((version) => admits({ ecosystem: 'helm', name, version }));
      };
      if (!charts.flat().every(isShown)) return undefined;
      const form = formOf(self);
      const joiner = new IndexJoiner(form);
      const pieces = charts.flatMap((parts) => {
        const fragments = parts.map((part) => (form === YAML_INDEX ? versionsOf(part).yaml : part));
        return joiner.chart<JoinedPiece>(nameOf(parts), fragments);
      });
      return [...pieces, joiner.close(headOf(found, baseUrl))];
    },
    async *render(resource, all, context, self) {
      const found = await Array.fromAsync(all);
      const form = formOf(self);
      const joiner = new IndexJoiner(form);
      for (const parts of pageOfCharts(found, resource)) {
        const versions = await shownOf(parts, resource, all, context, self);
        if (versions.length > 0) yield* joiner.chart(nameOf(parts), [form.fragment(versions)]);
      }
      yield joiner.close(headOf(found, context.baseUrl));
    },
  };
}

/** Finds the version that a resource names. @throws EntrepotError `not-found` */
async function versionOf(...given: Given): Promise<IndexEntry> {
  const { name, version } = attributesOf(given[0]);
  const parts = await partsOf(...given);
  if (parts.length === 0) throw new EntrepotError('not-found', 'no chart name found');
  const wanted = parts.filter((part) => version === 'latest' || versionsOf(part).versions.includes(version));
  const found = findVersion(await shownOf(wanted, ...given), version);
  if (found !== undefined) return found;
  throw new EntrepotError('not-found', `no chart version found for ${name}-${version}`);
}

async function archiveOf(...given: Given): Promise<Content> {
  const [resource, , { content, find }] = given;
  const { name, version } = await versionOf(...given);
  const archive = await find(KEY.chart(attributesOf(resource).tenant, chartFileName(name, version)));
  if (archive !== undefined) return content(archive);
  throw new EntrepotError('not-found', `no chart version found for ${name}-${version}`);
}

/** Reads the versions in parts of the index that policy lets be listed. */
async function shownOf(parts: readonly Entry[], ...[resource, , context, self]: Given): Promise<IndexEntry[]> {
  const { tenant } = attributesOf(resource);
  const shown: IndexEntry[] = [];
  for (const part of parts) {
    for (const entry of await readVersions(tenant, part, context)) {
      const { name, version } = entry;
      if (context.admits({ ecosystem: 'helm', name, version })) shown.push(withPrefix(entry, self.prefix(tenant)));
    }
  }
  return shown;
}

/** Finds all parts of a chart, newest versions first. */
async function partsOf(...[resource, others, { find }]: Given): Promise<Entry[]> {
  const { tenant, name } = attributesOf(resource);
  const first = await find(KEY.versions(tenant, name));
  return first === undefined ? [] : sortedParts([first, ...(await Array.fromAsync(others))]);
}

function sortedParts(parts: readonly Entry[]): Entry[] {
  return inOrder(parts, (part) => versionsOf(part).versions);
}

function nameOf([part]: readonly Entry[]): string {
  return versionsOf(part as Entry).name;
}

/** Sorts the parts of each chart of a page; without the entry that only says that something went. */
function pageOfCharts(found: readonly Entry[], resource: Resource): Entry[][] {
  const { offset = 0, limit = Infinity } = attributesOf(resource);
  const parts = found.filter(({ attributes }) => attributes !== undefined);
  const charts = Map.groupBy(parts, (part) => versionsOf(part).name);
  return Array.from(charts.values(), sortedParts).slice(offset, offset + limit);
}

function headOf(found: readonly Entry[], baseUrl: string): IndexHead {
  const changed = Math.max(0, ...found.map(({ fetchedAt }) => fetchedAt));
  const contextPath = new URL(baseUrl).pathname.replace(/\/$/, '');
  return {
    generated: found.length === 0 ? undefined : new Date(changed).toISOString(),
    serverInfo: contextPath === '' ? {} : { contextPath },
  };
}
