import { comparePrereleases } from './semantic-version.js';
import {
  compareDigits,
  compareLists,
  compareParts,
  compareSequences,
  isNumber,
  matchVersion,
  type VersionOrder,
} from './version-order.js';

const GEM = /^\d+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const GEM_SEGMENT = /\d+|[A-Za-z]+/g;

/** RubyGems: `Gem::Version`. Words come before numbers, so a version with one is a prerelease; a `-` means `.pre.`. */
export const gemOrder: VersionOrder<readonly string[]> = {
  parse(text) {
    const match = matchVersion(GEM, text.trim());
    if (match === null) return undefined;
    const parts = match[0].replace('-', '.pre.').match(GEM_SEGMENT) ?? [];
    const firstWord = parts.findIndex((part) => !isNumber(part));
    // Zeros at the end of the numbers, and of the whole, do not count.
    const numbers = firstWord === -1 ? parts : parts.slice(0, firstWord);
    return [...withoutZeros(numbers), ...withoutZeros(firstWord === -1 ? [] : parts.slice(firstWord))];
  },
  compare: (one, other) => compareLists(one, other, '0', compareParts),
};

function withoutZeros(parts: readonly string[]): readonly string[] {
  let end = parts.length;
  while (end > 0 && /^0+$/.test(parts[end - 1] as string)) end -= 1;
  return parts.slice(0, end);
}

interface NugetKey {
  readonly numbers: readonly string[];
  /** Of a prerelease; empty: a release. */
  readonly labels: readonly string[];
}

const NUGET = /^v?(\d+(?:\.\d+){0,3})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]*)?$/i;

/** NuGet: SemVer 2.0.0 with a fourth number and without case. */
export const nugetOrder: VersionOrder<NugetKey> = {
  parse(text) {
    const match = matchVersion(NUGET, text.trim());
    if (match === null) return undefined;
    return { numbers: (match[1] as string).split('.'), labels: match[2]?.toLowerCase().split('.') ?? [] };
  },
  compare: (one, other) =>
    compareLists(one.numbers, other.numbers, '0', compareDigits) || comparePrereleases(one.labels, other.labels),
};

const COMPOSER = /^v?\d[0-9a-z#]*(?:[.\-_+][0-9a-z#]+)*$/i;
const COMPOSER_PART = /\d+|[a-z]+|#/gi;
/** PHP's `version_compare`: any other word, then these; `0` stands for all numbers. */
const COMPOSER_WORDS = [['dev'], ['alpha', 'a'], ['beta', 'b'], ['rc', 'c'], ['#'], ['0'], ['pl', 'p', 'patch']];

/** Packagist: PHP's `version_compare`, which Composer's own order is built upon. */
export const composerOrder: VersionOrder<readonly string[]> = {
  parse(text) {
    if (matchVersion(COMPOSER, text) === null) return undefined;
    const parts = text.toLowerCase().match(COMPOSER_PART) ?? [];
    return fillComposer(parts[0] === 'v' ? parts.slice(1) : parts);
  },
  compare: (one, other) => compareLists(one, other, '#', compareComposerParts),
};

/** Composer fills versions up to four numbers. */
function fillComposer(parts: readonly string[]): readonly string[] {
  const firstWord = parts.findIndex((part) => !isNumber(part));
  const numbers = firstWord === -1 ? parts : parts.slice(0, firstWord);
  const zeros = Array.from({ length: Math.max(0, 4 - numbers.length) }, () => '0');
  return [...numbers, ...zeros, ...(firstWord === -1 ? [] : parts.slice(firstWord))];
}

function compareComposerParts(one: string, other: string): number {
  if (isNumber(one) && isNumber(other)) return compareDigits(one, other);
  return composerRank(one) - composerRank(other);
}

function composerRank(part: string): number {
  const word = isNumber(part) ? '0' : part;
  return COMPOSER_WORDS.findIndex((words) => words.includes(word));
}

const NUMBERS = /^\d+(?:[.-]\d+)*$/;

/** CRAN and Hackage: numbers alone; more of them come after fewer. */
export const numbersOrder: VersionOrder<readonly string[]> = {
  parse: (text) => matchVersion(NUMBERS, text)?.[0].split(/[.-]/),
  compare: (one, other) => compareSequences(one, other, compareDigits),
};
