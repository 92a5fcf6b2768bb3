import { withoutTrailingSlashes } from '@entrepot/core';
import { anyStep, classStep, type GlobStep, literalStep, matchesGlob, oneStep } from '@entrepot/core/formats';

/** A list of patterns as `GOPRIVATE` has it: `corp.example.com/*,*.internal.example`. */
export interface ModulePatterns {
  /** As they were written. */
  readonly text: string;
  /** Whether the first elements of `path`, as many as a pattern has, match it (`go help private`). */
  matches(path: string): boolean;
}

/**
 * Reads patterns, separated by commas. Each is a glob of Go's `path.Match`, since `go` reads the same text (GOPRIVATE), and not one of ours; it covers the paths below what it matches,
 * by elements: `example.com/a` covers `example.com/a/b`, and not `example.com/ab`.
 * @throws SyntaxError for a pattern with an unclosed class or a trailing backslash
 */
export function modulePatterns(text: string): ModulePatterns {
  const globs = text
    .split(',')
    .map((glob) => withoutTrailingSlashes(glob.trim()))
    .filter((glob) => glob !== '')
    .map((glob) => glob.split('/').map(elementSteps));
  return {
    text,
    matches(path) {
      const elements = path.split('/');
      return globs.some(
        (glob) =>
          glob.length <= elements.length && glob.every((steps, index) => matchesGlob(steps, elements[index] as string)),
      );
    },
  };
}

/** One sign of a glob, escaped or not, or a class, in which `\\` takes the meaning of the sign behind it. */
const SIGN = /\\([^])|\[(\^?)((?:\\[^]|[^\]\\])+)\]|[^\\[]/gy;

function elementSteps(glob: string): GlobStep[] {
  let end = 0;
  const steps = Array.from(glob.matchAll(SIGN), ([sign, escaped, negation, members]) => {
    end += sign.length;
    if (members !== undefined) return classStep(members, negation === '^');
    if (sign === '*') return anyStep();
    return sign === '?' ? oneStep() : literalStep(escaped ?? sign);
  });
  if (end === glob.length) return steps;
  const problem = glob[end] === '[' ? 'has an unclosed "["' : 'ends in a backslash';
  throw new SyntaxError(`the pattern ${JSON.stringify(glob)} ${problem}`);
}
