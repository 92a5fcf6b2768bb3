import type { EnginePlugin } from '@entrepot/core/engine';
import { compileGlob } from '@entrepot/core/formats';

/**
 * Whether a name fits one of `patterns`: globs (`compileGlob`), or as `accessNames` of the format reads them. Without a name only `**`
 * fits, for then it is about the whole repository.
 * @throws SyntaxError for a pattern that is none, or what `accessNames` throws
 */
export function namePatterns(
  patterns: readonly string[],
  accessNames: EnginePlugin['accessNames'] = 'paths',
): (name: string | undefined) => boolean {
  const fitsAll = patterns.includes('**');
  const compile = accessNames === 'paths' ? compileGlob : accessNames;
  const fits = patterns.map((pattern) => compile(pattern));
  return (name) => fitsAll || (name !== undefined && fits.some((one) => one(name)));
}
