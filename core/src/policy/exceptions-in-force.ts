import { createHash } from 'node:crypto';
import type { PackageCoordinates } from '../api/coordinates.js';
import type { PolicyInput } from '../api/policy.js';
import type { Finding } from '../api/scanner.js';
import type { PolicyRule } from './document.js';
import type { PolicyException } from './exception.js';
import { compileNamePattern } from '../formats/glob.js';
import { compilePackages, normalName, parsePackagePattern, type Matcher } from './patterns.js';
import { compileVersions } from './version-order.js';

/** An exception that can be asked. */
export interface CompiledException {
  readonly id: string;
  readonly expiresAt: number;
  /** Absent: it is for whatever the rules found. */
  readonly covers?: Matcher<Finding> | undefined;
  /** Whether it is for a rule that asks for `exceptions`. */
  readonly isFor: (rule: Pick<PolicyRule, 'id' | 'exceptions'>) => boolean;
  readonly matches: Matcher<PolicyInput>;
}

/** Exceptions, by the name that they are for: there may be thousands, and a decision looks at few. */
export class ExceptionsInForce {
  readonly revision: string;
  readonly #byName = new Map<string, CompiledException[]>();
  readonly #others: CompiledException[] = [];

  constructor(exceptions: readonly PolicyException[]) {
    const hash = createHash('sha256');
    for (const exception of exceptions) {
      const { id, scope, rules, advisories, approvedBy, expiresAt, active } = exception;
      hash.update(JSON.stringify([id, scope, rules, advisories, approvedBy, expiresAt, active]));
      if (!active) continue;
      const compiled = compileException(exception);
      const names = exactNames(scope.purl);
      if (names === undefined) this.#others.push(compiled);
      for (const name of new Set(names)) this.#byName.set(name, [...(this.#byName.get(name) ?? []), compiled]);
    }
    this.revision = hash.digest('hex').slice(0, 16);
  }

  /** Those in force for a rule. */
  find(rule: Pick<PolicyRule, 'id' | 'exceptions'>, input: PolicyInput): readonly CompiledException[] {
    if (rule.exceptions === 'none') return [];
    const named = this.#byName.get(nameOf(input.coordinates)) ?? [];
    return [...named, ...this.#others].filter(
      (exception) => input.now < exception.expiresAt && exception.isFor(rule) && exception.matches(input),
    );
  }
}

function compileException({ id, scope, rules, advisories, approvedBy, expiresAt }: PolicyException): CompiledException {
  const repositories = scope.repositories?.map(compileNamePattern);
  const packages = scope.purl && compilePackages(scope.purl.filter((text) => parsePackagePattern(text) !== undefined));
  const versions = scope.versions && compileVersions(scope.versions);
  const ids = rules && new Set(rules);
  const twice = new Set(approvedBy).size >= 2;
  const names = advisories && new Set(advisories.map((name) => name.toUpperCase()));
  return {
    id,
    expiresAt,
    covers: names && ((finding) => [finding.id, ...finding.aliases].some((name) => names.has(name.toUpperCase()))),
    isFor: (rule) => (ids?.has(rule.id) ?? true) && (rule.exceptions !== 'two-approvers' || twice),
    matches: ({ repository, coordinates }) =>
      (repositories?.some((named) => named(repository.name)) ?? true) &&
      (packages === undefined || packages(coordinates) !== undefined) &&
      (versions?.(coordinates) ?? true),
  };
}

/** The names of patterns without `*`; `undefined` when some pattern may be any name. */
function exactNames(patterns: readonly string[] | undefined): string[] | undefined {
  const parsed = patterns?.map(parsePackagePattern);
  if (parsed === undefined || parsed.some((pattern) => pattern?.name.includes('*') === true)) return undefined;
  return parsed.flatMap((pattern) => (pattern === undefined ? [] : [nameOf(pattern)]));
}

function nameOf({ ecosystem, name }: PackageCoordinates): string {
  return `${ecosystem}/${normalName(ecosystem, name)}`;
}
