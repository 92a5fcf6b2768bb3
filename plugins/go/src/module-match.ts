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

function elementSteps(glob: string): GlobStep[] {
  const steps: GlobStep[] = [];
  for (let at = 0; at < glob.length; at += 1) {
    const sign = glob[at] as string;
    if (sign === '*') steps.push(anyStep());
    else if (sign === '?') steps.push(oneStep());
    else if (sign === '\\') {
      at += 1;
      if (at === glob.length) throw new SyntaxError(`the pattern ${JSON.stringify(glob)} ends in a backslash`);
      steps.push(literalStep(glob[at] as string));
    } else if (sign === '[') {
      CLASS.lastIndex = at;
      const [found, negation, members] = CLASS.exec(glob) ?? [];
      if (found === undefined) throw new SyntaxError(`the pattern ${JSON.stringify(glob)} has an unclosed "["`);
      steps.push(classStep(members as string, negation === '^'));
      at = CLASS.lastIndex - 1;
    } else steps.push(literalStep(sign));
  }
  return steps;
}

/** The members of a class, in which `\` takes the meaning of the sign behind it. */
const CLASS = /\[(\^?)((?:\\[^]|[^\]\\])+)\]/y;
