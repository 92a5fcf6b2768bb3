import { splitLookAround } from './look-around.js';

/** A regular expression that an engine without backtracking has compiled. */
export interface CompiledExpression {
  test(text: string): boolean;
}

const LONGEST_EXPRESSION = 4096;

const NOT_LINEAR =
  'look-around is taken behind a leading "^" and plain text, as in ^x/(?!a)b, and before plain text and a closing "$", as in b(?<!a)\\.y$, where no "|" stands outside of brackets. ' +
  'Anything else of it, and back-references, cannot be matched in linear time: put a rule that denies before this one';

/**
 * Compiles a regular expression that is searched in a path or a name. Every part of it is matched by the engine of the caller, which is
 * one without backtracking: so look-around at the ends costs no more than a second search.
 * @param compile throws an Error for what it does not know
 * @throws Error that says what to write instead
 */
export function linearExpression(
  text: string,
  compile: (expression: string) => CompiledExpression,
): (path: string) => boolean {
  if (text.length > LONGEST_EXPRESSION) {
    throw new Error(`expected a pattern of ${LONGEST_EXPRESSION} characters at the most`);
  }
  const { expression, required, refused } = splitLookAround(text);
  const [main, all, none] = [compiled(expression), required.map(compiled), refused.map(compiled)];
  return (path) => main.test(path) && all.every((one) => one.test(path)) && !none.some((one) => one.test(path));

  function compiled(part: string): CompiledExpression {
    try {
      return compile(part);
    } catch (error) {
      if (!(error instanceof Error) || !/\(\?<?[=!]|\\[1-9]|\(\?P=/.test(part)) throw error;
      throw new Error(`${error.message}; ${NOT_LINEAR}`, { cause: error });
    }
  }
}
