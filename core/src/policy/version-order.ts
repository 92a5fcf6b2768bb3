import type { PackageCoordinates } from '../api/coordinates.js';
import { compileGlob, type Matcher } from './patterns.js';

/** Ecosystems whose versions are ordered by rules of their own that are not here. */
const OTHER_ORDERS: ReadonlySet<string> = new Set(['deb', 'rpm', 'apk', 'alpm', 'maven', 'gem']);

/** What comes before (below 0) and after (above 0) a release; PEP 440, "Summary of permitted suffixes and relative ordering". */
const PYTHON_RANKS: Readonly<Record<string, number>> = {
  dev: -4,
  a: -3,
  alpha: -3,
  b: -2,
  beta: -2,
  c: -1,
  rc: -1,
  pre: -1,
  preview: -1,
  post: 1,
  rev: 1,
  r: 1,
};

const COMPARATOR = /^(>=|<=|>|<|=)(.+)$/;
const LONGEST_VERSION = 200;

interface ParsedVersion {
  readonly release: readonly number[];
  /** Python: numbers that compare one by one, 0 behind the end. Others: the identifiers of a prerelease. */
  readonly suffix: readonly (number | string)[];
}

/**
 * The order of two versions of an ecosystem: precedence of semantic versions (semver.org §11), for `pypi` that of PEP 440, both
 * with any number of numbers. `undefined` when one of them is none.
 */
export function compareVersions(ecosystem: string, a: string, b: string): number | undefined {
  const left = parse(ecosystem, a);
  const right = parse(ecosystem, b);
  if (left === undefined || right === undefined) return undefined;
  const byRelease = compareNumbers(left.release, right.release);
  if (byRelease !== 0) return byRelease;
  if (ecosystem === 'pypi') return compareNumbers(left.suffix as number[], right.suffix as number[]);
  return comparePrereleases(left.suffix, right.suffix);
}

/** Whether a text can stand among the `versions` of a rule. */
export function isVersionPattern(text: string): boolean {
  const comparators = comparatorsOf(text);
  return (
    comparators === undefined ||
    comparators.every(({ version }) => (parse('npm', version) ?? parse('pypi', version)) !== undefined)
  );
}

/** A matcher for versions as they are, with `*`, or in ranges (`>=1.0.0 <2.0.0`). What has no order is in no range. */
export function compileVersions(patterns: readonly string[]): Matcher<PackageCoordinates> {
  const matchers = patterns.map(compileVersionPattern);
  return (coordinates) => matchers.some((matches) => matches(coordinates));
}

function compileVersionPattern(pattern: string): Matcher<PackageCoordinates> {
  const comparators = comparatorsOf(pattern);
  if (comparators === undefined) {
    const matches = compileGlob(pattern);
    return ({ version }) => version !== undefined && matches(version);
  }
  return ({ ecosystem, version }) =>
    version !== undefined &&
    comparators.every((comparator) =>
      holds(comparator.operator, compareVersions(ecosystem, version, comparator.version)),
    );
}

interface Comparator {
  readonly operator: string;
  readonly version: string;
}

/** The parts of a range; `undefined` when the text is none. */
function comparatorsOf(text: string): Comparator[] | undefined {
  const parts = text.trim().split(/\s+/);
  const comparators = parts.flatMap((part) => {
    const match = COMPARATOR.exec(part);
    return match === null ? [] : [{ operator: match[1] as string, version: match[2] as string }];
  });
  return comparators.length === 0 || comparators.length < parts.length ? undefined : comparators;
}

function holds(operator: string, order: number | undefined): boolean {
  if (order === undefined) return false;
  if (order === 0) return operator.includes('=');
  return operator.startsWith(order < 0 ? '<' : '>');
}

function parse(ecosystem: string, text: string): ParsedVersion | undefined {
  if (text.length > LONGEST_VERSION || OTHER_ORDERS.has(ecosystem)) return undefined;
  const [plain] = text.split('+', 1) as [string];
  const match = /^v?(?:(\d+)!)?(\d+(?:\.\d+)*)/i.exec(plain);
  if (match === null) return undefined;
  const [start, epoch, numbers] = match as unknown as [string, string | undefined, string];
  const rest = plain.slice(start.length);
  const release = [Number(epoch ?? 0), ...numbers.split('.').map(Number)];
  const suffix = ecosystem === 'pypi' ? pythonSuffix(rest) : prerelease(rest);
  return suffix && { release, suffix };
}

/** `rc1.dev2` as `[-1, 1, -4, 2]`. */
function pythonSuffix(text: string): number[] | undefined {
  const lower = text.toLowerCase();
  if (!/^[a-z0-9]*(?:[-_.][a-z0-9]+)*$/.test(lower)) return undefined;
  // `1.0-1` is the first post-release of 1.0.
  const words = (/^-\d/.test(lower) ? `post${lower}` : lower).match(/[a-z]+|\d+/g) ?? [];
  const ranks = words.map((word) => PYTHON_RANKS[word] ?? Number(word));
  return ranks.some(Number.isNaN) ? undefined : ranks;
}

function prerelease(text: string): (number | string)[] | undefined {
  if (text === '') return [];
  if (!/^-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/.test(text)) return undefined;
  return text
    .slice(1)
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function comparePrereleases(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  if (a.length === 0 || b.length === 0) return Math.sign(b.length - a.length);
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const [left, right] = [a[index] as number | string, b[index] as number | string];
    if (left === right) continue;
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return Math.sign(a.length - b.length);
}
