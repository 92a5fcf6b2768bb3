/** The most alternatives that the braces of one glob may come to. */
const MOST_ALTERNATIVES = 256;

/**
 * The regular expression of a glob, in RE2's syntax and anchored at both ends. The language is that of doublestar:
 * `*` and `?` stay within a segment, `**` as a whole segment is any number of them, `[a-z]`, `[!a-z]`, `{a,b}`, `\` escapes.
 * Dotfiles match, case counts. A `*` that is a whole segment does not match an empty one: `a/*` is no directory index.
 *
 * Not a glob library: those make expressions for the backtracking engine, on which a path of some thousand characters
 * that a client chose takes seconds for a glob as harmless as `*-*-*.zip`.
 * @throws SyntaxError saying what is wrong with the glob.
 */
export function globToRegex(glob: string): string {
  const plain = glob.startsWith('/') ? glob.slice(1) : glob;
  if (plain === '') throw new SyntaxError('a glob cannot be empty; ** matches every path');
  if (plain.startsWith('!')) {
    throw new SyntaxError(
      'a glob cannot be negated; put a rule with policy deny before this one (or write \\! for the sign)',
    );
  }
  const alternatives = expandBraces(plain).map(alternativeToRegex);
  return `^(?:${alternatives.join('|')})$`;
}

function alternativeToRegex(glob: string): string {
  const segments = splitOutside(glob, '/');
  let regex = '';
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '**') {
      if (!last) regex += '(?:.*/)?';
      // `a/**` is `a` and all below it.
      else if (regex.endsWith('/')) regex = `${regex.slice(0, -1)}(?:/.*)?`;
      else regex += '.*';
      continue;
    }
    regex += segmentToRegex(segment) + (last ? '' : '/');
  }
  return regex;
}

function segmentToRegex(segment: string): string {
  if (/^\*+$/.test(segment)) return '[^/]+';
  let regex = '';
  for (let at = 0; at < segment.length; at += 1) {
    const sign = segment[at] as string;
    if (sign === '*') regex += '[^/]*';
    else if (sign === '?') regex += '[^/]';
    else if (sign === '[') {
      const end = endOfClass(segment, at);
      regex += classToRegex(segment.slice(at + 1, end));
      at = end;
    } else if (sign === '\\') {
      at += 1;
      if (at === segment.length) throw new SyntaxError('the \\ at the end escapes nothing');
      regex += quote(segment[at] as string);
    } else regex += quote(sign);
  }
  return regex;
}

/** `inside`: what stands between `[` and `]`. */
function classToRegex(inside: string): string {
  const negated = inside.startsWith('!') || inside.startsWith('^');
  const members = [...(negated ? inside.slice(1) : inside).matchAll(/\\?([^])(?:-\\?([^]))?/gu)];
  const ranges = members.map(([, low, high]) => rangeToRegex(low as string, high));
  return negated ? `[^/${ranges.join('')}]` : `[${ranges.join('')}]`;
}

/** A range that `/` lies in is cut in two around it: a class stays within a segment. */
function rangeToRegex(low: string, high: string | undefined): string {
  if (high === undefined) return quote(low);
  if (low < '/' && high > '/') return `${quote(low)}-\\.0-${quote(high)}`;
  return `${quote(low)}-${quote(high)}`;
}

/** The index of the `]` that closes the class which opens at `start`. A `]` in first place is an ordinary member. */
function endOfClass(glob: string, start: number): number {
  let at = start + 1;
  if (glob[at] === '!' || glob[at] === '^') at += 1;
  if (glob[at] === ']') at += 1;
  for (; at < glob.length; at += 1) {
    if (glob[at] === '\\') at += 1;
    else if (glob[at] === ']') return at;
    else if (glob[at] === '/') break;
  }
  throw new SyntaxError('a [ is not closed');
}

/** `glob` without braces: one glob for each alternative. */
function expandBraces(glob: string): string[] {
  const open = indexOutside(glob, '{', 0);
  if (open === -1) return [glob];
  const close = closingBrace(glob, open);
  const tails = expandBraces(glob.slice(close + 1));
  const found: string[] = [];
  for (const branch of splitOutside(glob.slice(open + 1, close), ',')) {
    for (const middle of expandBraces(branch)) {
      for (const tail of tails) found.push(glob.slice(0, open) + middle + tail);
      if (found.length > MOST_ALTERNATIVES) {
        throw new SyntaxError(`the braces come to more than ${MOST_ALTERNATIVES} alternatives`);
      }
    }
  }
  return found;
}

function closingBrace(glob: string, open: number): number {
  let depth = 0;
  for (let at = open; at < glob.length; at += 1) {
    if (glob[at] === '\\') at += 1;
    else if (glob[at] === '[') at = endOfClass(glob, at);
    else if (glob[at] === '{') depth += 1;
    else if (glob[at] === '}' && (depth -= 1) === 0) return at;
  }
  throw new SyntaxError('a { is not closed');
}

/** Splits at `separator` where it is not escaped, in a class or in braces. */
function splitOutside(glob: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = indexOutside(glob, separator, 0); at !== -1; at = indexOutside(glob, separator, from)) {
    parts.push(glob.slice(from, at));
    from = at + 1;
  }
  parts.push(glob.slice(from));
  return parts;
}

function indexOutside(glob: string, wanted: string, from: number): number {
  for (let at = from; at < glob.length; at += 1) {
    if (glob[at] === wanted) return at;
    if (glob[at] === '\\') at += 1;
    else if (glob[at] === '[') at = endOfClass(glob, at);
    else if (glob[at] === '{') at = closingBrace(glob, at);
  }
  return -1;
}

function quote(sign: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(sign) ? `\\${sign}` : sign;
}
