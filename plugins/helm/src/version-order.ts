import { compareDigits, compareSemanticVersions, compareText, type SemanticVersion } from '@entrepot/core/formats';

const VERSION =
  /^v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const LONGEST = 256;
const LARGEST_NUMBER = '18446744073709551615';

/**
 * A chart's version as helm reads it (Masterminds/semver v3, `NewVersion`): Semantic Versioning 2.0.0, but a leading `v`,
 * leading zeros, and versions of one or two numbers are allowed. `undefined` where helm takes `text` for no version.
 */
export function parseChartVersion(text: string): SemanticVersion | undefined {
  const match = text.length > LONGEST ? null : VERSION.exec(text);
  if (match === null) return undefined;
  const [, major = '', minor = '0', patch = '0', tail] = match;
  const numbers = [major, minor, patch];
  if (numbers.some((number) => compareDigits(number, LARGEST_NUMBER) > 0)) return undefined;
  const prerelease = tail === undefined ? [] : tail.split('.');
  if (prerelease.some((part) => /^0[0-9]+$/.test(part))) return undefined;
  return { numbers, prerelease };
}

/**
 * Sorts entries from the newest version to the oldest. Of versions that differ in their build metadata alone the one without any
 * comes first, and the others are ordered by their text, so that one set has one order; what is no version comes last.
 */
export function newestFirst<Entry extends { readonly version: string }>(entries: Iterable<Entry>): Entry[] {
  const parsed = [...entries].map((entry) => ({ entry, parts: parseChartVersion(entry.version) }));
  parsed.sort((one, other) => {
    if (one.parts === undefined || other.parts === undefined)
      return Number(one.parts === undefined) - Number(other.parts === undefined) || byText(one.entry, other.entry);
    return -compareSemanticVersions(one.parts, other.parts) || byText(one.entry, other.entry);
  });
  return parsed.map(({ entry }) => entry);
}

/** Finds ChartMuseum's `latest`: the newest version that is no prerelease. */
export function latestStable<Entry extends { readonly version: string }>(entries: Iterable<Entry>): Entry | undefined {
  return newestFirst(entries).find(({ version }) => parseChartVersion(version)?.prerelease.length === 0);
}

function byText({ version }: { readonly version: string }, other: { readonly version: string }): number {
  const [built, otherBuilt] = [version.includes('+'), other.version.includes('+')];
  return Number(built) - Number(otherBuilt) || compareText(other.version, version);
}
