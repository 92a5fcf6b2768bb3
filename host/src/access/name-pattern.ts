import { anyStep, type GlobStep, literalStep, matchesGlob, type ProtocolPlugin } from '@entrepot/core';

/**
 * Whether a name fits one of `patterns`: `*` stands for anything but `/`, `**` for anything, or as `accessNames` of the format reads
 * them. Without a name only `**` fits, for then it is about the whole repository.
 * @throws what `accessNames` throws for a pattern that is none
 */
export function namePatterns(
  patterns: readonly string[],
  accessNames: ProtocolPlugin['accessNames'] = 'paths',
): (name: string | undefined) => boolean {
  const fitsAll = patterns.includes('**');
  const fits = patterns.map((pattern) => (accessNames === 'paths' ? pathPattern(pattern) : accessNames(pattern)));
  return (name) => fitsAll || (name !== undefined && fits.some((one) => one(name)));
}

function pathPattern(pattern: string): (name: string) => boolean {
  const steps = stepsOf(pattern);
  return (name) => matchesGlob(steps, name);
}

function stepsOf(pattern: string): GlobStep[] {
  return pattern.split(/(\*\*|\*)/).flatMap((part) => {
    if (part === '**') return [anyStep()];
    return part === '*' ? [anyStep('/')] : Array.from(part, literalStep);
  });
}
