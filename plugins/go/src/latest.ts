import { EntrepotError, type ArtifactDescription, type DocumentBytes, type RenderRequest } from '@entrepot/core';
import { describeVersion, type Info } from './info.js';
import { coordinatesOf, moduleOf } from './module-path.js';
import { cachedTags } from './version-list.js';
import { compareVersions, isPseudoVersion, parseVersion } from './version.js';

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
  const latest = known
    .filter((version) => admits(coordinatesOf(path, version), describe(version)))
    .sort(compareLatest)
    .at(-1);
  if (latest !== undefined) return latest === own ? content.stream() : [JSON.stringify({ Version: latest })];
  const why = refusal(coordinatesOf(path, first), describe(first));
  const text = `${first} and other versions of ${path} are not admitted here`;
  throw new EntrepotError('policy-denied', why === undefined ? text : `${text}: ${why}`);
}

/** Orders by the rule for `@latest`: releases before pre-releases before commits without a tag (Go Modules Reference, "GOPROXY protocol"). */
function compareLatest(one: string, other: string): number {
  return rank(one) - rank(other) || compareVersions(one, other);
}

function rank(version: string): number {
  if (isPseudoVersion(version)) return 0;
  return parseVersion(version)?.prerelease.length === 0 ? 2 : 1;
}
