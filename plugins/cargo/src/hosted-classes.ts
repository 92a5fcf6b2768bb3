import {
  artifactClass,
  changeClass,
  EntrepotError,
  listingClass,
  type Entry,
  type HostedChange,
  type HostedContext,
  type ListingContext,
} from '@entrepot/core';
import { semverOrder } from '@entrepot/core/formats';
import { coordinatesOf } from './crate-name.js';
import { attributesOf, KEY, sharedName, versionOf, type CargoHosted, type VersionAttributes } from './hosted.js';
import { indexLine, LONGEST_HOSTED_LINE, type IndexLine } from './metadata.js';
import { readPublication } from './publish-body.js';
import { JSON_TYPE, printConfig } from './registry-config.js';

const CRATE_TYPE = 'application/gzip';
/** The longest description that a search shows, in characters. */
const SHOWN = 500;
const ok = (more: object = {}) => ({ status: 200, mediaType: JSON_TYPE, body: JSON.stringify({ ok: true, ...more }) });

/** The classes of a hosted repository. */
export const HOSTED_CLASSES = {
  crate: artifactClass<CargoHosted>({
    about: 'Crates of a hosted repository.',
    cache: { expireAfter: Infinity },
    reply: {
      mediaType: CRATE_TYPE,
      filename: ({ coordinates }) => `${coordinates?.name}-${coordinates?.version}.crate`,
      cacheControl: 'public, max-age=31536000, immutable',
    },
  }),
  config: listingClass<CargoHosted>({
    about: 'The `config.json` of a hosted repository.',
    reply: { mediaType: JSON_TYPE, vary: ['Authorization'] },
    policy: { forAnyName: true },
    entries: () => ({ prefix: 'config/', limit: 1, orEmpty: true }),
    render: (resource, _entries, { baseUrl }) => [printConfig(baseUrl, attributesOf(resource).isGuarded)],
  }),
  index: listingClass<CargoHosted>({
    about: 'The index of each crate of a hosted repository.',
    reply: { mediaType: 'text/plain; charset=utf-8' },
    entries: (resource) => ({ prefix: KEY.versionsOf(attributesOf(resource).name) }),
    async render(resource, entries, { admits }) {
      const all = await Array.fromAsync(entries);
      const lines = all
        .sort((one, other) => one.fetchedAt - other.fetchedAt)
        .map((entry) => shownLine(entry, admits))
        .filter(({ name }) => name.toLowerCase() === attributesOf(resource).name);
      if (lines.length === 0) throw new EntrepotError('not-found', `there is no crate ${attributesOf(resource).name}`);
      return lines.map((line) => `${JSON.stringify(line)}\n`);
    },
  }),
  search: listingClass<CargoHosted>({
    about: 'Searches in a hosted repository.',
    reply: { mediaType: JSON_TYPE },
    policy: { forAnyName: true },
    entries: () => ({ prefix: KEY.versions, orEmpty: true }),
    async render(resource, entries, { admits }) {
      const { query, page, perPage } = attributesOf(resource);
      const found = new Map<string, VersionAttributes>();
      for await (const entry of entries) {
        const { line, description } = versionOf(entry);
        const isFound = [line.name, description].some((text) => text.toLowerCase().includes(query));
        if (!isFound || shownLine(entry, admits).yanked) continue;
        const best = found.get(line.name);
        if (best === undefined || isLater(line, best.line)) found.set(line.name, { line, description });
      }
      const crates = [...found.values()].slice((page - 1) * perPage, page * perPage).map(({ line, description }) => ({
        name: line.name,
        max_version: line.vers,
        description: description.slice(0, SHOWN),
      }));
      return [JSON.stringify({ crates, meta: { total: found.size } })];
    },
  }),
  owners: listingClass<CargoHosted>({
    about: 'The users who published versions of a crate.',
    reply: { mediaType: JSON_TYPE },
    entries: (resource) => ({ prefix: KEY.versionsOf(attributesOf(resource).name) }),
    async render(_resource, entries) {
      const logins = new Set<string>();
      for await (const { storedBy } of entries) if (storedBy !== undefined) logins.add(storedBy);
      const users = [...logins].sort().map((login, at) => ({ id: at + 1, login, name: login }));
      return [JSON.stringify({ users })];
    },
  }),
  publish: changeClass<CargoHosted>({
    about: 'Publications of versions: `cargo publish`.',
    action: 'put',
    // Whose version it is stands in the body alone.
    policy: { forAnyName: true },
    bounds: { of: 'crate', maxBytes: (_resource, { options }) => options.maxUploadSize },
    async make(_resource, content, { find }, { clock }): Promise<HostedChange> {
      const { metadata, sha256, slice } = await readPublication(content);
      const { name, vers } = metadata;
      const line = indexLine(metadata, sha256, clock.now());
      if (Buffer.byteLength(JSON.stringify(line)) > LONGEST_HOSTED_LINE)
        throw new EntrepotError('bad-request', `the dependencies and features of ${name} ${vers} are too many`);
      const key = KEY.version(name, vers);
      const [kept, claim] = [await find(key), await find(KEY.name(name))];
      const spelling = claim?.attributes?.['name'] ?? name;
      if (spelling !== name)
        throw new EntrepotError(
          'conflict',
          `there is a crate ${String(spelling)}, which differs from ${name} too little`,
        );
      if (kept !== undefined)
        throw new EntrepotError(
          'conflict',
          `${name} ${versionOf(kept).line.vers} is already published: give it a new version`,
        );
      const attributes = { line, description: metadata.description ?? '' } satisfies VersionAttributes;
      const named = { key: KEY.name(name), bytes: Buffer.from(name), mediaType: 'text/plain', attributes: { name } };
      return {
        create: [
          { key, slice, mediaType: CRATE_TYPE, coordinates: coordinatesOf(name, vers), attributes: { ...attributes } },
        ],
        replace: claim === undefined ? [named] : [],
        expect: [{ key: named.key, digest: claim?.digest }],
        reply: {
          status: 200,
          mediaType: JSON_TYPE,
          body: JSON.stringify({ warnings: { invalid_categories: [], invalid_badges: [], other: [] } }),
        },
      };
    },
  }),
  yank: changeClass<CargoHosted>({
    about: 'Yanks of versions, and their return.',
    action: 'put',
    bounds: { of: 'crate', maxBytes: 64 * 1024, exclusive: ({ key }) => key },
    async make(resource, _content, context): Promise<HostedChange> {
      const { yanked } = attributesOf(resource);
      const entry = await versionFor(resource.key, attributesOf(resource), context);
      const { key, mediaType, coordinates, attributes } = entry;
      const { line } = versionOf(entry);
      if (line.yanked === yanked) return { reply: ok() };
      return {
        replace: [
          { key, sameAs: entry, mediaType, coordinates, attributes: { ...attributes, line: { ...line, yanked } } },
        ],
        expect: [{ key, digest: entry.digest }],
        reply: ok(),
      };
    },
  }),
};

/** Finds the entry of a version. @throws EntrepotError `not-found` */
async function versionFor(
  key: string,
  { name, version }: { readonly name: string; readonly version: string },
  { find }: Pick<HostedContext, 'find'>,
): Promise<Entry> {
  const entry = await find(key);
  const line = entry && versionOf(entry).line;
  if (entry !== undefined && line?.vers === version && sharedName(line.name) === sharedName(name)) return entry;
  throw new EntrepotError('not-found', `there is no ${name} ${version}`);
}

/** The line of a version for clients: yanked, where policy refuses it. */
function shownLine(entry: Entry, admits: ListingContext['admits']): IndexLine {
  const { line } = versionOf(entry);
  return admits(coordinatesOf(line.name, line.vers)) ? line : { ...line, yanked: true };
}

/** Whether a search shows `one` rather than `other`: releases before prereleases, then the later one. */
function isLater(one: IndexLine, other: IndexLine): boolean {
  const [mine, theirs] = [semverOrder.parse(one.vers), semverOrder.parse(other.vers)];
  if (mine === undefined || theirs === undefined) return theirs === undefined;
  const isRelease = mine.prerelease.length === 0;
  if (isRelease !== (theirs.prerelease.length === 0)) return isRelease;
  return semverOrder.compare(mine, theirs) > 0;
}
