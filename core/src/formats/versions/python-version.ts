import {
  compareDigits,
  compareLists,
  compareParts,
  compareSequences,
  compareText,
  isDigits,
  type VersionOrder,
} from './version-order.js';

/** A version as PEP 440 reads it. Numbers are digits without zeros in front: they may be longer than a double counts. */
export interface PythonVersion {
  readonly epoch: string;
  readonly release: readonly string[];
  /** `a`, `b` or `rc`, and its number. */
  readonly pre: readonly [phase: string, number: string] | undefined;
  readonly post: string | undefined;
  readonly dev: string | undefined;
  readonly local: readonly string[] | undefined;
}

/** PEP 440, Appendix B. Without the flag `u`, letters match without case among those of ASCII only. */
const VERSION =
  /^v?(?:(?<epoch>\d+)!)?(?<release>\d+(?:\.\d+)*)(?:[-_.]?(?<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?<preNumber>\d*))?(?:-(?<implicitPost>\d+)|[-_.]?(?<post>post|rev|r)[-_.]?(?<postNumber>\d*))?(?:[-_.]?(?<dev>dev)[-_.]?(?<devNumber>\d*))?(?:\+(?<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$/i;

const PHASES: Readonly<Record<string, string>> = { alpha: 'a', beta: 'b', c: 'rc', pre: 'rc', preview: 'rc' };
/** The longest version. It bounds the time that the expression above takes. */
const LONGEST = 200;

/** The form of most versions: release numbers alone, normalised. */
const PLAIN = /^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*$/;

/** A version in any of the spellings that PEP 440 takes for it; `undefined` when the text is none. */
export function parsePythonVersion(text: string): PythonVersion | undefined {
  if (isPlain(text)) {
    const release = text.split('.');
    return { epoch: '0', release, pre: undefined, post: undefined, dev: undefined, local: undefined };
  }
  const found = text.length > LONGEST ? undefined : VERSION.exec(text.trim())?.groups;
  if (found === undefined) return undefined;
  const { epoch, release = '', pre, preNumber, implicitPost, post, postNumber, dev, devNumber, local } = found;
  const phase = pre?.toLowerCase();
  return {
    epoch: number(epoch),
    release: release.split('.').map(number),
    pre: phase === undefined ? undefined : [PHASES[phase] ?? phase, number(preNumber)],
    post: post === undefined ? implicitPost && number(implicitPost) : number(postNumber),
    dev: dev === undefined ? undefined : number(devNumber),
    local: local
      ?.toLowerCase()
      .split(/[-_.]/)
      .map((part) => (isDigits(part) ? number(part) : part)),
  };
}

/** The order of PEP 440, "Summary of permitted suffixes and relative ordering": below 0 when `one` comes before `other`. */
export function comparePythonVersions(one: PythonVersion, other: PythonVersion): number {
  return Math.sign(
    compareDigits(one.epoch, other.epoch) ||
      compareLists(one.release, other.release, '0', compareDigits) ||
      comparePhases(phaseOf(one), phaseOf(other)) ||
      comparePosts(one.post, other.post) ||
      compareDevelopment(one.dev, other.dev) ||
      compareLocal(one.local, other.local),
  );
}

/** Python: PEP 440. */
export const pep440Order: VersionOrder<PythonVersion> = { parse: parsePythonVersion, compare: comparePythonVersions };

/** `text` in the normal form of PEP 440; as it is when it is no such version. */
export function normalisePythonVersion(text: string): string {
  if (isPlain(text)) return text;
  const version = parsePythonVersion(text);
  return version === undefined ? text : print(version);
}

/** The same text for versions that are equal by PEP 440: `1.0`, `1.0.0` and `v1` are. */
export function pythonVersionIdentity(text: string): string {
  if (isPlain(text)) return withoutTrailingZeros(text);
  const version = parsePythonVersion(text);
  if (version === undefined) return text;
  const last = version.release.findLastIndex((part) => part !== '0');
  return print({ ...version, release: version.release.slice(0, Math.max(1, last + 1)) });
}

function withoutTrailingZeros(text: string): string {
  let end = text.length;
  while (text.endsWith('.0', end)) end -= 2;
  return text.slice(0, end);
}

function isPlain(text: string): boolean {
  return text.length <= LONGEST && PLAIN.test(text);
}

function print({ epoch, release, pre, post, dev, local }: PythonVersion): string {
  return [
    epoch === '0' ? '' : `${epoch}!`,
    release.join('.'),
    pre?.join('') ?? '',
    post === undefined ? '' : `.post${post}`,
    dev === undefined ? '' : `.dev${dev}`,
    local === undefined ? '' : `+${local.join('.')}`,
  ].join('');
}

/** A development release of nothing else comes before the prereleases, what has no prerelease after them. */
function phaseOf({ pre, post, dev }: PythonVersion): readonly [phase: string, number: string] {
  return pre ?? (post === undefined && dev !== undefined ? ['', '0'] : ['release', '0']);
}

/** In the order of the alphabet: nothing, `a`, `b`, `rc`, `release`. */
function comparePhases(one: readonly [string, string], other: readonly [string, string]): number {
  return compareText(one[0], other[0]) || compareDigits(one[1], other[1]);
}

/** Nothing comes before every post release. */
function comparePosts(one: string | undefined, other: string | undefined): number {
  if (one === undefined || other === undefined) return Number(one !== undefined) - Number(other !== undefined);
  return compareDigits(one, other);
}

function compareDevelopment(one: string | undefined, other: string | undefined): number {
  if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
  return compareDigits(one, other);
}

/** Numbers come after words, more parts after fewer. */
function compareLocal(one: readonly string[] = [], other: readonly string[] = []): number {
  return compareSequences(one, other, compareParts);
}

function number(digits: string | undefined): string {
  return digits?.replace(/^0+(?=\d)/, '') || '0';
}
