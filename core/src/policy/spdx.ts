import { compileNamePattern } from '../formats/glob.js';
import { type Matcher } from './patterns.js';

/** An SPDX licence expression, taken apart. */
type LicenseExpression =
  | { readonly kind: 'license'; readonly names: readonly string[] }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly LicenseExpression[] };

const LONGEST_EXPRESSION = 1000;
const MOST_KEPT = 5000;
const kept = new Map<string, LicenseExpression | undefined>();

/** Whether the text has the form of an SPDX expression (SPDX 2.3, annex D). Says nothing of whether its identifiers exist. */
export function isLicenseExpression(text: string): boolean {
  return parsed(text) !== undefined;
}

/**
 * Whether `text` can be satisfied with licences that `accepts` takes: one side of an `OR`, both of an `AND`. A text that is
 * no expression is taken for one licence with that name.
 */
export function isSatisfied(text: string, accepts: Matcher<readonly string[]>): boolean {
  return holds(parsed(text) ?? { kind: 'license', names: [text.toLowerCase()] }, accepts);
}

/** A matcher for the names of one licence: with its exception, and alone. Case does not count. */
export function compileLicenses(patterns: readonly string[]): Matcher<readonly string[]> {
  const globs = patterns.map((pattern) => compileNamePattern(pattern.toLowerCase()));
  return (names) => names.some((name) => globs.some((matches) => matches(name)));
}

function holds(expression: LicenseExpression, accepts: Matcher<readonly string[]>): boolean {
  if (expression.kind === 'license') return accepts(expression.names);
  if (expression.kind === 'or') return expression.parts.some((part) => holds(part, accepts));
  return expression.parts.every((part) => holds(part, accepts));
}

/** Documents repeat the same few expressions in every version. */
function parsed(text: string): LicenseExpression | undefined {
  if (kept.has(text)) return kept.get(text);
  const expression = text.length > LONGEST_EXPRESSION ? undefined : parse(text);
  if (kept.size >= MOST_KEPT) kept.clear();
  if (text.length <= LONGEST_EXPRESSION) kept.set(text, expression);
  return expression;
}

function parse(text: string): LicenseExpression | undefined {
  const words = text.match(/[()]|[^\s()]+/g) ?? [];
  let position = 0;

  function chain(kind: 'and' | 'or', next: () => LicenseExpression | undefined): LicenseExpression | undefined {
    const parts: LicenseExpression[] = [];
    do {
      const part = next();
      if (part === undefined) return undefined;
      parts.push(part);
    } while (take(kind));
    return parts.length === 1 ? parts[0] : { kind, parts };
  }
  function take(word: string): boolean {
    if (words[position]?.toLowerCase() !== word) return false;
    position += 1;
    return true;
  }
  function identifier(): string | undefined {
    const word = words[position]?.toLowerCase();
    if (word === undefined || !/^[a-z0-9][a-z0-9.:+-]*$/.test(word) || /^(?:and|or|with)$/.test(word)) return undefined;
    position += 1;
    return word;
  }
  function operand(): LicenseExpression | undefined {
    if (take('(')) {
      const inner = either();
      return take(')') ? inner : undefined;
    }
    const name = identifier();
    if (name === undefined) return undefined;
    if (!take('with')) return { kind: 'license', names: [name] };
    const exception = identifier();
    return exception === undefined ? undefined : { kind: 'license', names: [`${name} with ${exception}`, name] };
  }
  const both = (): LicenseExpression | undefined => chain('and', operand);
  const either = (): LicenseExpression | undefined => chain('or', both);

  const expression = either();
  return position === words.length ? expression : undefined;
}
