import type { ArtifactDescription } from '@entrepot/core';
import compare from 'semver/functions/compare.js';
import parse from 'semver/functions/parse.js';

/** Finds another version for a tag that points to a refused one. `undefined`: there is none. */
export type TagMover = (tag: string, refused: string) => string | undefined;

/**
 * Moves dist-tags off a version that policy refuses. A tag goes to the newest version that is left and not above the
 * refused one (`v1-lts` must not become 3.0.0); to a deprecated one only when there is no other; to a prerelease only
 * when it pointed to one. `latest` may go above when nothing is left below. Where nothing fits, the tag is dropped.
 */
export function createTagMover(
  versions: ReadonlyMap<string, ArtifactDescription>,
  refused: ReadonlySet<string>,
): TagMover {
  let newestFirst: ReturnType<typeof sortVersions> | undefined;
  return (tag, version) => {
    const target = parse(version, { loose: true });
    if (target === null) return undefined;
    newestFirst ??= sortVersions(versions, refused);
    const stable = target.prerelease.length === 0;
    const fitting = newestFirst.filter(({ parsed }) => !stable || parsed.prerelease.length === 0);
    const below = fitting.filter(({ parsed }) => compare(parsed, target) <= 0);
    const choices = below.length > 0 || tag !== 'latest' ? below : fitting;
    return (choices.find(({ deprecated }) => deprecated !== true) ?? choices[0])?.version;
  };
}

/** The versions that are left, the newest first. */
function sortVersions(versions: ReadonlyMap<string, ArtifactDescription>, refused: ReadonlySet<string>) {
  const left = [...versions].filter(([version]) => !refused.has(version));
  return left
    .flatMap(([version, { deprecated }]) => {
      const parsed = parse(version, { loose: true });
      return parsed === null ? [] : [{ version, deprecated, parsed }];
    })
    .sort((one, other) => compare(other.parsed, one.parsed));
}
