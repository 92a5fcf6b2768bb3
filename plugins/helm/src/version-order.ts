/**
 * A chart's version as helm reads it (Masterminds/semver v3, `NewVersion`): Semantic Versioning 2.0.0, but a leading `v`,
 * leading zeros, and versions of one or two numbers are allowed.
 */
export interface ChartVersionParts {
  /** Major, minor and patch, without leading zeros. */
  readonly numbers: readonly [string, string, string];
  /** Empty: a stable version. */
  readonly prerelease: readonly string[];
}

const VERSION =
  /^v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const LONGEST = 256;
const LARGEST_NUMBER = '18446744073709551615';
const NUMERIC = /^[0-9]+$/;

/** `undefined` where helm takes `text` for no version. */
export function parseChartVersion(text: string): ChartVersionParts | undefined {
  const match = text.length > LONGEST ? null : VERSION.exec(text);
  if (match === null) return undefined;
  const [, major = '', minor = '0', patch = '0', tail] = match;
  const numbers = [trimmed(major), trimmed(minor), trimmed(patch)] as const;
  if (numbers.some((number) => compareNumbers(number, LARGEST_NUMBER) > 0)) return undefined;
  const prerelease = tail === undefined ? [] : tail.split('.');
  if (prerelease.some((part) => /^0[0-9]+$/.test(part))) return undefined;
  return { numbers, prerelease };
}

/** Below zero when `one` comes before `other` (semver.org §11). Build metadata does not count. */
export function compareParts(one: ChartVersionParts, other: ChartVersionParts): number {
  for (const [at, number] of one.numbers.entries()) {
    const order = compareNumbers(number, other.numbers[at] as string);
    if (order !== 0) return order;
  }
  return comparePrereleases(one.prerelease, other.prerelease);
}

/**
 * `entries` from the newest version to the oldest. Of versions that differ in their build metadata alone the one without any
 * comes first, and the others are ordered by their text, so that one set has one order; what is no version comes last.
 */
export function newestFirst<Entry extends { readonly version: string }>(entries: Iterable<Entry>): Entry[] {
  const parsed = [...entries].map((entry) => ({ entry, parts: parseChartVersion(entry.version) }));
  parsed.sort((one, other) => {
    if (one.parts === undefined || other.parts === undefined) {
      return Number(one.parts === undefined) - Number(other.parts === undefined) || byText(one.entry, other.entry);
    }
    return -compareParts(one.parts, other.parts) || byText(one.entry, other.entry);
  });
  return parsed.map(({ entry }) => entry);
}

/** What `latest` means to ChartMuseum: the newest version that is no prerelease; `undefined` when there is none. */
export function latestStable<Entry extends { readonly version: string }>(entries: Iterable<Entry>): Entry | undefined {
  return newestFirst(entries).find(({ version }) => parseChartVersion(version)?.prerelease.length === 0);
}

function comparePrereleases(one: readonly string[], other: readonly string[]): number {
  if (one.length === 0 || other.length === 0) return Number(one.length === 0) - Number(other.length === 0);
  for (const [at, part] of one.entries()) {
    const against = other[at];
    if (against === undefined) return 1;
    const [numeric, againstNumeric] = [NUMERIC.test(part), NUMERIC.test(against)];
    const order =
      numeric && againstNumeric
        ? compareNumbers(part, against)
        : Number(againstNumeric) - Number(numeric) || compareText(part, against);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

function byText({ version }: { readonly version: string }, other: { readonly version: string }): number {
  const [built, otherBuilt] = [version.includes('+'), other.version.includes('+')];
  return Number(built) - Number(otherBuilt) || compareText(other.version, version);
}

/** Numbers of any size, without leading zeros: the longer one is the larger one. */
function compareNumbers(one: string, other: string): number {
  return one.length - other.length || compareText(one, other);
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

function trimmed(number: string): string {
  return number.replace(/^0+(?=.)/, '');
}
