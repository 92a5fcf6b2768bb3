import type { PackageCoordinates } from '../api/coordinates.js';
import {
  comparePythonVersions,
  normalisePythonVersion,
  parsePythonVersion,
  type PythonVersion,
  pythonVersionIdentity,
} from '../formats/versions/python-version.js';
import { apkOrder } from '../formats/versions/apk.js';
import { debOrder } from '../formats/versions/deb.js';
import { mavenOrder } from '../formats/versions/maven.js';
import { rpmOrder } from '../formats/versions/rpm.js';
import { composerOrder, gemOrder, nugetOrder } from '../formats/versions/segments.js';
import { compareSemanticVersions, type SemanticVersion } from '../formats/versions/semantic-version.js';
import type { VersionOrder } from '../formats/versions/version-order.js';
import { compileNamePattern } from '../formats/glob.js';
import { type Matcher } from './patterns.js';

const COMPARATOR = /^(>=|<=|>|<|=)(.+)$/;
const LONGEST_VERSION = 200;
/** Any number of numbers; build metadata may be anything. */
const SEMANTIC = /^v?(\d+(?:\.\d+)*)(?:-([0-9a-z-]+(?:\.[0-9a-z-]+)*))?(?:\+.*)?$/is;

/** The same text for versions that are one to the clients of an ecosystem. Others: each spelling is a version of its own. */
const IDENTITIES: ReadonlyMap<string, (version: string) => string> = new Map([
  ['pypi', pythonVersionIdentity],
  // npm compares without build metadata (semver.org §10), and takes `v1.0.0` and `=1.0.0` for `1.0.0`.
  ['npm', (version) => version.replace(/^[v=\s]+(?=\d)/, '').replace(/^(\d[^+]*)\+.*$/s, '$1')],
  // Go writes `v2.0.0+incompatible`, advisories and people `2.0.0`; a path has only one of them.
  ['golang', (version) => version.replace(/^v(?=\d)/, '').replace(/\+incompatible$/, '')],
]);

/** Whether two versions are one: `1.0` and `1.0.0` for Python (PEP 440). */
export function isSameVersion(ecosystem: string, a: string, b: string): boolean {
  return a === b || versionIdentity(ecosystem, a) === versionIdentity(ecosystem, b);
}

/** The same text for all spellings of a version. Only for comparing: it is not always a version. */
export function versionIdentity(ecosystem: string, version: string): string {
  return IDENTITIES.get(ecosystem)?.(version) ?? version;
}

/**
 * The order of two versions of an ecosystem: precedence of semantic versions (semver.org §11), for `pypi` that of PEP 440 without
 * local versions, both with any number of numbers, for Debian, RPM, Alpine, Maven, NuGet, Composer and gems that of their own tools. `undefined` when one
 * of them is none, or the order of the ecosystem is not known here.
 */
export function compareVersions(ecosystem: string, a: string, b: string): number | undefined {
  // Pacman orders versions by rules of its own.
  if (ecosystem === 'alpm') return undefined;
  const order = ORDERS.get(ecosystem) ?? SEMANTIC_ORDER;
  const [left, right] = [order.parse(a), order.parse(b)];
  return left === undefined || right === undefined ? undefined : Math.sign(order.compare(left, right));
}

/** Whether a text can stand among the `versions` of a rule. */
export function isVersionPattern(text: string): boolean {
  const comparators = comparatorsOf(text);
  return (
    comparators === undefined ||
    comparators.every(
      ({ version }) => /^v?\d/.test(version) && KNOWN_ORDERS.some((order) => order.parse(version) !== undefined),
    )
  );
}

/**
 * A matcher for versions in any of their spellings, with `*`, or in ranges (`>=1.0.0 <2.0.0`). What has no order is in no range.
 */
export function compileVersions(patterns: readonly string[]): Matcher<PackageCoordinates> {
  const matchers = patterns.map(compileVersionPattern);
  return (coordinates) => matchers.some((matches) => matches(coordinates));
}

function compileVersionPattern(pattern: string): Matcher<PackageCoordinates> {
  const comparators = comparatorsOf(pattern);
  if (comparators !== undefined) {
    return ({ ecosystem, version }) =>
      version !== undefined &&
      comparators.every((comparator) =>
        holds(comparator.operator, compareVersions(ecosystem, version, comparator.version)),
      );
  }
  if (pattern.includes('*')) return compileVersionGlob(pattern);
  const own = new Map([...IDENTITIES].map(([ecosystem, identity]) => [ecosystem, identity(pattern)]));
  return ({ ecosystem, version }) => {
    if (version === undefined || version === pattern) return version === pattern;
    const identity = IDENTITIES.get(ecosystem);
    return identity !== undefined && identity(version) === own.get(ecosystem);
  };
}

/** For Python `1.0.*` is also what PEP 440 ("Version matching") means by it, and other patterns match the normal form, too. */
function compileVersionGlob(pattern: string): Matcher<PackageCoordinates> {
  const matches = compileNamePattern(pattern);
  const matchesNormal = compileNamePattern(pattern.toLowerCase());
  const prefix = /^(?:\d+!)?[\d.]+\.\*$/.test(pattern) ? parsePythonVersion(pattern.slice(0, -2)) : undefined;
  return ({ ecosystem, version }) => {
    if (version === undefined) return false;
    if (matches(version)) return true;
    const parsed = ecosystem === 'pypi' ? parsePythonVersion(version) : undefined;
    if (parsed === undefined) return false;
    if (prefix === undefined) return matchesNormal(normalisePythonVersion(version));
    return prefix.epoch === parsed.epoch && prefix.release.every((part, at) => part === (parsed.release[at] ?? '0'));
  };
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

const SEMANTIC_ORDER: VersionOrder<SemanticVersion> = {
  parse(text) {
    const match = text.length > LONGEST_VERSION ? null : SEMANTIC.exec(text);
    if (match === null) return undefined;
    return { numbers: (match[1] as string).split('.'), prerelease: match[2]?.split('.') ?? [] };
  },
  compare: compareSemanticVersions,
};

/** Precedence without local versions. */
const PYTHON_ORDER: VersionOrder<PythonVersion> = {
  parse(text) {
    const version = parsePythonVersion(text);
    return version && { ...version, local: undefined };
  },
  compare: comparePythonVersions,
};

const ORDERS: ReadonlyMap<string, VersionOrder> = new Map<string, VersionOrder>([
  ['pypi', PYTHON_ORDER],
  ['gem', gemOrder],
  ['deb', debOrder],
  ['rpm', rpmOrder],
  ['apk', apkOrder],
  ['maven', mavenOrder],
  ['nuget', nugetOrder],
  ['composer', composerOrder],
]);
const KNOWN_ORDERS: readonly VersionOrder[] = [SEMANTIC_ORDER as VersionOrder, ...ORDERS.values()];
