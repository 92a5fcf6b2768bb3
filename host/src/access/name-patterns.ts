import type { NameFacts } from '@entrepot/core';
import { compileGlob } from '@entrepot/core/formats';

/**
 * Whether a name fits one of `patterns`: globs (`compileGlob`), or as `names.pattern` of the format reads them. Without a name only `**`
 * fits, for then it is about the whole repository.
 * @throws SyntaxError for a pattern that is none, or what `names.pattern` throws
 */
export function namePatterns(
  patterns: readonly string[],
  pattern: NameFacts['pattern'] = 'paths',
): (name: string | undefined) => boolean {
  const fitsAll = patterns.includes('**');
  const compile = pattern === 'paths' ? compileGlob : pattern;
  const fits = patterns.map((one) => compile(one));
  return (name) => fitsAll || (name !== undefined && fits.some((one) => one(name)));
}
