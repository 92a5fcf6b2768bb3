import {
  compareDigits,
  compareLists,
  compareSequences,
  compareText,
  matchVersion,
  type VersionOrder,
} from './version-order.js';

interface ApkKey {
  readonly numbers: readonly string[];
  readonly letter: string;
  readonly suffixes: readonly (readonly [rank: number, digits: string])[];
  readonly revision: string;
}

const FORM = /^(\d+(?:\.\d+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?$/;
const SUFFIXES = ['alpha', 'beta', 'pre', 'rc', '', 'cvs', 'svn', 'git', 'hg', 'p'];
const NO_SUFFIX = [SUFFIXES.indexOf(''), '0'] as const;

/** Alpine, Wolfi, Chainguard: apk-package(5), "pkgver". */
export const apkOrder: VersionOrder<ApkKey> = {
  parse(text) {
    const match = matchVersion(FORM, text);
    if (match === null) return undefined;
    return {
      numbers: (match[1] as string).split('.'),
      letter: match[2] ?? '',
      suffixes: [...(match[3] ?? '').matchAll(/_([a-z]+)(\d*)/g)].map(
        ([, word, digits]) => [SUFFIXES.indexOf(word as string), digits as string] as const,
      ),
      revision: match[4] ?? '0',
    };
  },
  compare: (one, other) =>
    compareSequences(one.numbers, other.numbers, compareNumbers) ||
    compareText(one.letter, other.letter) ||
    compareLists(one.suffixes, other.suffixes, NO_SUFFIX, compareSuffixes) ||
    compareDigits(one.revision, other.revision),
};

/** From the second one on, numbers with a leading zero are fractions, and compare as text. */
function compareNumbers(one: string, other: string, index: number): number {
  const isFraction = index > 0 && (one.startsWith('0') || other.startsWith('0'));
  return isFraction ? compareText(one, other) : compareDigits(one, other);
}

function compareSuffixes(one: readonly [number, string], other: readonly [number, string]): number {
  return one[0] - other[0] || compareDigits(one[1], other[1]);
}
