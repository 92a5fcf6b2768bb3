import { compareDigits, compareParts, matchVersion, type VersionOrder } from './version-order.js';

interface RpmKey {
  readonly epoch: string;
  readonly version: readonly string[];
  readonly release: readonly string[] | undefined;
}

const FORM = /^(?:(\d+):)?([^-\s]+)(?:-([^\s]+))?$/;
const SEGMENT = /\d+|[A-Za-z]+|[~^]/g;

/** Red Hat, SUSE and relatives: rpm-version(7). */
export const rpmOrder: VersionOrder<RpmKey> = {
  parse(text) {
    const match = matchVersion(FORM, text.trim());
    if (match === null) return undefined;
    return {
      epoch: match[1] ?? '0',
      version: segments(match[2] as string),
      release: match[3] === undefined ? undefined : segments(match[3]),
    };
  },
  compare(one, other) {
    const order = compareDigits(one.epoch, other.epoch) || compareSegments(one.version, other.version);
    if (order !== 0) return order;
    // No release comes before every release.
    if (one.release === undefined || other.release === undefined) {
      return Number(one.release !== undefined) - Number(other.release !== undefined);
    }
    return compareSegments(one.release, other.release);
  },
};

function segments(text: string): readonly string[] {
  return text.match(SEGMENT) ?? [];
}

/** `~` is before the end, `^` after the end but before everything else; numbers are after words. */
function compareSegments(one: readonly string[], other: readonly string[]): number {
  for (let index = 0; ; index += 1) {
    const first = one[index];
    const second = other[index];
    if (first === second) {
      if (first === undefined) return 0;
      continue;
    }
    if (first === '~' || second === '~') return first === '~' ? -1 : 1;
    if (first === '^') return second === undefined ? 1 : -1;
    if (second === '^') return first === undefined ? -1 : 1;
    if (first === undefined || second === undefined) return first === undefined ? -1 : 1;
    const order = compareParts(first, second);
    if (order !== 0) return order;
  }
}
