/** A regular expression without look-around, and what its look-around asked for. A path has to be found by all but `refused`. */
export interface Split {
  readonly expression: string;
  readonly required: readonly string[];
  readonly refused: readonly string[];
}

/** `(?i)` and the like at the beginning are for all of it. */
const FLAGS = /^\(\?[ims]+\)/;
/** A class or an escaped character, as far as brackets in it say nothing; else one character. */
const TOKEN = /\\[^]|\[\^?\]?(?:\\[^]|\[:\^?[a-z]+:\]|[^\]\\])*\]|[^]/g;

/**
 * Takes apart a regular expression whose look-around stands at its ends, with nothing but plain text between: `^x/(?!a)b` finds what
 * `^x/b` finds and `^x/(?:a)` does not, `b(?<!a)\.y$` what `b\.y$` finds and `(?:a)\.y$` does not. Exact, for there is one place only where
 * such a group is looked at. Of others nothing is taken apart.
 */
export function splitLookAround(text: string): Split {
  const flags = FLAGS.exec(text)?.[0] ?? '';
  let rest = withAbsoluteEnd(tokensOf(text.slice(flags.length)));
  const required: string[] = [];
  const refused: string[] = [];
  // Between \Q and \E, brackets are none.
  if (hasAlternatives(rest) || rest.includes('\\Q')) return { expression: flags + rest.join(''), required, refused };
  const take = (group: readonly string[], head: number, before: string, after: string) =>
    (group[head] === '!' ? refused : required).push(
      `${flags}${before}(?:${group.slice(head + 1, -1).join('')})${after}`,
    );
  for (;;) {
    const at = endOfText(rest);
    const end = closing(rest, at);
    // A group that may be left out asks for nothing.
    if (!opens(rest, at, '?') || !isKind(rest[at + 2]) || end === undefined || isRepeated(rest[end + 1])) break;
    take(rest.slice(at, end + 1), 2, rest.slice(0, at).join(''), '');
    rest = [...rest.slice(0, at), ...rest.slice(end + 1)];
  }
  for (;;) {
    const at = startOfText(rest);
    const start = opening(rest, at - 1);
    if (start === undefined || !opens(rest, start, '?', '<') || !isKind(rest[start + 3])) break;
    take(rest.slice(start, at), 3, '', rest.slice(at).join(''));
    rest = [...rest.slice(0, start), ...rest.slice(at)];
  }
  return { expression: flags + rest.join(''), required, refused };
}

function tokensOf(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

/** Python's `\Z` is RE2's `\z`. */
function withAbsoluteEnd(tokens: readonly string[]): string[] {
  return tokens.map((token) => (token === '\\Z' ? '\\z' : token));
}

/** The end of the plain text behind a leading `^`; -1 without it, and where nothing else follows. */
function endOfText(tokens: readonly string[]): number {
  if (tokens[0] !== '^') return -1;
  const end = tokens.findIndex((token, at) => at > 0 && !isPlain(token));
  // Repeated characters are no plain text.
  return end > 1 && isRepeated(tokens[end]) ? end - 1 : end;
}

/** The begin of the plain text before a closing `$`; 0 without it. */
function startOfText(tokens: readonly string[]): number {
  if (!isEnd(tokens.at(-1))) return 0;
  let start = tokens.length - 1;
  while (start > 0 && isPlain(tokens[start - 1] as string)) start -= 1;
  return start;
}

/** A character that stands for itself. */
function isPlain(token: string): boolean {
  return /^(?:[^\\.^$*+?()[\]{}|]|\\[^A-Za-z0-9])$/.test(token);
}

/** Whether a group is to be there (`=`), or not. */
function isKind(token: string | undefined): boolean {
  return token === '=' || token === '!';
}

function isEnd(token: string | undefined): boolean {
  return token === '$' || token === '\\z';
}

function isRepeated(token: string | undefined): boolean {
  return token !== undefined && /^[*+?{]$/.test(token);
}

/** Whether a group opens at `at`, with `signs` behind its bracket. */
function opens(tokens: readonly string[], at: number, ...signs: readonly string[]): boolean {
  return tokens[at] === '(' && signs.every((sign, index) => tokens[at + 1 + index] === sign);
}

function hasAlternatives(tokens: readonly string[]): boolean {
  let depth = 0;
  for (const token of tokens) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === '|' && depth === 0) return true;
  }
  return false;
}

/** The bracket that closes what opens at `from`. */
function closing(tokens: readonly string[], from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < tokens.length; at += 1) {
    if (tokens[at] === '(') depth += 1;
    else if (tokens[at] === ')' && --depth === 0) return at;
  }
  return undefined;
}

/** The bracket that opens what closes at `from`. */
function opening(tokens: readonly string[], from: number): number | undefined {
  let depth = 0;
  for (let at = from; at >= 0; at -= 1) {
    if (tokens[at] === ')') depth += 1;
    else if (tokens[at] === '(' && --depth === 0) return at;
  }
  return undefined;
}
