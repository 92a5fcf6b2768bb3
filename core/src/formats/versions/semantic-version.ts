import {
  compareDigits,
  compareLists,
  compareSequences,
  compareText,
  isDigits,
  matchVersion,
  type VersionOrder,
} from './version-order.js';

/** A version by Semantic Versioning 2.0.0, with any number of numbers. Numbers are digits: they may be longer than a double counts. */
export interface SemanticVersion {
  readonly numbers: readonly string[];
  /** The identifiers of a prerelease; empty: a release. */
  readonly prerelease: readonly string[];
}

const PARTIAL = /^[vV=]?\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/s;
/** Behind three numbers, text without a `-` is a prerelease too in the loose reading (`1.2.3beta`). */
const SUFFIX = /^(?:-?([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** Precedence (semver.org §11): below zero when `one` comes before `other`. Numbers that are missing are zero. */
export function compareSemanticVersions(one: SemanticVersion, other: SemanticVersion): number {
  return (
    compareLists(one.numbers, other.numbers, '0', compareDigits) || comparePrereleases(one.prerelease, other.prerelease)
  );
}

/** The precedence of prereleases (semver.org §11.3, §11.4): numbers before words, more identifiers after fewer, a release last. */
export function comparePrereleases(one: readonly string[], other: readonly string[]): number {
  if (one.length === 0 || other.length === 0) return Number(one.length === 0) - Number(other.length === 0);
  return compareSequences(one, other, compareIdentifiers);
}

/** Numbers come before words (semver.org §11.4.3). */
function compareIdentifiers(one: string, other: string): number {
  const isNumeric = isDigits(one);
  if (isNumeric !== isDigits(other)) return isNumeric ? -1 : 1;
  return isNumeric ? compareDigits(one, other) : compareText(one, other);
}

/**
 * npm, Go, Cargo and others. Build metadata (and Go's `+incompatible`) does not count. A leading `v` is Go's spelling; missing numbers are
 * zero.
 */
export const semverOrder: VersionOrder<SemanticVersion> = {
  parse(text) {
    const match = matchVersion(PARTIAL, text.trim());
    if (match === null) return undefined;
    const [, major = '', minor = '0', patch = '0', suffix = ''] = match;
    if (match[3] === undefined && suffix !== '' && !/^[-+]/.test(suffix)) return undefined;
    const found = SUFFIX.exec(suffix);
    return found === null ? undefined : { numbers: [major, minor, patch], prerelease: found[1]?.split('.') ?? [] };
  },
  compare: compareSemanticVersions,
};
