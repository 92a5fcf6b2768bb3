import { compileGlob, linearExpression } from '@entrepot/core/formats';
import { RE2JS } from 're2js';

/** A pattern for whole paths. */
export interface Pattern {
  readonly text: string;
  readonly test: (path: string) => boolean;
}

const LONGEST_GLOB = 4096;

/** @throws Error for what is no glob */
export function byGlob(match: string | { readonly glob: string }): Pattern {
  const text = typeof match === 'string' ? match : match.glob;
  if (text.length > LONGEST_GLOB) throw new Error(`expected a pattern of ${LONGEST_GLOB} characters at the most`);
  return { text, test: compileGlob(text) };
}

/** @throws Error for what RE2 does not know and look-around at its ends is not */
export function byRegex(text: string): Pattern {
  return { text, test: linearExpression(text, (expression) => RE2JS.compile(expression)) };
}
