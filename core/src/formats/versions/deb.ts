import { compareDigits, matchVersion, type VersionOrder } from './version-order.js';

interface DebKey {
  readonly epoch: string;
  readonly upstream: string;
  readonly revision: string;
}

const FORM = /^(?:(\d+):)?([A-Za-z0-9.+~-]+?)(?:-([A-Za-z0-9.+~]+))?$/;

/** Debian and Ubuntu: deb-version(7), Debian Policy §5.6.12. */
export const debOrder: VersionOrder<DebKey> = {
  parse(text) {
    const match = matchVersion(FORM, text.trim());
    if (match === null) return undefined;
    // An absent revision is the same as `0`.
    return { epoch: match[1] ?? '0', upstream: match[2] as string, revision: match[3] ?? '0' };
  },
  compare: (one, other) =>
    compareDigits(one.epoch, other.epoch) ||
    compareParts(one.upstream, other.upstream) ||
    compareParts(one.revision, other.revision),
};

/** Alternately what is no digit, sign by sign, and what is a number. */
function compareParts(one: string, other: string): number {
  let first = 0;
  let second = 0;
  while (first < one.length || second < other.length) {
    while ((first < one.length && !isDigit(one, first)) || (second < other.length && !isDigit(other, second))) {
      const order = weight(one, first) - weight(other, second);
      if (order !== 0) return order;
      first += 1;
      second += 1;
    }
    const firstEnd = digitsEnd(one, first);
    const secondEnd = digitsEnd(other, second);
    const order = compareDigits(one.slice(first, firstEnd), other.slice(second, secondEnd));
    if (order !== 0) return order;
    first = firstEnd;
    second = secondEnd;
  }
  return 0;
}

/** `~` before the end, the end (and a digit, where the other goes on) before letters, letters before everything else. */
function weight(text: string, index: number): number {
  if (index >= text.length || isDigit(text, index)) return 0;
  const code = text.charCodeAt(index);
  if (code === 126) return -1;
  const isLetter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  return isLetter ? code : code + 256;
}

function isDigit(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code >= 48 && code <= 57;
}

function digitsEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isDigit(text, end)) end += 1;
  return end;
}
