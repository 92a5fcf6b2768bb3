import {
  EntrepotError,
  type ArtifactDescription,
  type Content,
  type Parsed,
  type RenderRequest,
  type Resource,
  type VerifyContext,
} from '@entrepot/core';
import { compareSemanticVersions, compareText, malformed, sortedInTurns, WorkTurns } from '@entrepot/core/formats';
import { describeVersion, parseInfo, TIME, zipKey } from './info.js';
import { LARGEST_LIST } from './limits.js';
import { coordinatesOf, isVersionOf, moduleOf } from './module-path.js';
import type { GoProxy } from './routes.js';
import { isCanonicalVersion, isPseudoVersion, parseVersion, pseudoVersionTime, type Version } from './version.js';

/** Versions of a list that go out as one piece. */
const PIECE = 1024;
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
export class VersionList implements Parsed {
  readonly weight: number;
  readonly lines: Lines;
  readonly #path: string;
  readonly #dates: ReadonlyMap<string, number>;
  readonly #oldest: number | undefined;

  /** @param dates those of the newest tags; others are taken to be as old as the oldest of them */
  constructor(path: string, lines: Lines, dates: ReadonlyMap<string, number>, size: number) {
    this.weight = size + WEIGHT * (lines.size + 1);
    this.lines = lines;
    this.#path = path;
    this.#dates = dates;
    this.#oldest = dates.size === 0 ? undefined : Math.min(...dates.values());
  }

  describe(key: string): ArtifactDescription | undefined {
    const version = key.slice(`${this.#path}/@v/`.length, -'.zip'.length);
    return key === zipKey(this.#path, version) ? this.describeVersion(version) : undefined;
  }

  *descriptions(): Iterable<readonly [string, ArtifactDescription]> {
    for (const version of this.lines.keys()) yield [zipKey(this.#path, version), this.#described(version)];
  }

  /** `undefined` for a version that is not listed. */
  describeVersion(version: string): ArtifactDescription | undefined {
    return this.lines.has(version) ? this.#described(version) : undefined;
  }

  #described(version: string): ArtifactDescription {
    const publishedAt = this.#dates.get(version) ?? pseudoVersionTime(version) ?? this.#oldest;
    return describeVersion(this.#path, version, publishedAt);
  }
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
    let newest = -Infinity;
    let oldest = Infinity;
    for (const version of newestTags(lines)) {
      const publishedAt = await dateOf(go.date({ coordinates: coordinatesOf(path, version) }), read);
      if (publishedAt === undefined) continue;
      dates.set(version, publishedAt);
      newest = Math.max(newest, publishedAt);
      oldest = Math.min(oldest, publishedAt);
      if (newest - oldest > SETTLED) break;
    }
  }
  return new VersionList(path, lines, dates, content.size);
}

async function readLines(path: string, content: Content): Promise<Lines> {
  const text = Buffer.from(await content.bytes(LARGEST_LIST)).toString('utf8');
  const turns = new WorkTurns();
  const listed = new Map<string, string>();
  let [isEmpty, hasVersions] = [true, false];
  for (let from = 0, count = 1; from < text.length; count += 1) {
    const end = text.indexOf('\n', from);
    const line = text.slice(from, end < 0 ? undefined : end).trim();
    from = end < 0 ? text.length : end + 1;
    if (count % STEP === 0) await turns.pause();
    if (line === '') continue;
    isEmpty = false;
    const [version, time = ''] = line.split(/\s+/, 2) as [string, string?];
    hasVersions ||= isCanonicalVersion(version);
    if (isVersionOf(path, version)) listed.set(version, TIME.test(time) ? `${version} ${time}` : version);
  }
  if (!isEmpty && !hasVersions) throw malformed(`${path}/@v/list`, 'expected a list of versions');
  return listed;
}

/** A version as it is compared: its numbers are quicker than their text, where they are such as can be told apart. */
interface Compared {
  readonly text: string;
  readonly line: string;
  readonly parsed: Version;
  readonly numbers: readonly number[] | undefined;
}

async function inOrder(lines: Iterable<readonly [version: string, line: string]>): Promise<Lines> {
  const turns = new WorkTurns();
  const versions: Compared[] = [];
  for (const [text, line] of lines) {
    const parsed = parseVersion(text) as Version;
    const numbers = parsed.numbers.map(Number);
    versions.push({ text, line, parsed, numbers: numbers.every(Number.isSafeInteger) ? numbers : undefined });
    if (versions.length % STEP === 0) await turns.pause();
  }
  const ordered = new Map<string, string>();
  for (const { text, line } of await sortedInTurns(versions, compare, turns)) {
    ordered.set(text, line);
    if (ordered.size % STEP === 0) await turns.pause();
  }
  return ordered;
}

function compare(one: Compared, other: Compared): number {
  const [a, b] = [one.numbers, other.numbers];
  if (a !== undefined && b !== undefined) {
    for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return (a[at] as number) - (b[at] as number);
  }
  return compareSemanticVersions(one.parsed, other.parsed) || compareText(one.text, other.text);
}

/** Finds the newest tags of a list, newest first. */
function newestTags(lines: Lines): string[] {
  const tags: string[] = [];
  for (const version of [...lines.keys()].reverse()) {
    if (tags.length === NEWEST) break;
    if (!isPseudoVersion(version)) tags.push(version);
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
): Promise<AsyncIterable<Uint8Array>> {
  const { path } = moduleOf(resource);
  const listed: Lines = list?.lines ?? new Map();
  const more = cachedTags(path, cachedKeys).filter((tag) => !listed.has(tag));
  if (list === undefined && more.length === 0) throw new EntrepotError('not-found', `no tag of ${path} is cached`);
  const lines = more.length === 0 ? listed : await inOrder(withTags(listed, more));
  return pieces(lines, (version) => admits(coordinatesOf(path, version), list?.describeVersion(version)));
}

function* withTags(lines: Lines, tags: readonly string[]): Generator<readonly [string, string]> {
  yield* lines;
  for (const tag of tags) yield [tag, tag];
}

/** The admitted lines of a list, a piece at a time. */
async function* pieces(lines: Lines, admits: (version: string) => boolean): AsyncGenerator<Uint8Array> {
  const turns = new WorkTurns();
  let piece: string[] = [];
  for (const [version, line] of lines) {
    if (admits(version)) piece.push(`${line}\n`);
    if (turns.over) await turns.next();
    if (piece.length < PIECE) continue;
    yield Buffer.from(piece.join(''));
    piece = [];
  }
  yield Buffer.from(piece.join(''));
}

/** Finds the tags of which a file is cached. */
export function cachedTags(path: string, keys: readonly string[]): string[] {
  const versions = new Set<string>();
  for (const key of keys) {
    const version = /^\/@v\/(.+)\.(?:info|mod|zip)$/.exec(key.slice(path.length))?.[1];
    if (version !== undefined && isVersionOf(path, version) && !isPseudoVersion(version)) versions.add(version);
  }
  return [...versions];
}
