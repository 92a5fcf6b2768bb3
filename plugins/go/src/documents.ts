import {
  EntrepotError,
  type ArtifactDescription,
  type Content,
  type PackageCoordinates,
  type RewriteContext,
} from '@entrepot/core';
import { descriptionIn, versionOf } from './dates.js';
import { malformed } from './errors.js';
import { LARGEST_INFO, LARGEST_LIST } from './limits.js';
import { isVersionOf } from './module-path.js';
import { compareVersions, isCanonicalVersion, isPseudoVersion, parseVersion } from './version.js';

/** RFC 3339, as Go prints a time. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * The versions of a list, in order: those that `go` would take, without commits that have no tag. Some proxies write a
 * time behind a version.
 * @throws EntrepotError `upstream-unavailable` for a body of lines that are none: `go` would take an error page for a module without versions
 */
export async function readList(path: string, content: Content): Promise<string[]> {
  const lines = Buffer.from(await content.bytes(LARGEST_LIST))
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const names = lines.map((line) => line.split(/\s+/, 1)[0] as string);
  if (names.length > 0 && !names.some(isCanonicalVersion))
    throw malformed(`${path}/@v/list`, 'expected a list of versions');
  const versions = names.filter((name) => isVersionOf(path, name) && !isPseudoVersion(name));
  return [...new Set(versions)].sort(compareVersions);
}

/** The list for clients: what policy lets them have of the upstream's, and of what was served before. */
export async function rewriteList(
  path: string,
  content: Content,
  { admits, descriptions, keptKeys }: RewriteContext,
): Promise<string[]> {
  const kept = keptVersions(path, keptKeys).filter((version) => !isPseudoVersion(version));
  const versions = [...new Set([...(await readList(path, content)), ...kept])].sort(compareVersions);
  return versions
    .filter((version) =>
      admits({ ecosystem: 'golang', name: path, version }, descriptionIn(descriptions, path, version)),
    )
    .map((version) => `${version}\n`);
}

/**
 * The latest version for clients: the upstream's, or one that was served before and is later.
 * @throws EntrepotError `not-found` when there is none; `policy-denied` when policy admits none
 */
export async function rewriteLatest(
  path: string,
  content: Content,
  { admits, descriptions, keptKeys, refusal }: RewriteContext,
): Promise<AsyncIterable<Uint8Array> | string[]> {
  const info = content.size === 0 ? undefined : await readInfo(`${path}/@latest`, content);
  const own = info?.version;
  // A version from before modules is none that `go` would take where there is another one.
  const takesAny = own === undefined || own.endsWith('+incompatible');
  const kept = keptVersions(path, keptKeys).filter((version) => takesAny || !version.endsWith('+incompatible'));
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

/** The versions of which a file is kept. */
function keptVersions(path: string, keys: readonly string[]): string[] {
  const versions = new Set<string>();
  for (const key of keys) {
    const version = /^\/@v\/(.+)\.(?:info|mod|zip)$/.exec(key.slice(path.length))?.[1];
    if (version !== undefined && isVersionOf(path, version)) versions.add(version);
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
  const { Version: version, Time: time } = (info ?? {}) as { Version?: unknown; Time?: unknown };
  if (typeof version !== 'string' || !isCanonicalVersion(version)) {
    throw malformed(subject, 'expected a canonical "Version"');
  }
  if (time !== undefined && (typeof time !== 'string' || !TIME.test(time))) {
    throw malformed(subject, 'expected a "Time" as RFC 3339 has it');
  }
  const publishedAt = Date.parse(time ?? '');
  return { version, publishedAt: Number.isNaN(publishedAt) ? undefined : publishedAt };
}
