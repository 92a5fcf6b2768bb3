import type { Content, RewriteContext } from '@entrepot/core';
import { malformed } from './errors.js';
import { LARGEST_INFO, LARGEST_LIST } from './limits.js';
import { isVersionOf } from './module-path.js';
import { compareVersions, isCanonicalVersion, isPseudoVersion } from './version.js';

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

/** The list for clients: what policy lets them have. */
export async function rewriteList(path: string, content: Content, { admits }: RewriteContext): Promise<string[]> {
  const versions = await readList(path, content);
  return versions
    .filter((version) => admits({ ecosystem: 'golang', name: path, version }))
    .map((version) => `${version}\n`);
}

/**
 * The version that an `.info` names.
 * @throws EntrepotError `upstream-unavailable` when it is none
 */
export async function readInfo(subject: string, content: Content): Promise<string> {
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
  return version;
}
