/** The order of versions in one ecosystem. A version is parsed once and compared often. */
export interface VersionOrder<Key = unknown> {
  /** `undefined`: it is no version of this ecosystem. Never throws. */
  parse(text: string): Key | undefined;
  /** Negative, zero or positive, as `one` is before, the same as, or after `other`. */
  compare(one: Key, other: Key): number;
}

/** The longest version, since versions to compare may come from any client. */
export const LONGEST_VERSION = 512;

/** The order of two sequences by their elements; what is missing in the shorter one is `absent`. */
export function compareLists<Element>(
  one: readonly Element[],
  other: readonly Element[],
  absent: Element,
  compare: (one: Element, other: Element) => number,
): number {
  const length = Math.max(one.length, other.length);
  for (let index = 0; index < length; index += 1) {
    const order = compare(one[index] ?? absent, other[index] ?? absent);
    if (order !== 0) return order;
  }
  return 0;
}

/** The order of two sequences by their elements; the beginning of a sequence comes before the whole. */
export function compareSequences<Element>(
  one: readonly Element[],
  other: readonly Element[],
  compare: (one: Element, other: Element, index: number) => number,
): number {
  for (let index = 0; index < Math.min(one.length, other.length); index += 1) {
    const order = compare(one[index] as Element, other[index] as Element, index);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

/** The order of two parts of a version: words come before numbers. */
export function compareParts(one: string, other: string): number {
  const isNumeric = isDigits(one);
  if (isNumeric !== isDigits(other)) return isNumeric ? 1 : -1;
  return isNumeric ? compareDigits(one, other) : compareText(one, other);
}

export function isDigits(part: string): boolean {
  return /^\d+$/.test(part);
}

/** Whether a part that is digits or letters alone is digits. */
export function isNumber(part: string): boolean {
  const code = part.charCodeAt(0);
  return code >= 48 && code <= 57;
}

/** The match of `form`; `null` also for a text that is too long for a version. */
export function matchVersion(form: RegExp, text: string): RegExpExecArray | null {
  return text.length > LONGEST_VERSION ? null : form.exec(text);
}

/** The order of two decimal numbers of any length, with or without leading zeros. */
export function compareDigits(one: string, other: string): number {
  if (one === other) return 0;
  const first = trimZeros(one);
  const second = trimZeros(other);
  return first.length - second.length || compareText(first, second);
}

/** The order by code units. */
export function compareText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function trimZeros(digits: string): string {
  let start = 0;
  while (start < digits.length && digits.charCodeAt(start) === 48) start += 1;
  return start === 0 ? digits : digits.slice(start);
}
