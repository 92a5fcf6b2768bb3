import { anyStep, classStep, literalStep, matchesGlob, oneStep, optionalSteps, type GlobStep } from './glob-steps.js';

/** The most alternatives that the braces of one glob may come to. */
const MOST_ALTERNATIVES = 256;

/**
 * Compiles a glob, which stands for paths: names in segments that `/` parts. The language is that of doublestar:
 *
 *     *  ?        any characters, one character, within a segment; a `*` that is a whole segment is not empty: `a/*` is not `a/`
 *     **          as a whole segment any number of segments: `a/**` is `a` and all below it, `**` everything
 *     [a-z] [!a]  one character of a class, or not of it, within a segment
 *     {a,b}       either
 *     \\           takes the meaning of the sign behind it
 *
 * Dotfiles match, case counts, the whole path must match. A slash in front says nothing. Linear in the length of the path, whatever the glob.
 * @throws SyntaxError saying what is wrong with the glob
 */
export function compileGlob(glob: string): (path: string) => boolean {
  const plain = glob.startsWith('/') ? glob.slice(1) : glob;
  if (plain === '') throw new SyntaxError('a glob cannot be empty; ** matches every path');
  if (plain.startsWith('!')) throw new SyntaxError('a glob cannot be negated (write \\! for the sign)');
  const alternatives = expandBraces(plain).map(stepsOf);
  return (path) => alternatives.some((steps) => matchesGlob(steps, path));
}

/**
 * Compiles a pattern for names that have no segments, or whose segments do not matter: `*` stands for any characters, `/` too, and nothing
 * else has a meaning, for a name may hold brackets. Linear in the length of the name.
 */
export function compileNamePattern(pattern: string): (name: string) => boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (name) => name === pattern;
  return (name) => {
    if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
    const end = name.length - last.length;
    let position = first.length;
    for (const part of rest) {
      const found = name.indexOf(part, position);
      if (found === -1 || found + part.length > end) return false;
      position = found + part.length;
    }
    return true;
  };
}

/** The steps of a glob without braces. */
function stepsOf(glob: string): GlobStep[] {
  const segments = splitOutside(glob, '/');
  const steps: GlobStep[] = [];
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment !== '**') steps.push(...segmentSteps(segment), ...(isLast ? [] : [literalStep('/')]));
    else if (!isLast) steps.push(...optionalSteps([anyStep(), literalStep('/')]));
    else if (index > 0 && segments[index - 1] !== '**') {
      // `a/**` is `a` and all below it.
      steps.splice(-1, 1, ...optionalSteps([literalStep('/'), anyStep()]));
    } else steps.push(anyStep());
  }
  return steps;
}

function segmentSteps(segment: string): GlobStep[] {
  if (/^\*+$/.test(segment)) return [oneStep('/'), anyStep('/')];
  const steps: GlobStep[] = [];
  for (let at = 0; at < segment.length; at += 1) {
    const sign = segment[at] as string;
    if (sign === '*') steps.push(anyStep('/'));
    else if (sign === '?') steps.push(oneStep('/'));
    else if (sign === '[') {
      const end = endOfClass(segment, at);
      const isNegated = segment[at + 1] === '!' || segment[at + 1] === '^';
      steps.push(classStep(segment.slice(at + (isNegated ? 2 : 1), end), isNegated, '/'));
      at = end;
    } else {
      if (sign === '\\') at += 1;
      if (at === segment.length) throw new SyntaxError('the \\ at the end escapes nothing');
      const character = String.fromCodePoint(segment.codePointAt(at) as number);
      steps.push(literalStep(character));
      at += character.length - 1;
    }
  }
  return steps;
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
