/**
 * Whether a name fits one of `patterns`: `*` stands for anything but `/`, `**` for anything. Without a name only `**` fits,
 * for then it is about the whole repository.
 */
export function namePatterns(patterns: readonly string[]): (name: string | undefined) => boolean {
  const expressions = patterns.map(expressionOf);
  const fitsAll = patterns.includes('**');
  return (name) => fitsAll || (name !== undefined && expressions.some((expression) => expression.test(name)));
}

function expressionOf(pattern: string): RegExp {
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('');
  return new RegExp(`^${source}$`, 's');
}
