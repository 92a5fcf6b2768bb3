import type { SemVer } from 'semver';
import compare from 'semver/functions/compare.js';
import parse from 'semver/functions/parse.js';

/** A version that clients may be pointed to. */
export interface Candidate {
  readonly version: string;
  readonly deprecated: boolean;
}

/**
 * Moves dist-tags off a version that policy refuses. A tag goes to the newest version that is left and not above the
 * refused one (`v1-lts` must not become 3.0.0); to a deprecated one only when there is no other; to a prerelease only
 * when it pointed to one. `latest` may go above when nothing is left below. Where nothing fits, the tag is dropped.
 */
export function createTagMover(candidates: readonly Candidate[]): (tag: string, refused: string) => string | undefined {
  interface Known extends Candidate {
    readonly parsed: SemVer;
  }
  let newestFirst: readonly Known[] | undefined;

  function sorted(): readonly Known[] {
    const known: Known[] = [];
    for (const candidate of candidates) {
      const parsed = parse(candidate.version, { loose: true });
      if (parsed !== null) known.push({ ...candidate, parsed });
    }
    return known.sort((one, other) => compare(other.parsed, one.parsed));
  }

  return (tag, refused) => {
    const target = parse(refused, { loose: true });
    if (target === null) return undefined;
    newestFirst ??= sorted();
    const stable = target.prerelease.length === 0;
    const fitting = newestFirst.filter(({ parsed }) => !stable || parsed.prerelease.length === 0);
    const below = fitting.filter(({ parsed }) => compare(parsed, target) <= 0);
    const choices = below.length > 0 || tag !== 'latest' ? below : fitting;
    return (choices.find(({ deprecated }) => !deprecated) ?? choices[0])?.version;
  };
}
