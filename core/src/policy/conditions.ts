import { type ArtifactFacts, FACT_NAMES, type FactName } from '../api/facts.js';
import { parseDuration, parseSize, printDuration, printSize } from '../formats/quantities.js';
import type { Finding } from '../api/scanner.js';
import { isChange } from './changes.js';
import type {
  Condition,
  LicenseCondition,
  OneOrMore,
  ProvenanceCondition,
  VulnerabilityCondition,
} from './document.js';
import type { Matcher } from './patterns.js';
import type { CompileExpression } from './policy.js';
import { groupFindings, isMalicious, many, parseSeverities } from './severities.js';
import { compileLicenses, isLicenseExpression, isSatisfied } from './spdx.js';
import type { Subject } from './subject.js';
import { isTruth, negate, truth, type Truth } from './truth.js';
import { isSameVersion } from './version-order.js';

/** Why a rule fired, for people and for machines. */
export interface Evidence {
  readonly reasons: string[];
  readonly findings: Finding[];
}

/** A condition that can be asked. */
export interface CompiledCondition {
  test(subject: Subject): Truth;
  /** Adds the reasons. Called only when the condition holds. */
  explain(subject: Subject, evidence: Evidence): void;
}

const FACT_WORDS = {
  deprecated: ['deprecated', 'not deprecated'],
  yanked: ['withdrawn by its publisher', 'not withdrawn by its publisher'],
  installScripts: ['runs code when it is installed', 'runs no code when it is installed'],
  newInstallScripts: ['first version that runs code when it is installed', 'no new install script'],
  provenanceDowngraded: ['published in a less trusted way than before', 'published as before'],
  publisherChanged: ['published by somebody else than before', 'same publisher as before'],
} as const;

const LIST_WORDS = { exoticDependencies: 'dependencies from elsewhere', newDependencies: 'new dependencies' } as const;

export interface Compilation {
  /** Absent only where the document has no expression. */
  readonly compileExpression: CompileExpression | undefined;
  /** Collects the facts that the condition reads. */
  readonly facts: Set<FactName>;
  /** The time for which the condition around it watches a version, in milliseconds. */
  readonly window?: number | undefined;
}

/** The compilers of the keys of a condition. Cheap tests come first. */
const COMPILERS: {
  readonly [Key in keyof Condition]-?: (
    value: NonNullable<Condition[Key]>,
    compilation: Compilation,
  ) => CompiledCondition;
} = {
  deprecated: (wanted, compilation) => compileFlag('deprecated', wanted, compilation),
  yanked: (wanted, compilation) => compileFlag('yanked', wanted, compilation),
  installScripts: (wanted, compilation) => compileFlag('installScripts', wanted, compilation),
  newInstallScripts: (wanted, compilation) => compileFlag('newInstallScripts', wanted, compilation),
  exoticDependencies: (wanted, { facts }) => compileList('exoticDependencies', wanted, facts),
  newDependencies: (wanted, { facts }) => compileList('newDependencies', wanted, facts),
  upstream: (wanted, { facts }) => oneOf('upstream', wanted, facts, (found) => `${found} upstream`),
  provenance: compileProvenance,
  age: compileAge,
  size: compileSize,
  licenses: compileLicenseCondition,
  scan: ({ status }) => compileScan(new Set(many(status))),
  malicious(wanted) {
    const some = someFinding(isMalicious, 'malicious: ');
    return wanted ? some : negation(some, 'not malicious');
  },
  vuln: compileVulnerability,
  fixes: ({ severity }) => compileFixes(severity),
  not: (inner, compilation) => negation(compileCondition(inner, compilation), undefined),
  allOf: (all, compilation) => conjunction(all.map((inner) => compileCondition(inner, compilation))),
  anyOf: (any, compilation) => disjunction(any.map((inner) => compileCondition(inner, compilation))),
  cel: compileCel,
};

/** Compiles a condition whose document was checked. */
export function compileCondition(condition: Condition, outer: Compilation): CompiledCondition {
  const compilation = { ...outer, window: windowOf(condition) ?? outer.window };
  const parts: CompiledCondition[] = [];
  for (const [key, compile] of Object.entries(COMPILERS)) {
    const value = condition[key as keyof Condition];
    if (value !== undefined) parts.push(compile(value as never, compilation));
  }
  return conjunction(parts);
}

/** The time for which a condition watches a version: the age until which it can be so. */
function windowOf({ age, allOf = [] }: Condition): number | undefined {
  const windows = [age?.lt === undefined ? undefined : parseDuration(age.lt), ...allOf.map(windowOf)];
  const known = windows.filter((window) => window !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function compileFlag(
  name: keyof typeof FACT_WORDS,
  wanted: boolean,
  { facts, window = 0 }: Compilation,
): CompiledCondition {
  facts.add(name);
  const holds = (subject: Subject): Truth =>
    isChange(name) ? subject.changed(name, window) : isTruth(subject.input.facts[name]);
  return {
    test: (subject) => (wanted ? holds(subject) : negate(holds(subject))),
    explain: (_, { reasons }) => void reasons.push(FACT_WORDS[name][wanted ? 0 : 1]),
  };
}

function compileList(name: keyof typeof LIST_WORDS, wanted: boolean, facts: Set<FactName>): CompiledCondition {
  facts.add(name);
  return {
    test({ input }) {
      const found = input.facts[name];
      return isTruth(found && found.length > 0 === wanted);
    },
    explain: ({ input }, { reasons }) =>
      void reasons.push(wanted ? `${LIST_WORDS[name]}: ${first(input.facts[name] ?? [])}` : `no ${LIST_WORDS[name]}`),
  };
}

function conjunction(parts: readonly CompiledCondition[]): CompiledCondition {
  return parts.length === 1 ? (parts[0] as CompiledCondition) : combined(parts, truth.no, (a, b) => a < b);
}

function disjunction(parts: readonly CompiledCondition[]): CompiledCondition {
  return combined(parts, truth.yes, (a, b) => a > b);
}

/** The extreme value of the parts. `decisive` is the value that no other part changes. */
function combined(
  parts: readonly CompiledCondition[],
  decisive: typeof truth.no | typeof truth.yes,
  isNearer: (a: Truth, b: Truth) => boolean,
): CompiledCondition {
  return {
    test(subject) {
      let found = negate(decisive);
      for (const part of parts) {
        const value = part.test(subject);
        if (value === decisive) return value;
        if (isNearer(value, found)) found = value;
      }
      return found;
    },
    explain(subject, evidence) {
      for (const part of parts) if (part.test(subject) === truth.yes) part.explain(subject, evidence);
    },
  };
}

function negation(part: CompiledCondition, words: string | undefined): CompiledCondition {
  return {
    test: (subject) => negate(part.test(subject)),
    explain: (_, { reasons }) => void (words !== undefined && reasons.push(words)),
  };
}

function oneOf<Name extends 'upstream' | 'provenance'>(
  name: Name,
  wanted: NonNullable<OneOrMore<NonNullable<ArtifactFacts[Name]>>>,
  facts: Set<FactName>,
  words: (found: string | undefined) => string,
): CompiledCondition {
  facts.add(name);
  const set = new Set<ArtifactFacts[Name]>(many(wanted));
  return {
    test: ({ input }) => isTruth(input.facts[name] && set.has(input.facts[name])),
    explain: ({ input }, { reasons }) => void reasons.push(words(input.facts[name])),
  };
}

function compileProvenance(
  { level, downgraded, publisherChanged }: ProvenanceCondition,
  compilation: Compilation,
): CompiledCondition {
  const parts: CompiledCondition[] = [];
  if (downgraded !== undefined) parts.push(compileFlag('provenanceDowngraded', downgraded, compilation));
  if (publisherChanged !== undefined) parts.push(compileFlag('publisherChanged', publisherChanged, compilation));
  if (level !== undefined)
    parts.push(oneOf('provenance', level, compilation.facts, (found) => `provenance: ${found ?? ''}`));
  return conjunction(parts);
}

function compileAge({ lt, gte }: NonNullable<Condition['age']>, { facts }: Compilation): CompiledCondition {
  facts.add('publishedAt');
  const below = lt === undefined ? undefined : (parseDuration(lt) as number);
  const from = gte === undefined ? undefined : (parseDuration(gte) as number);
  return {
    test(subject) {
      const { input } = subject;
      if (subject.isName) return truth.unknown;
      const start = subject.ageStart();
      if (Number.isNaN(start)) return truth.unknown;
      for (const age of [below, from]) if (age !== undefined && start !== undefined) subject.note(start + age);
      const { now } = input;
      const began = start ?? now;
      return isTruth((below === undefined || now < began + below) && (from === undefined || now >= began + from));
    },
    explain(subject, { reasons }) {
      const start = subject.ageStart();
      if (start === undefined) return void reasons.push('first seen now');
      if (start === Infinity) return void reasons.push('no date of release');
      const released = `${subject.releasedAt() === undefined ? 'first seen here' : 'released'} ${printInstant(start)}`;
      if (below === undefined) reasons.push(`${released}, ${printDuration(from ?? 0)} ago or more`);
      else reasons.push(`${released}, younger than ${printDuration(below)} (until ${printInstant(start + below)})`);
    },
  };
}

function compileSize({ gt, lte }: NonNullable<Condition['size']>): CompiledCondition {
  const above = gt === undefined ? -1 : (parseSize(gt) as number);
  const most = lte === undefined ? Infinity : (parseSize(lte) as number);
  return {
    test({ input }) {
      if (input.size === undefined) return input.stage === 'request' ? truth.pending : truth.unknown;
      return isTruth(input.size > above && input.size <= most);
    },
    explain: ({ input }, { reasons }) =>
      void reasons.push(
        `${printSize(input.size ?? 0)}, ${gt === undefined ? 'at most' : 'more than'} ${printSize(gt === undefined ? most : above)}`,
      ),
  };
}

function compileLicenseCondition(
  { allow, deny, unknown }: LicenseCondition,
  { facts }: Compilation,
): CompiledCondition {
  facts.add('licenses');
  const allowed = allow && compileLicenses(allow);
  const denied = deny && compileLicenses(deny);
  const refused = (text: string): boolean =>
    (allowed !== undefined && !isSatisfied(text, allowed)) ||
    (denied !== undefined && !isSatisfied(text, (names) => !denied(names)));
  const isUnknown = (licenses: readonly string[] = []): boolean =>
    licenses.length === 0 || !licenses.every(isLicenseExpression);
  return {
    test({ input, isName }) {
      const { licenses } = input.facts;
      if (isName) return truth.unknown;
      if (unknown !== undefined && isUnknown(licenses) === unknown) return truth.yes;
      if (allowed === undefined && denied === undefined) return truth.no;
      if (licenses === undefined || licenses.length === 0) return truth.unknown;
      return isTruth(licenses.some(refused));
    },
    explain({ input }, { reasons }) {
      const { licenses = [] } = input.facts;
      const named = licenses.filter(refused);
      reasons.push(
        licenses.length === 0 ? 'no licence named' : `licence ${first(named.length > 0 ? named : licenses)}`,
      );
    },
  };
}

function compileScan(wanted: ReadonlySet<string>): CompiledCondition {
  return {
    test(subject) {
      if (subject.isName) return truth.unknown;
      const { states, undecided } = subject.scanStates();
      if ([...states].some((state) => wanted.has(state))) return truth.yes;
      return undecided ? truth.pending : truth.no;
    },
    explain(subject, { reasons }) {
      const found = [...subject.scanStates().states].filter((state) => wanted.has(state));
      reasons.push(`scan: ${found.join(', ')}`);
    },
  };
}

function someFinding(matches: Matcher<Finding>, words: string): CompiledCondition {
  return {
    test: (subject) => (subject.findings.some(matches) ? truth.yes : subject.absence),
    explain(subject, evidence) {
      const found = groupFindings(subject.findings.filter(matches));
      evidence.findings.push(...found);
      evidence.reasons.push(`${words}${printFindings(found)}`);
    },
  };
}

function compileVulnerability({ counts, ...filter }: VulnerabilityCondition): CompiledCondition {
  const matches = compileFilter(filter);
  if (counts === undefined) return someFinding(matches, '');
  const limits = new Map(Object.entries(counts));
  const over = (subject: Subject): Finding[] => {
    const groups = groupFindings(subject.findings.filter(matches));
    return groups.filter(({ severity }) => {
      const limit = limits.get(severity);
      return limit !== undefined && groups.filter((group) => group.severity === severity).length > limit;
    });
  };
  return {
    test: (subject) => (over(subject).length > 0 ? truth.yes : subject.absence),
    explain(subject, evidence) {
      const found = over(subject);
      const levels = [...new Set(found.map(({ severity }) => severity))];
      const numbers = levels.map((level) => {
        const count = found.filter(({ severity }) => severity === level).length;
        return `${count} ${level} (at most ${String(limits.get(level))})`;
      });
      evidence.findings.push(...found);
      evidence.reasons.push(`${numbers.join(', ')}: ${printFindings(found)}`);
    },
  };
}

function compileFilter(condition: Omit<VulnerabilityCondition, 'counts'>): Matcher<Finding> {
  const { severity, fixAvailable, kev, epss, cvss, direct, exact, anyOf, allOf, not } = condition;
  const tests: Matcher<Finding>[] = [];
  const severities = severity === undefined ? undefined : parseSeverities(severity);
  if (severities !== undefined) tests.push((finding) => severities.has(finding.severity));
  if (fixAvailable !== undefined) tests.push(({ fixedIn }) => fixedIn.length > 0 === fixAvailable);
  if (kev !== undefined) tests.push(({ exploited = false }) => exploited === kev);
  if (epss !== undefined) tests.push((finding) => (finding.epss ?? -1) >= epss.gte);
  if (cvss !== undefined) tests.push((finding) => (finding.cvss ?? -1) >= cvss.gte);
  if (direct !== undefined) tests.push(({ component }) => (component === undefined) === direct);
  if (exact !== undefined) tests.push(({ confidence = 'exact' }) => (confidence === 'exact') === exact);
  if (allOf !== undefined) tests.push(...allOf.map(compileFilter));
  if (anyOf !== undefined) {
    const any = anyOf.map(compileFilter);
    tests.push((finding) => any.some((matches) => matches(finding)));
  }
  if (not !== undefined) {
    const matches = compileFilter(not);
    tests.push((finding) => !matches(finding));
  }
  return (finding) => tests.every((test) => test(finding));
}

function compileFixes(severity: OneOrMore<string>): CompiledCondition {
  const severities = parseSeverities(severity);
  const fixed = (subject: Subject): Finding[] | undefined => {
    const { ecosystem, version = '' } = subject.input.coordinates;
    return subject
      .advisoriesOfName()
      ?.filter(
        (finding) =>
          severities?.has(finding.severity) === true &&
          !isMalicious(finding) &&
          finding.fixedIn.some((other) => isSameVersion(ecosystem, other, version)),
      );
  };
  return {
    test(subject) {
      if (subject.input.coordinates.version === undefined) return truth.unknown;
      const found = fixed(subject);
      return isTruth(found && found.length > 0);
    },
    explain(subject, { reasons }) {
      reasons.push(`fixes ${printFindings(groupFindings(fixed(subject) ?? []))}`);
    },
  };
}

function compileCel(text: string, { compileExpression, facts }: Compilation): CompiledCondition {
  if (compileExpression === undefined) throw new TypeError('expected a compiler for the expressions of a policy');
  const evaluate = compileExpression(text);
  const words = new Set(text.match(/\w+/g));
  const mentions = (name: string): boolean => words.has(name);
  const [findings, size, known] = [mentions('findings'), mentions('size'), mentions('known')];
  // `known` may hold any of them.
  for (const name of FACT_NAMES) if (known || mentions(name)) facts.add(name);
  return {
    test(subject) {
      const { input } = subject;
      try {
        const result: unknown = evaluate(subject.scope());
        if (typeof result !== 'boolean') throw new TypeError('expected true or false');
        if (result) return truth.yes;
      } catch {
        subject.expressionFailed = true;
        return truth.unknown;
      }
      if (size && input.size === undefined && input.stage === 'request') return truth.pending;
      return findings ? subject.absence : truth.no;
    },
    explain: (_, { reasons }) => void reasons.push(`expression: ${text}`),
  };
}

function printFindings(found: readonly Finding[]): string {
  const [worst] = found;
  if (worst === undefined) return 'no advisory';
  const { id, severity, fixedIn, exploited } = worst;
  const details = [
    ...(isMalicious(worst) ? [] : [severity]),
    ...(exploited === true ? ['exploited'] : []),
    ...(fixedIn.length > 0 ? [`fixed in ${first(fixedIn)}`] : []),
  ];
  const more = found.length > 1 ? ` and ${found.length - 1} more` : '';
  return `${id}${details.length > 0 ? ` (${details.join(', ')})` : ''}${more}`;
}

function first(texts: readonly string[]): string {
  const [text = ''] = texts;
  return texts.length > 1 ? `${text} and ${texts.length - 1} more` : text;
}

/** To the minute, in UTC. */
export function printInstant(at: number): string {
  return Math.abs(at) <= 8.64e15 ? `${new Date(at).toISOString().slice(0, 16)}Z` : 'long ago';
}
