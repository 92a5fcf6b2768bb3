import {
  EntrepotError,
  type ArtifactDescription,
  type Content,
  type PackageCoordinates,
  type RewriteContext,
} from '@entrepot/core';
import { compareText, malformed, sortedInTurns, WorkTurns } from '@entrepot/core/formats';
import { descriptionIn, versionOf } from './dates.js';
import { LARGEST_INFO, LARGEST_LIST } from './limits.js';
import { isVersionOf } from './module-path.js';
import {
  compareParsed,
  compareVersions,
  isCanonicalVersion,
  isPseudoVersion,
  parseVersion,
  type Version,
} from './version.js';

/** RFC 3339, as Go prints a time. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

/** How many versions of a list go out as one piece. */
const PIECE = 1024;
/** So many lines are looked at between two looks at the clock. */
const STEP = 256;

/** A version of a list. */
interface Line {
  readonly text: string;
  readonly parsed: Version;
  /** Its numbers, where they are such as can be told apart: that is quicker than their text. */
  readonly numbers: readonly [number, number, number] | undefined;
  /** As it goes out. */
  readonly line: string;
}

/**
 * The versions of a list in order, each with its line: those that `go` would take. A time that the upstream writes behind a
 * version stays. Commits without a tag stay too: `go` takes the newest of them where there is no tag and no `@latest`
 * (cmd/go/internal/modfetch, latestFromList).
 * @throws EntrepotError `upstream-unavailable` for a body of lines that are none: `go` would take an error page for a module without versions
 */
export async function readList(path: string, content: Content): Promise<ReadonlyMap<string, string>> {
  return inOrder(await readLines(path, content));
}

async function readLines(path: string, content: Content): Promise<Map<string, Line>> {
  const text = Buffer.from(await content.bytes(LARGEST_LIST)).toString('utf8');
  const turns = new WorkTurns();
  const listed = new Map<string, Line>();
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
    if (isVersionOf(path, version)) listed.set(version, lineOf(version, time));
  }
  if (!isEmpty && !hasVersions) throw malformed(`${path}/@v/list`, 'expected a list of versions');
  return listed;
}

function lineOf(text: string, time = ''): Line {
  const parsed = parseVersion(text) as Version;
  const numbers = [Number(parsed.major), Number(parsed.minor), Number(parsed.patch)] as const;
  return {
    text,
    parsed,
    numbers: numbers.every(Number.isSafeInteger) ? numbers : undefined,
    line: TIME.test(time) ? `${text} ${time}` : text,
  };
}

function compareLines(one: Line, other: Line): number {
  const [a, b] = [one.numbers, other.numbers];
  const byNumber = a === undefined || b === undefined ? 0 : a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
  return byNumber || compareParsed(one.parsed, other.parsed) || compareText(one.text, other.text);
}

async function inOrder(lines: ReadonlyMap<string, Line>): Promise<ReadonlyMap<string, string>> {
  const turns = new WorkTurns();
  const sorted = await sortedInTurns([...lines.values()], compareLines, turns);
  const ordered = new Map<string, string>();
  for (const { text, line } of sorted) {
    ordered.set(text, line);
    if (ordered.size % STEP === 0) await turns.pause();
  }
  return ordered;
}

/**
 * The list for clients: what policy lets them have of the upstream's, and of the tags that were served before.
 * @throws EntrepotError `not-found` when there is no list, and no tag was served
 */
export async function rewriteList(
  path: string,
  content: Content,
  { admits, descriptions, isAbsent, keptKeys }: RewriteContext,
): Promise<AsyncIterable<Uint8Array>> {
  const kept = keptTags(path, keptKeys);
  if (isAbsent === true && kept.length === 0) throw new EntrepotError('not-found', `no tag of ${path} is kept`);
  const lines = await readLines(path, content);
  for (const version of kept) if (!lines.has(version)) lines.set(version, lineOf(version));
  const known = await inOrder(lines);
  return piecesOf(known, (version) =>
    admits({ ecosystem: 'golang', name: path, version }, descriptionIn(descriptions, path, version)),
  );
}

/** The lines of a list whose versions are admitted, a piece at a time. */
async function* piecesOf(
  known: ReadonlyMap<string, string>,
  admits: (version: string) => boolean,
): AsyncGenerator<Uint8Array> {
  const turns = new WorkTurns();
  let lines: string[] = [];
  for (const [version, line] of known) {
    if (admits(version)) lines.push(`${line}\n`);
    if (turns.over) await turns.next();
    if (lines.length < PIECE) continue;
    yield Buffer.from(lines.join(''));
    lines = [];
  }
  yield Buffer.from(lines.join(''));
}

/**
 * The latest version for clients: the upstream's, or a tag that was served before and is later. A commit that somebody
 * fetched says nothing of the latest one.
 * @throws EntrepotError `not-found` when there is none; `policy-denied` when policy admits none
 */
export async function rewriteLatest(
  path: string,
  content: Content,
  { admits, descriptions, isAbsent, keptKeys, refusal }: RewriteContext,
): Promise<AsyncIterable<Uint8Array> | string[]> {
  const info = isAbsent === true ? undefined : await readInfo(`${path}/@latest`, content);
  const own = info?.version;
  // A version from before modules is none that `go` would take where there is another one.
  const takesAny = own === undefined || own.endsWith('+incompatible');
  const kept = keptTags(path, keptKeys).filter((version) => takesAny || !version.endsWith('+incompatible'));
  const known = own === undefined ? kept : [own, ...kept];
  const described = (
    version: string,
  ): { coordinates: PackageCoordinates; description?: ArtifactDescription | undefined } => {
    if (info !== undefined && version === info.version) return versionOf(path, info);
    const description = descriptionIn(descriptions, path, version);
    return { coordinates: { ecosystem: 'golang', name: path, version }, description };
  };
  const latest = known
    .filter((version) => admits(described(version).coordinates, described(version).description))
    .sort(compareLatest)
    .at(-1);
  if (latest !== undefined) return latest === own ? content.stream() : [JSON.stringify({ Version: latest })];
  if (known.length === 0) throw new EntrepotError('not-found', `no version of ${path} is kept`);
  const first = described(known[0] as string);
  const why = refusal(first.coordinates, first.description);
  const text = `${known.at(0)} and other versions of ${path} are not admitted here`;
  throw new EntrepotError('policy-denied', why === undefined ? text : `${text}: ${why}`);
}

/** The tags of which a file is kept. */
function keptTags(path: string, keys: readonly string[]): string[] {
  const versions = new Set<string>();
  for (const key of keys) {
    const version = /^\/@v\/(.+)\.(?:info|mod|zip)$/.exec(key.slice(path.length))?.[1];
    if (version !== undefined && isVersionOf(path, version) && !isPseudoVersion(version)) versions.add(version);
  }
  return [...versions];
}

/** By the rule for `@latest`: releases before pre-releases before commits without a tag (Go Modules Reference, "GOPROXY protocol"). */
function compareLatest(one: string, other: string): number {
  return rank(one) - rank(other) || compareVersions(one, other);
}

function rank(version: string): number {
  if (isPseudoVersion(version)) return 0;
  return parseVersion(version)?.prerelease === '' ? 2 : 1;
}

/** What an `.info` says. */
export interface Info {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly publishedAt: number | undefined;
}

/**
 * What an `.info` says.
 * @throws EntrepotError `upstream-unavailable` when it is none
 */
export async function readInfo(subject: string, content: Content): Promise<Info> {
  const text = Buffer.from(await content.bytes(LARGEST_INFO)).toString('utf8');
  let info: unknown;
  try {
    info = JSON.parse(text);
  } catch {
    throw malformed(subject, 'expected JSON');
  }
  const { version, time } = membersOf(info);
  if (typeof version !== 'string' || !isCanonicalVersion(version)) {
    throw malformed(subject, 'expected a canonical "Version"');
  }
  if (time !== null && (typeof time !== 'string' || !TIME.test(time))) {
    throw malformed(subject, 'expected a "Time" as RFC 3339 has it');
  }
  const publishedAt = Date.parse(time ?? '');
  return { version, publishedAt: Number.isNaN(publishedAt) ? undefined : publishedAt };
}

/** The members by their names in lower case, as encoding/json takes them; `null` where one is absent. */
function membersOf(info: unknown): { version: unknown; time: unknown } {
  const members = typeof info === 'object' && info !== null ? Object.entries(info) : [];
  const named = new Map(members.map(([name, value]) => [name.toLowerCase(), value as unknown]));
  return { version: named.get('version') ?? null, time: named.get('time') ?? null };
}
