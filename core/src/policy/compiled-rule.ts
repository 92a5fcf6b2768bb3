import type { PolicyAction, PolicyInput } from '../api/policy.js';
import { graceOf } from './check-policy.js';
import { type Compilation, compileCondition, type CompiledCondition, type Evidence } from './conditions.js';
import type { PolicyRule, RuleMatch } from './document.js';
import { compileNamePattern } from '../formats/glob.js';
import { compilePackages } from './patterns.js';
import type { Subject } from './subject.js';
import { truth, type Truth } from './truth.js';
import { compileVersions } from './version-order.js';

/** A rule that can be asked. */
export interface CompiledRule {
  readonly id: string;
  readonly action: PolicyAction;
  readonly exceptions?: PolicyRule['exceptions'];
  readonly override: readonly string[];
  /** Milliseconds. */
  readonly grace: number;
  matchesPlace(repository: PolicyInput['repository'], ecosystem: string): boolean;
  matchesName(input: PolicyInput): boolean;
  test(subject: Subject): Truth;
  explain(subject: Subject, evidence: Evidence): void;
}

/** A rule whose document was checked. */
export function compileRule(rule: PolicyRule, compilation: Compilation): CompiledRule {
  const { id, action = 'allow', match = {}, exceptions, override = [], reason } = rule;
  const when = rule.when === undefined ? undefined : compileCondition(rule.when, compilation);
  const unless = rule.unless === undefined ? undefined : compileCondition(rule.unless, compilation);
  return {
    id,
    action,
    exceptions,
    override,
    grace: graceOf(rule.grace),
    ...compileMatch(match),
    test: (subject) => testRule(when, unless, action, subject),
    explain(subject, evidence) {
      if (reason !== undefined) evidence.reasons.push(reason);
      if (subject.expressionFailed) evidence.reasons.push('its expression failed');
      else if (when !== undefined) when.explain(subject, evidence);
      else if (reason === undefined) evidence.reasons.push(rule.match === undefined ? 'always' : 'listed');
    },
  };
}

function testRule(
  when: CompiledCondition | undefined,
  unless: CompiledCondition | undefined,
  action: PolicyAction,
  subject: Subject,
): Truth {
  subject.expressionFailed = false;
  const value = when?.test(subject) ?? truth.yes;
  // An expression that fails must not switch a rule off, nor let anything through.
  const failed = value === truth.unknown && subject.expressionFailed && action !== 'allow';
  const fires = failed ? truth.yes : value;
  if (unless !== undefined && fires >= truth.pending) {
    const excuse = unless.test(subject);
    if (excuse === truth.yes) return truth.no;
    if (excuse === truth.pending) return truth.pending;
  }
  subject.expressionFailed = failed;
  return fires;
}

function compileMatch(match: RuleMatch): Pick<CompiledRule, 'matchesPlace' | 'matchesName'> {
  const repositories = match.repositories?.map(compileNamePattern);
  const { kinds, ecosystems } = match;
  const packages = match.purl && compilePackages(match.purl);
  const versions = match.versions && compileVersions(match.versions);
  const except = match.except && compilePackages(match.except);
  return {
    matchesPlace: ({ name, kind }, ecosystem) =>
      (repositories?.some((named) => named(name)) ?? true) &&
      (kinds?.includes(kind) ?? true) &&
      (ecosystems?.includes(ecosystem) ?? true),
    matchesName: ({ coordinates }) =>
      (packages === undefined || packages(coordinates) !== undefined) &&
      (versions?.(coordinates) ?? true) &&
      except?.(coordinates) === undefined,
  };
}
