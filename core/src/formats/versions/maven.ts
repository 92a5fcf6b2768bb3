import { compareDigits, compareText, isNumber, LONGEST_VERSION, type VersionOrder } from './version-order.js';

/** One part and the separator before it: a change between letters and digits is a `-`. */
interface MavenToken {
  readonly separator: '.' | '-';
  readonly text: string;
}

/** Qualifiers in their order; the empty one is the release itself. Unknown ones come last, by name. */
const QUALIFIERS = ['alpha', 'beta', 'milestone', 'rc', 'snapshot', '', 'sp'];
const SYNONYMS: Readonly<Record<string, string>> = { ga: '', final: '', release: '', cr: 'rc' };
const SHORT: Readonly<Record<string, string>> = { a: 'alpha', b: 'beta', m: 'milestone' };
const PART = /([.-]?)(\d+|[^\d.-]+|(?=[.-]|$))/gy;

/** Maven: POM reference, "Version Order Specification". */
export const mavenOrder: VersionOrder<readonly MavenToken[]> = {
  parse(text) {
    if (text === '' || text.length > LONGEST_VERSION) return undefined;
    return trim(tokens(text.toLowerCase()));
  },
  compare(one, other) {
    const length = Math.max(one.length, other.length);
    for (let index = 0; index < length; index += 1) {
      const first = one[index] ?? padding(other[index] as MavenToken);
      const second = other[index] ?? padding(one[index] as MavenToken);
      const order = compareTokens(first, second);
      if (order !== 0) return order;
    }
    return 0;
  },
};

function tokens(text: string): MavenToken[] {
  const found: MavenToken[] = [];
  PART.lastIndex = 0;
  while (PART.lastIndex < text.length) {
    const match = PART.exec(text);
    if (match === null) break;
    const [whole, sign, part] = match as unknown as [string, string, string];
    if (whole === '') break;
    const isLetters = part !== '' && !isNumber(part);
    const beforeDigit = isLetters && isNumber(text.charAt(PART.lastIndex));
    const word = (beforeDigit ? SHORT[part] : undefined) ?? SYNONYMS[part] ?? part;
    // An empty part is a zero.
    found.push({ separator: sign === '.' || found.length === 0 ? '.' : '-', text: part === '' ? '0' : word });
  }
  return found;
}

/** Leaves out null values (0, the empty qualifier) at the end and before each `-`. */
function trim(parts: readonly MavenToken[]): MavenToken[] {
  const kept: MavenToken[] = [];
  for (const [index, part] of parts.entries()) {
    if (index > 0 && part.separator === '-') dropNulls(kept);
    kept.push(part);
  }
  dropNulls(kept);
  return kept;
}

function dropNulls(parts: MavenToken[]): void {
  for (let last = parts.at(-1); last !== undefined && isNull(last); last = parts.at(-1)) parts.pop();
}

function isNull({ text }: MavenToken): boolean {
  return text === '' || /^0+$/.test(text);
}

/** The shorter version is filled up with null values of the longer one's separators. */
function padding({ separator, text }: MavenToken): MavenToken {
  return { separator, text: separator === '.' && isNumber(text) ? '0' : '' };
}

function compareTokens(one: MavenToken, other: MavenToken): number {
  if (one.separator === other.separator || one.text === '' || other.text === '') {
    const isOne = isNumber(one.text);
    const isOther = isNumber(other.text);
    if (isOne && isOther) return compareDigits(one.text, other.text);
    if (isOne !== isOther) {
      // Numbers come after words; the empty one that fills up stands for zero.
      if (one.text === '' || other.text === '') return isOne ? Number(!isNull(one)) : -Number(!isNull(other));
      return isOne ? 1 : -1;
    }
    return rank(one.text) - rank(other.text) || compareText(one.text, other.text);
  }
  return tokenRank(one) - tokenRank(other);
}

/** `.qualifier` = `-qualifier` < `-number` < `.number`. */
function tokenRank({ separator, text }: MavenToken): number {
  if (!isNumber(text)) return separator === '.' ? 0 : 1;
  return separator === '-' ? 2 : 3;
}

function rank(text: string): number {
  const index = QUALIFIERS.indexOf(text);
  return index === -1 ? QUALIFIERS.length : index;
}
