import { EntrepotError } from '@entrepot/core';
import type { ArtifactDescription, Content, DocumentBytes, Parsed, RenderRequest } from '@entrepot/core';
import type { Resource, VerifyContext } from '@entrepot/core';
import { inBatches, malformed, sortedInTurns, WorkTurns } from '@entrepot/core/formats';
import { describeVersion, parseInfo, TIME, zipKey, type Info } from './info.js';
import { coordinatesOf, isVersionOf, moduleOf } from './module-path.js';
import type { GoProxy } from './routes.js';
import { compareVersions, isCanonicalVersion, isPseudoVersion, parseVersion, pseudoVersionTime } from './version.js';
import type { Version } from './version.js';

/** The largest list of versions, in bytes. */
export const LARGEST_LIST = 16 * 1024 * 1024;
/** Lines between two looks at the clock. */
const STEP = 256;
/** Bytes that a version takes in memory besides its text, about. */
const WEIGHT = 100;
/** Versions of a list that are asked for their date, newest first. One that is so much older than another ends it. */
const NEWEST = 8;
const SETTLED = 30 * 86_400_000;

/** The lines of a list by their versions, in order. */
type Lines = ReadonlyMap<string, string>;

/** A list of the versions of a module that was read once. */
export interface VersionList extends Parsed {
  readonly lines: Lines;
  describe(key: string): ArtifactDescription | undefined;
}

/** @param dates those of the newest tags; others are taken to be as old as the oldest of them */
function versionList(path: string, lines: Lines, dates: ReadonlyMap<string, number>, size: number): VersionList {
  const oldest = dates.size === 0 ? undefined : Math.min(...dates.values());
  const described = (version: string): ArtifactDescription =>
    describeVersion(path, version, dates.get(version) ?? pseudoVersionTime(version) ?? oldest);
  return {
    weight: size + WEIGHT * (lines.size + 1),
    lines,
    describe(key) {
      const version = key.slice(`${path}/@v/`.length, -'.zip'.length);
      return lines.has(version) && key === zipKey(path, version) ? described(version) : undefined;
    },
    *descriptions() {
      for (const version of lines.keys()) yield [zipKey(path, version), described(version)];
    },
  };
}

/**
 * Reads the versions of a list that `go` would take. A time that the upstream writes behind a version stays. Commits without a tag
 * stay too: `go` takes the newest of them where there is no tag and no `@latest` (cmd/go/internal/modfetch, latestFromList).
 *
 * A list has no dates, so the newest tags are asked for theirs where policy looks at dates; zips are judged by their own. A
 * pseudo-version has the time of its commit in its name.
 * @throws EntrepotError `upstream-unavailable` for a body of lines that are none: `go` would take an error page for a module without versions
 */
export async function parseList(
  content: Content,
  resource: Resource,
  { needs, read }: VerifyContext,
  go: GoProxy,
): Promise<VersionList> {
  const { path } = moduleOf(resource);
  const lines = await inOrder(await readLines(path, content));
  const dates = new Map<string, number>();
  if (needs.has('publishedAt')) {
    for (const version of newestTags(lines)) {
      const publishedAt = await dateOf(go.date({ coordinates: coordinatesOf(path, version) }), read);
      if (publishedAt !== undefined) dates.set(version, publishedAt);
      if (Math.max(...dates.values()) - Math.min(...dates.values()) > SETTLED) break;
    }
  }
  return versionList(path, lines, dates, content.size);
}

async function readLines(path: string, content: Content): Promise<Lines> {
  const text = Buffer.from(await content.bytes(LARGEST_LIST)).toString('utf8');
  const turns = new WorkTurns();
  const listed = new Map<string, string>();
  let count = 0;
  let hasVersions = false;
  for (const [line] of text.matchAll(/\S[^\n]*/g)) {
    if (++count % STEP === 0) await turns.pause();
    const [version = '', time = ''] = line.split(/\s+/, 2);
    hasVersions ||= isCanonicalVersion(version);
    if (isVersionOf(path, version)) listed.set(version, TIME.test(time) ? `${version} ${time}` : version);
  }
  if (count > 0 && !hasVersions) throw malformed(`${path}/@v/list`, 'expected a list of versions');
  return listed;
}

async function inOrder(lines: Lines): Promise<Lines> {
  const turns = new WorkTurns();
  const versions: Version[] = [];
  for (const text of lines.keys()) {
    versions.push(parseVersion(text) as Version);
    if (versions.length % STEP === 0) await turns.pause();
  }
  const ordered = new Map<string, string>();
  for (const { text } of await sortedInTurns(versions, compareVersions, turns)) {
    ordered.set(text, lines.get(text) as string);
    if (ordered.size % STEP === 0) await turns.pause();
  }
  return ordered;
}

/** Finds the newest tags of a list, newest first. */
function newestTags(lines: Lines): string[] {
  const tags: string[] = [];
  for (const version of [...lines.keys()].reverse()) {
    if (!isPseudoVersion(version) && tags.push(version) === NEWEST) break;
  }
  return tags;
}

/** Reads a date. A version that is gone or out of reach has none. */
async function dateOf(date: Resource | undefined, read: VerifyContext['read']): Promise<number | undefined> {
  if (date === undefined) return undefined;
  try {
    return (await parseInfo(await read(date), date)).publishedAt;
  } catch (error) {
    if (error instanceof EntrepotError) return undefined;
    throw error;
  }
}

/**
 * Writes a list of what policy admits, of the upstream's versions and of the tags that are cached.
 * @throws EntrepotError `not-found` when there is neither
 */
export async function renderList(
  list: VersionList | undefined,
  { resource, admits, cachedKeys }: RenderRequest,
): Promise<DocumentBytes> {
  const { path } = moduleOf(resource);
  const listed: Lines = list?.lines ?? new Map();
  const more = cachedTags(path, cachedKeys).filter((tag) => !listed.has(tag));
  if (list === undefined && more.length === 0) throw new EntrepotError('not-found', `no tag of ${path} is cached`);
  const lines =
    more.length === 0 ? listed : await inOrder(new Map([...listed, ...more.map((tag) => [tag, tag] as const)]));
  const isListed = (version: string): boolean =>
    admits(coordinatesOf(path, version), list?.describe(zipKey(path, version)));
  return inBatches(printLines(lines, isListed));
}

function* printLines(lines: Lines, isListed: (version: string) => boolean): Generator<string, void> {
  // Nothing, too, so that others have their turn.
  for (const [version, line] of lines) yield isListed(version) ? `${line}\n` : '';
}

/**
 * Writes the latest version: the upstream's, or a cached tag that is later. A commit that somebody fetched says nothing of the
 * latest one.
 * @throws EntrepotError `not-found` when there is none; `policy-denied` when policy admits none
 */
export function renderLatest(
  info: Info | undefined,
  { resource, content, cachedKeys, admits, refusal }: RenderRequest,
): DocumentBytes {
  const { path } = moduleOf(resource);
  const own = info?.version;
  // A version from before modules is none that `go` would take where there is another one.
  const takesAny = own === undefined || own.endsWith('+incompatible');
  const tags = cachedTags(path, cachedKeys).filter((tag) => takesAny || !tag.endsWith('+incompatible'));
  const known = own === undefined ? tags : [own, ...tags];
  const [first] = known;
  if (first === undefined) throw new EntrepotError('not-found', `no version of ${path} is cached`);
  const describe = (version: string): ArtifactDescription | undefined =>
    version === own ? describeVersion(path, version, info?.publishedAt) : undefined;
  const admitted = known.filter((version) => admits(coordinatesOf(path, version), describe(version)));
  const latest = admitted
    .map((version) => parseVersion(version) as Version)
    .sort(compareLatest)
    .at(-1)?.text;
  if (latest !== undefined) return latest === own ? content.stream() : [JSON.stringify({ Version: latest })];
  const why = refusal(coordinatesOf(path, first), describe(first));
  const text = `${first} and other versions of ${path} are not admitted here`;
  throw new EntrepotError('policy-denied', why === undefined ? text : `${text}: ${why}`);
}

/** Orders by the rule for `@latest`: releases before pre-releases before commits without a tag (Go Modules Reference, "GOPROXY protocol"). */
function compareLatest(one: Version, other: Version): number {
  return rank(one) - rank(other) || compareVersions(one, other);
}

function rank({ text, prerelease }: Version): number {
  if (isPseudoVersion(text)) return 0;
  return prerelease.length === 0 ? 2 : 1;
}

/** Finds the tags of which a file is cached. */
function cachedTags(path: string, keys: readonly string[]): string[] {
  const versions = new Set<string>();
  for (const key of keys) {
    const version = /^\/@v\/(.+)\.(?:info|mod|zip)$/.exec(key.slice(path.length))?.[1];
    if (version !== undefined && isVersionOf(path, version) && !isPseudoVersion(version)) versions.add(version);
  }
  return [...versions];
}
