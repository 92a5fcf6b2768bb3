import { compareSemanticVersions, compareText, type SemanticVersion } from '@entrepot/core/formats';

/** A semantic version with `v` in front (semver.org 2.0.0 as golang.org/x/mod/semver reads it). */
export interface Version extends SemanticVersion {
  readonly text: string;
  /** Without `+`; empty when there is none. */
  readonly build: string;
}

const VERSION =
  /^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/;
/** A number of a prerelease that begins with a zero, which is none (semver.org, §9). */
const LEADING_ZERO = /(?:^|\.)0[0-9]+(?:\.|$)/;

/** The three forms of a pseudo-version (Go Modules Reference, "Pseudo-versions"). */
const PSEUDO =
  /^v[0-9]+\.(?:0\.0-|[0-9]+\.[0-9]+-(?:[0-9A-Za-z.-]*\.)?0\.)([0-9]{14})-[A-Za-z0-9]+(?:\+[0-9A-Za-z.-]+)?$/;

const LONGEST = 256;

/** Reads a version. `undefined` where `text` is no complete one: short forms (`v1`, `v1.2`) are queries. */
export function parseVersion(text: string): Version | undefined {
  if (text.length > LONGEST) return undefined;
  const match = VERSION.exec(text);
  if (match === null) return undefined;
  const [, major = '', minor = '', patch = '', prerelease = '', build = ''] = match;
  if (LEADING_ZERO.test(prerelease)) return undefined;
  return { text, numbers: [major, minor, patch], prerelease: prerelease === '' ? [] : prerelease.split('.'), build };
}

/** Whether `text` is the one spelling of its version: complete, and without build metadata but `+incompatible`. */
export function isCanonicalVersion(text: string): boolean {
  const version = parseVersion(text);
  return version !== undefined && (version.build === '' || version.build === 'incompatible');
}

/** Whether `text` names a commit that has no tag. */
export function isPseudoVersion(text: string): boolean {
  return text.length <= LONGEST && PSEUDO.test(text);
}

/** Reads the time of a pseudo-version's commit, in milliseconds since the epoch. `undefined` for another version. */
export function pseudoVersionTime(text: string): number | undefined {
  const digits = text.length <= LONGEST ? PSEUDO.exec(text)?.[1] : undefined;
  if (digits === undefined) return undefined;
  const time = Date.parse(digits.replace(/(....)(..)(..)(..)(..)(..)/, '$1-$2-$3T$4:$5:$6Z'));
  return Number.isNaN(time) ? undefined : time;
}

/** Orders versions (semver.org, §11); by their text where they are equal but for the build. */
export function compareVersions(one: Version, other: Version): number {
  return compareSemanticVersions(one, other) || compareText(one.text, other.text);
}
