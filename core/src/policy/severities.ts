import type { Finding, Severity } from '../api/scanner.js';
import type { OneOrMore } from './document.js';

/** Lowest first; `unknown` is a level of its own, before all others where one has to come first. */
export const SEVERITIES = ['unknown', 'none', 'low', 'medium', 'high', 'critical'] as const satisfies Severity[];

const LEVEL = /^(>=|<=)?(unknown|none|low|medium|high|critical)$/;

/** The severities that `high`, `>=high`, `<=low` or several of these mean; `undefined` when one of them means nothing. */
export function parseSeverities(text: OneOrMore<string>): ReadonlySet<Severity> | undefined {
  const found = new Set<Severity>();
  for (const part of many(text)) {
    const match = LEVEL.exec(part);
    if (match === null) return undefined;
    const [, operator, level] = match as unknown as [string, string | undefined, Severity];
    if (operator !== undefined && level === 'unknown') return undefined;
    const rank = SEVERITIES.indexOf(level);
    for (const [index, severity] of SEVERITIES.entries()) {
      if (index === rank || (index > 0 && (operator === '>=' ? index > rank : operator === '<=' && index < rank))) {
        found.add(severity);
      }
    }
  }
  return found;
}

/** One value or several, as several. */
export function many<T>(value: OneOrMore<T>): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

/** Findings by advisory, the worst of each: those that share a name are one. Worst first. */
export function groupFindings(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, { readonly names: string[]; worst: Finding }>();
  for (const finding of findings) {
    const names = [finding.id, ...finding.aliases];
    const joined = { names: [...names], worst: finding };
    for (const name of names) {
      const other = groups.get(name);
      if (other === undefined || other.names.length === 0) continue;
      if (rankOf(other.worst) >= rankOf(joined.worst)) joined.worst = other.worst;
      joined.names.push(...other.names.splice(0));
    }
    for (const name of joined.names) groups.set(name, joined);
  }
  const worst = [...new Set(groups.values())].map((group) => group.worst);
  return worst.sort((a, b) => rankOf(b) - rankOf(a) || (a.id < b.id ? -1 : 1));
}

/** Whether an advisory marks its subject as malicious. */
export function isMalicious({ malicious, id, aliases }: Finding): boolean {
  return malicious === true || id.startsWith('MAL-') || aliases.some((alias) => alias.startsWith('MAL-'));
}

function rankOf({ severity }: Finding): number {
  return SEVERITIES.indexOf(severity);
}
