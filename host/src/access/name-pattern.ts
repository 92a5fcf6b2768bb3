import { anyStep, type GlobStep, literalStep, matchesGlob } from '@entrepot/core';

/**
 * Whether a name fits one of `patterns`: `*` stands for anything but `/`, `**` for anything. Without a name only `**` fits,
 * for then it is about the whole repository.
 */
export function namePatterns(patterns: readonly string[]): (name: string | undefined) => boolean {
  const globs = patterns.map(stepsOf);
  const fitsAll = patterns.includes('**');
  return (name) => fitsAll || (name !== undefined && globs.some((glob) => matchesGlob(glob, name)));
}

function stepsOf(pattern: string): GlobStep[] {
  return pattern.split(/(\*\*|\*)/).flatMap((part) => {
    if (part === '**') return [anyStep()];
    return part === '*' ? [anyStep('/')] : Array.from(part, literalStep);
  });
}
