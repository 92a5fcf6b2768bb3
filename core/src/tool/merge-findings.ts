import type { Finding, Severity } from '../api/scanner.js';

/** From the least to the worst. What is not known is worse than nothing and better than anything that is. */
const SEVERITIES: readonly Severity[] = ['none', 'unknown', 'low', 'medium', 'high', 'critical'];

/** `findings` with one for each advisory and component: those that share a name are one, as bad as the worst of them. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, { readonly finding: Finding }>();
  for (const finding of findings) {
    const key = (name: string): string => `${name}\n${finding.component ?? ''}`;
    let merged = finding;
    for (const same of new Set(namesOf(finding).map((name) => groups.get(key(name))))) {
      if (same !== undefined) merged = join(same.finding, merged);
    }
    const group = { finding: merged };
    for (const name of namesOf(merged)) groups.set(key(name), group);
  }
  return [...new Set(groups.values())].map(({ finding }) => finding);
}

function namesOf({ id, aliases }: Finding): readonly string[] {
  return [id, ...aliases];
}

function join(first: Finding, second: Finding): Finding {
  const names = new Set([...namesOf(first), ...namesOf(second)]);
  names.delete(first.id);
  const rank = ({ severity }: Finding): number => SEVERITIES.indexOf(severity);
  return {
    ...second,
    ...first,
    aliases: [...names],
    severity: rank(second) > rank(first) ? second.severity : first.severity,
    cvss: highest(first.cvss, second.cvss),
    epss: highest(first.epss, second.epss),
    malicious: first.malicious === true || second.malicious === true,
    exploited: first.exploited === true || second.exploited === true,
    confidence: first.confidence === 'cpe' && second.confidence === 'cpe' ? 'cpe' : 'exact',
    fixedIn: [...new Set([...first.fixedIn, ...second.fixedIn])],
  };
}

function highest(...values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
