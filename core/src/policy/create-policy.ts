import { createHash } from 'node:crypto';
import { deepFreeze } from '../api/deep-freeze.js';
import { EntrepotError } from '../api/errors.js';
import type { FactName } from '../api/facts.js';
import {
  ACTIONS,
  ALLOWED,
  type FiredRule,
  type PolicyAction,
  type PolicyDecision,
  type PolicyInput,
  type ScanFailure,
} from '../api/policy.js';
import { parseDuration } from '../formats/quantities.js';
import type { Finding } from '../api/scanner.js';
import { checkPolicy } from './check-policy.js';
import { type CompiledRule, compileRule } from './compiled-rule.js';
import { type Evidence, printInstant } from './conditions.js';
import { POLICY_MODES, type PolicyDocument, type PolicyMode, type RepositoryPolicy } from './document.js';
import type { PolicyException } from './exception.js';
import { ExceptionsInForce } from './exceptions-in-force.js';
import type { FirstFetch, Policy, PolicyOptions, RuleOutcome } from './policy.js';
import { resolvePolicy } from './presets.js';
import { isMalicious } from './severities.js';
import { type RulesInForce, Subject } from './subject.js';
import { isTruth, truth } from './truth.js';

const LONGEST_REASON = 160;
const MOST_FINDINGS = 100;
const MOST_PLACES = 1000;
const DEFAULT_DEADLINE = '25s';

/** A rule with the weakest mode of file, repository and rule. */
interface PlacedRule {
  readonly rule: CompiledRule;
  readonly mode: PolicyMode;
}

/** The state of a rule after its evaluation. */
interface Judgement extends Pick<RuleOutcome, 'state' | 'exceptions'>, Partial<Grounds> {}

/** Why a rule fired, as a decision tells it. */
type Grounds = Pick<FiredRule, 'reason' | 'findings' | 'malicious'>;

/** A rule with its judgement. */
interface Outcome extends PlacedRule {
  readonly judgement: Judgement;
}

const SILENT: Judgement = { state: 'silent' };
const UNKNOWN: Judgement = { state: 'unknown' };
const OFF: Judgement = { state: 'off' };
const UNMATCHED: Judgement = { state: 'unmatched' };

/**
 * A policy from a document.
 * @throws EntrepotError `configuration` with every problem of the document
 */
export function createPolicy(options: PolicyOptions): Policy {
  const problems = checkPolicy(options.document, options.compileExpression);
  if (problems.length > 0) {
    const lines = problems.map(({ path, message }) => `${path === '' ? 'policy' : path}: ${message}`);
    throw new EntrepotError('configuration', `the policy cannot be used:\n  ${lines.join('\n  ')}`, {
      code: 'POLICY_INVALID',
    });
  }
  return new DocumentPolicy(options);
}

class DocumentPolicy implements Policy {
  readonly document: PolicyDocument;
  readonly #rules: readonly PlacedRule[];
  readonly #inForce: RulesInForce;
  readonly #exceptions: () => readonly PolicyException[];
  readonly #documentRevision: string;
  readonly #needs = new Set<FactName>();
  readonly #places = new Map<string, readonly PlacedRule[]>();
  #compiled: { readonly from: readonly PolicyException[]; readonly exceptions: ExceptionsInForce } | undefined;

  constructor({ document, scanners = [], exceptions, compileExpression }: PolicyOptions) {
    this.document = deepFreeze(structuredClone(resolvePolicy(document)));
    this.#inForce = {
      scanners: [...scanners],
      defaults: this.document.defaults ?? {},
      judgeBefore: (input, admitted) => this.#evaluate(new Subject(input, this.#inForce, admitted)),
    };
    const none: readonly PolicyException[] = [];
    this.#exceptions = exceptions ?? (() => none);
    const { mode: fileMode = 'enforce', rules = [] } = this.document;
    this.#rules = rules.map((rule) => {
      const mode = weakest(fileMode, rule.mode);
      const facts = mode === 'off' ? new Set<FactName>() : this.#needs;
      return { rule: compileRule(rule, { compileExpression, facts }), mode };
    });
    this.#documentRevision = createHash('sha256').update(JSON.stringify(this.document)).digest('hex').slice(0, 16);
  }

  revision(): string {
    const scanners = this.#inForce.scanners.map(({ id, scanner }) => `${id}=${scanner.revision()}`);
    return [this.#documentRevision, this.#exceptionsInForce().revision, ...scanners].join(',');
  }

  needs(): ReadonlySet<FactName> {
    return this.#needs;
  }

  enforces(): boolean {
    return this.#rules.some(({ mode }) => mode === 'enforce');
  }

  firstFetch(repository: string): FirstFetch {
    const base = this.document.defaults?.firstFetch;
    const own = this.#repository(repository)?.firstFetch;
    return {
      action: own?.action ?? base?.action ?? 'hold',
      deadline: parseDuration(own?.deadline ?? base?.deadline ?? DEFAULT_DEADLINE) as number,
      onTimeout: own?.onTimeout ?? base?.onTimeout ?? 'allow',
    };
  }

  evaluate(input: PolicyInput): PolicyDecision {
    return this.#evaluate(new Subject(input, this.#inForce));
  }

  #evaluate(subject: Subject): PolicyDecision {
    const { input } = subject;
    const outcomes: Outcome[] = [];
    for (const { rule, mode } of this.#rulesAt(input)) {
      if (!rule.matchesName(input)) continue;
      const judgement = this.#judge(rule, subject);
      if (judgement.state !== 'silent' && judgement.state !== 'unknown') outcomes.push({ rule, mode, judgement });
    }
    const { nextChangeAt } = subject;
    return outcomes.length === 0 && nextChangeAt === undefined ? ALLOWED : decide(outcomes, nextChangeAt);
  }

  explain(input: PolicyInput): readonly RuleOutcome[] {
    const subject = new Subject(input, this.#inForce);
    const judged = this.#rulesIn(input.repository.name).map(({ rule, mode }) => {
      const matches = rule.matchesPlace(input.repository, input.coordinates.ecosystem) && rule.matchesName(input);
      if (mode === 'off') return { rule, mode, judgement: OFF };
      return { rule, mode, judgement: matches ? this.#judge(rule, subject) : UNMATCHED };
    });
    const beaten = overridden(judged.filter(({ mode }) => mode === 'enforce'));
    return judged.map(({ rule: { id, action }, mode, judgement }) => {
      const state = judgement.state === 'fired' && beaten.has(id) ? 'overridden' : judgement.state;
      const { reason, findings, exceptions } = judgement;
      return { id, action, mode, state, reason, findings, exceptions };
    });
  }

  #judge(rule: CompiledRule, subject: Subject): Judgement {
    const { input } = subject;
    subject.leaveOut(undefined);
    let value = rule.test(subject);
    if (value < truth.pending) return value === truth.no ? SILENT : UNKNOWN;
    // An exception lets through: it does not take away what lets through.
    const exceptions = rule.action === 'allow' ? [] : this.#exceptionsInForce().find(rule, input);
    for (const { expiresAt } of exceptions) subject.note(expiresAt);
    const found = value === truth.yes ? evidenceOf(rule, subject) : undefined;
    const whole = exceptions.filter(({ covers }) => covers === undefined);
    if (whole.length > 0) return { state: 'excepted', exceptions: whole.map(({ id }) => id), ...found };
    const covering = exceptions.filter(({ covers }) => covers !== undefined && subject.findings.some(covers));
    const isCovered = (finding: Finding): boolean => covering.some(({ covers }) => covers?.(finding) === true);
    if (covering.length > 0) {
      subject.leaveOut(isCovered);
      value = rule.test(subject);
      const kept = { exceptions: covering.map(({ id }) => id), ...found };
      if (value !== truth.yes) return { state: value === truth.pending ? 'pending' : 'excepted', ...kept };
    }
    if (value === truth.pending) return { state: 'pending' };
    const remaining = covering.length > 0 ? evidenceOf(rule, subject) : found;
    return judgeGrace(rule, subject, isCovered) ?? { state: 'fired', ...remaining };
  }

  /** Those that may fire on an ecosystem in a repository. */
  #rulesAt({ repository, coordinates: { ecosystem } }: PolicyInput): readonly PlacedRule[] {
    const key = `${repository.kind} ${ecosystem} ${repository.name}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const rules = this.#rulesIn(repository.name).filter(
      ({ rule, mode }) => mode !== 'off' && rule.matchesPlace(repository, ecosystem),
    );
    if (this.#places.size >= MOST_PLACES) this.#places.clear();
    this.#places.set(key, rules);
    return rules;
  }

  /** All rules with their modes in a repository, and the one for scans that failed. */
  #rulesIn(repository: string): readonly PlacedRule[] {
    const { mode: fileMode = 'enforce', defaults } = this.document;
    const own = this.#repository(repository);
    const action = own?.onScanFailure ?? defaults?.onScanFailure ?? 'allow';
    const rules =
      action === 'allow' ? this.#rules : [...this.#rules, { rule: scanFailureRule(action), mode: fileMode }];
    return rules.map(({ rule, mode }) => ({ rule, mode: weakest(mode, own?.mode) }));
  }

  #repository(name: string): RepositoryPolicy | undefined {
    const { repositories = {} } = this.document;
    return Object.hasOwn(repositories, name) ? repositories[name] : undefined;
  }

  #exceptionsInForce(): ExceptionsInForce {
    const from = this.#exceptions();
    if (this.#compiled?.from !== from) this.#compiled = { from, exceptions: new ExceptionsInForce(from) };
    return this.#compiled.exceptions;
  }
}

/** Whether a rule only warns of what was kept before its advisories were published. */
function judgeGrace(
  rule: CompiledRule,
  subject: Subject,
  isCovered: (finding: Finding) => boolean,
): Judgement | undefined {
  const { storedAt, now } = subject.input;
  if (rule.grace === 0 || storedAt === undefined) return undefined;
  const endOf = ({ publishedAt }: Finding): number =>
    publishedAt === undefined || storedAt >= publishedAt ? -Infinity : publishedAt + rule.grace;
  const graced = subject.findings.filter((finding) => now < endOf(finding));
  if (graced.length === 0) return undefined;
  for (const finding of graced) subject.note(endOf(finding));
  const found = collect(rule, subject);
  const { findings } = found;
  subject.leaveOut((finding) => isCovered(finding) || now < endOf(finding));
  if (rule.test(subject) >= truth.pending) return undefined;
  const end = Math.min(...findings.map(endOf).filter((at) => at > now));
  const until = Number.isFinite(end) ? `kept copies work until ${printInstant(end)}: ` : '';
  return { state: 'grace', ...printEvidence(found, until) };
}

function evidenceOf(rule: CompiledRule, subject: Subject): Grounds {
  return printEvidence(collect(rule, subject), '');
}

function collect(rule: CompiledRule, subject: Subject): Evidence {
  const evidence: Evidence = { reasons: [], findings: [] };
  rule.explain(subject, evidence);
  return evidence;
}

function printEvidence({ reasons, findings }: Evidence, before: string): Grounds {
  const text = `${before}${reasons.join('; ')}`.replace(/[^\x20-\x7e]+/g, '?').slice(0, LONGEST_REASON);
  const reason = text === '' ? 'as the rule says' : text;
  const ids = [...new Set(findings.map(({ id }) => id))].slice(0, MOST_FINDINGS);
  return ids.length === 0
    ? { reason }
    : { reason, findings: ids, ...(findings.some(isMalicious) && { malicious: true }) };
}

/** Computes the result of some outcomes if all of them were enforced. `pending`: a stronger action may follow with the reports. */
function settle(outcomes: readonly Outcome[]) {
  const beaten = overridden(outcomes);
  let action: PolicyAction = 'allow';
  let awaited: PolicyAction = 'allow';
  for (const { rule, judgement } of outcomes) {
    if (beaten.has(rule.id)) continue;
    if (judgement.state === 'pending') awaited = stronger(awaited, rule.action);
    else action = stronger(action, effectOf(rule, judgement));
  }
  const closes = awaited === 'deny' || awaited === 'hold';
  return { action, beaten, pending: closes && stronger(awaited, action) !== action };
}

/** Made for every version of a document: only what is there costs. */
function decide(outcomes: readonly Outcome[], nextChangeAt: number | undefined): PolicyDecision {
  const isWatched = outcomes.some(({ mode }) => mode !== 'enforce');
  const enforced = settle(isWatched ? outcomes.filter(({ mode }) => mode === 'enforce') : outcomes);
  const rules: FiredRule[] = [];
  for (const outcome of outcomes) {
    const fired = firedRule(outcome, enforced.beaten);
    if (fired !== undefined) rules.push(fired);
  }
  if (rules.length > 1) rules.sort((a, b) => ACTIONS.indexOf(a.action) - ACTIONS.indexOf(b.action));
  const decision: { -readonly [Key in keyof PolicyDecision]: PolicyDecision[Key] } = { action: enforced.action, rules };
  const exceptions = new Set(outcomes.flatMap(({ judgement }) => judgement.exceptions ?? []));
  if (exceptions.size > 0) decision.exceptions = [...exceptions];
  if (isWatched) {
    const { action } = settle(outcomes);
    if (action !== enforced.action) decision.wouldBe = action;
  }
  if (enforced.pending) decision.pending = true;
  if (nextChangeAt !== undefined) decision.nextChangeAt = nextChangeAt;
  return decision;
}

function firedRule({ rule, mode, judgement }: Outcome, beaten: ReadonlySet<string>): FiredRule | undefined {
  const { state, reason = '', findings, malicious } = judgement;
  if (state !== 'fired' && state !== 'grace') return undefined;
  const effect = effectOf(rule, judgement);
  const fired: { -readonly [Key in keyof FiredRule]: FiredRule[Key] } = { id: rule.id, action: effect, reason };
  if (mode !== 'enforce') {
    fired.action = 'allow';
    fired.wouldBe = effect;
  } else if (beaten.has(rule.id)) {
    fired.action = 'allow';
    fired.reason = `overridden: ${reason}`.slice(0, LONGEST_REASON);
  }
  if (findings !== undefined) fired.findings = findings;
  if (malicious === true) fired.malicious = true;
  return fired;
}

function effectOf({ action }: CompiledRule, { state }: Judgement): PolicyAction {
  if (state === 'fired') return action;
  return state === 'grace' ? 'warn' : 'allow';
}

/** The ids of rules that a fired rule overrides. */
function overridden(outcomes: readonly Outcome[]): ReadonlySet<string> {
  let beaten: Set<string> | undefined;
  for (const { rule, judgement } of outcomes) {
    if (judgement.state !== 'fired') continue;
    for (const id of rule.override) (beaten ??= new Set()).add(id);
  }
  return beaten ?? NOTHING_BEATEN;
}

const NOTHING_BEATEN: ReadonlySet<string> = new Set();

/** The rule that `onScanFailure` stands for. */
function scanFailureRule(action: PolicyAction): CompiledRule {
  const failures = ({ input }: Subject): readonly ScanFailure[] =>
    (input.scanFailures ?? []).filter(({ status }) => status !== 'unsupported');
  return {
    id: 'scan-failure',
    action,
    override: [],
    grace: 0,
    matchesPlace: () => true,
    matchesName: () => true,
    test: (subject) => isTruth(failures(subject).length > 0),
    explain(subject, { reasons }) {
      const printed = failures(subject).map(({ scanner, status }) =>
        status === 'stale' ? `the database of ${scanner} is too old` : `${scanner} could not scan it`,
      );
      reasons.push(printed.join(', '));
    },
  };
}

function stronger(a: PolicyAction, b: PolicyAction): PolicyAction {
  return ACTIONS.indexOf(a) < ACTIONS.indexOf(b) ? a : b;
}

function weakest(a: PolicyMode, b: PolicyMode = 'enforce'): PolicyMode {
  return POLICY_MODES.indexOf(a) < POLICY_MODES.indexOf(b) ? a : b;
}
