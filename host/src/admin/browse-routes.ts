import type { IncomingMessage } from 'node:http';
import { EntrepotError, packageUrl, printableUrl } from '@entrepot/core';
import { nearest } from '@entrepot/core/engine';
import { z } from 'zod';
import type { SqlEntryBrowser } from '../drivers/sql/entry-browser.js';
import type { FoundName, SqlPackageSearch } from '../drivers/sql/package-search.js';
import type { HomeRepository } from '../http/home-page.js';
import { cursorOf, readCursor } from '../http/operations/cursor.js';
import { json } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { listVersions } from '../policy/package-versions.js';
import { ecosystemOf, parsePackageUrl, type Inquiry } from '../policy/inquiry.js';
import type { SpaceUsage } from '../space/space-usage.js';
import { BROWSE } from './browse-operations.js';

export interface BrowseRoutesOptions {
  readonly repositories: readonly (HomeRepository & { readonly isOpen: boolean })[];
  readonly inquiry: Inquiry;
  readonly browser: SqlEntryBrowser;
  readonly search: SqlPackageSearch;
  readonly report: Pick<SpaceUsage, 'overview'>;
}

const namePlace = z.strictObject({
  rank: z.int().min(0).max(1),
  length: z.int().min(0),
  folded: z.string(),
  ecosystem: z.string(),
});
const path = z.string();
const versionPlace = z.strictObject({ version: z.string(), repository: z.string() });

/** Adds looking at what is kept: by repository and folder, and by package. */
export function browseRoutes(operations: Operations, options: BrowseRoutesOptions): void {
  const { repositories, inquiry, browser, search } = options;
  operations.add(BROWSE.repositories, async ({ ctx }) =>
    json(200, { repositories: await describe(options, repositories, ctx.req) }),
  );
  operations.add(BROWSE.repository, async ({ parameters, ctx }) => {
    const [found] = await describe(options, [named(parameters.name)], ctx.req);
    return json(200, found as NonNullable<typeof found>);
  });
  operations.add(BROWSE.entries, async ({ parameters, query: { prefix, view, limit, cursor } }) => {
    const { name: repository } = named(parameters.name);
    const after = cursor === undefined ? undefined : readCursor(path, cursor);
    const asked = { repository, prefix, after, limit: limit + 1 };
    const found = await (view === 'keys' ? browser.entries(asked) : browser.children(asked));
    const page = found.slice(0, limit);
    return json(200, {
      prefix,
      children: page.map(({ path: place, entry }) => ({
        path: place,
        name: place.slice(prefix.length),
        kind: entry === undefined ? ('folder' as const) : ('entry' as const),
        entry: entry && withoutColumns(entry),
      })),
      next: found.length > limit ? cursorOf(page.at(-1)?.path) : undefined,
    });
  });
  operations.add(BROWSE.versions, async ({ parameters, query: { repository, kept, limit, cursor } }) => {
    const coordinates = nameOf(parameters.purl);
    if (repository !== undefined) named(repository);
    const after = cursor === undefined ? undefined : readCursor(versionPlace, cursor);
    const found = await listVersions(inquiry, coordinates, { repository, isKept: kept, after, limit });
    const last = found.versions.at(-1);
    return json(200, {
      versions: found.versions.map((one) => ({ ...one, purl: packageUrl({ ...coordinates, version: one.version }) })),
      total: found.total,
      next: found.hasMore && last ? cursorOf({ version: last.version, repository: last.repository }) : undefined,
    });
  });
  operations.add(BROWSE.package, async ({ parameters }) => {
    const [found] = await withUses([nameOf(parameters.purl)]);
    if (found === undefined || found.repositories.length === 0)
      throw new EntrepotError('not-found', 'Nothing of this package is kept; expected the URL of one that is');
    return json(200, found);
  });
  operations.add(BROWSE.search, async ({ query: { q, type, repository, limit, cursor } }) => {
    const text = q.trim();
    if (text.startsWith('pkg:')) {
      const found = await withUses([nameOf(text)]);
      return json(200, {
        takenFor: 'purl' as const,
        packages: found.filter(
          (one) =>
            one.repositories.some(({ name }) => repository === undefined || name === repository) &&
            (type ?? one.type) === one.type,
        ),
      });
    }
    const after = cursor === undefined ? undefined : readCursor(namePlace, cursor);
    const names = await search.names({ text, ecosystem: type, repository, after, limit: limit + 1 });
    const page = names.slice(0, limit);
    return json(200, {
      takenFor: 'name' as const,
      packages: await withUses(page),
      next: names.length > limit ? cursorOf(placeOf(page.at(-1) as FoundName)) : undefined,
    });
  });

  /** The repository with a name. @throws EntrepotError `not-found` */
  function named(name: string): BrowseRoutesOptions['repositories'][number] {
    const found = repositories.find((one) => one.name === name);
    if (found !== undefined) return found;
    const meant = nearest(
      name,
      repositories.map((one) => one.name),
    );
    const hint = meant === undefined ? 'GET repositories lists those that there are' : `did you mean ${meant}?`;
    throw new EntrepotError('not-found', `There is no repository ${JSON.stringify(name.slice(0, 100))}; ${hint}`);
  }

  async function withUses(names: readonly Pick<FoundName, 'ecosystem' | 'name'>[]) {
    const uses = Map.groupBy(await search.uses(names), ({ ecosystem, name }) => packageUrl({ ecosystem, name }));
    return names.map(({ ecosystem, name }) => {
      const purl = packageUrl({ ecosystem, name });
      const own = uses.get(purl) ?? [];
      return {
        purl,
        type: ecosystem,
        name,
        repositories: own.map((use) => ({ name: use.repository, versions: use.versions })),
      };
    });
  }
}

async function describe(
  { report }: Pick<BrowseRoutesOptions, 'report'>,
  repositories: BrowseRoutesOptions['repositories'],
  request: IncomingMessage,
) {
  const usage = new Map((await report.overview()).repositories.map((one) => [one.name, one]));
  return repositories.map(({ name, type, kind, mount, upstreams, baseUrl, isOpen }) => {
    const { entries = 0, bytes = 0, quota, isFull = false } = usage.get(name) ?? {};
    return {
      name,
      type,
      kind,
      mount,
      url: baseUrl(request, undefined),
      ecosystem: ecosystemOf(type),
      isOpen,
      upstreams: upstreams.map(({ url, scope, source }) => ({ url: printableUrl(url), scope, source })),
      entries,
      bytes,
      quota,
      isFull,
    };
  });
}

/** The name that a package URL is of, with a version or without. @throws EntrepotError `bad-request` */
function nameOf(purl: string) {
  const { ecosystem, name } = parsePackageUrl(purl);
  return { ecosystem, name };
}

function placeOf({ rank, length, folded, ecosystem }: FoundName) {
  return { rank, length, folded, ecosystem };
}

function withoutColumns({
  ecosystem,
  name,
  version,
  ...entry
}: NonNullable<Awaited<ReturnType<SqlEntryBrowser['entries']>>[number]['entry']>) {
  const purl = ecosystem === undefined || name === undefined ? undefined : packageUrl({ ecosystem, name, version });
  return { ...entry, purl };
}
