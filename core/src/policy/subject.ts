import type { PackageCoordinates } from '../api/coordinates.js';
import { UNKNOWN_FACTS } from '../api/facts.js';
import type { Integrity } from '../api/integrity.js';
import type { PolicyDecision, PolicyInput } from '../api/policy.js';
import type { Finding } from '../api/scanner.js';
import { type Change, changeFrom, CHANGES, factsBefore } from './changes.js';
import type { PolicyDefaults, ScanStatus } from './document.js';
import type { ExpressionScope, PolicyScanner } from './policy.js';
import { isTruth, truth, type Truth } from './truth.js';

/** The last instant that a `Date` can hold, in milliseconds since the epoch. */
const LAST_INSTANT = 8.64e15;

/** Results of the scanners. */
interface Findings {
  readonly findings: readonly Finding[];
  /** Whether some scanner has judged it. */
  readonly answered: boolean;
  /** Whether some scanner that knows the ecosystem still needs the bytes. */
  readonly awaited: boolean;
  readonly absence: Truth;
}

/** The policy that a subject is judged by. */
export interface RulesInForce {
  readonly scanners: readonly PolicyScanner[];
  readonly defaults: PolicyDefaults;
  /** Judges an earlier version. `admitted` caches the results for the others. */
  judgeBefore(input: PolicyInput, admitted: Map<string, boolean>): PolicyDecision;
}

/** The subject of a decision: an input, and all that was derived from it so far. */
export class Subject {
  readonly input: PolicyInput;
  /** Whether an expression failed in the current rule, which then fires for that reason. */
  expressionFailed = false;
  /** The next instant after `input.now` at which the decision may change. */
  nextChangeAt: number | undefined;
  readonly #rules: RulesInForce;
  /** Whether earlier versions are allowed, by version. */
  readonly #admitted: Map<string, boolean>;
  #known: Findings | undefined;
  #leftOut: ((finding: Finding) => boolean) | undefined;
  #counted: readonly Finding[] | undefined;
  #scope: ExpressionScope | undefined;

  /** @param admitted results for earlier versions, shared by a subject that is one of them */
  constructor(input: PolicyInput, rules: RulesInForce, admitted = new Map<string, boolean>()) {
    this.input = input;
    this.#rules = rules;
    this.#admitted = admitted;
  }

  /** All findings but those that are left out. */
  get findings(): readonly Finding[] {
    const { findings } = this.#whatScannersSay();
    const leftOut = this.#leftOut;
    if (leftOut === undefined) return findings;
    return (this.#counted ??= findings.filter((finding) => !leftOut(finding)));
  }

  /** The truth of "no finding matches": `no` only where scanners have judged all of it. */
  get absence(): Truth {
    return this.#whatScannersSay().absence;
  }

  /** Ignores findings from now on. `undefined`: none. */
  leaveOut(leftOut: ((finding: Finding) => boolean) | undefined): void {
    if (leftOut === this.#leftOut) return;
    this.#leftOut = leftOut;
    this.#counted = undefined;
    this.#scope = undefined;
  }

  /** Notes an instant at which the decision may change. */
  note(at: number): void {
    if (!(at > this.input.now) || at > LAST_INSTANT) return;
    if (this.nextChangeAt === undefined || at < this.nextChangeAt) this.nextChangeAt = at;
  }

  /** Whether it is a name as a whole, not one of its versions or parts. Requests for documents have such subjects. */
  get isName(): boolean {
    const { input } = this;
    const { coordinates, stage, storedAt } = input;
    if (coordinates.version !== undefined || stage !== 'request' || storedAt !== undefined) return false;
    return input.firstSeenAt === undefined;
  }

  /**
   * The start of its age. Infinite: always or never old enough. `NaN`: unknown. `undefined`: it is seen for the first
   * time.
   */
  ageStart(): number | undefined {
    const { storedAt } = this.input;
    const released = this.releasedAt();
    if (released !== undefined) return released;
    const { ageSource, unknownDate } = this.#rules.defaults;
    if (ageSource !== 'first-seen' && unknownDate === 'allow') return -Infinity;
    if (ageSource !== 'first-seen' && unknownDate === 'deny') return Infinity;
    const { firstSeenAt } = this.input;
    return firstSeenAt === 'unknown' ? Number.NaN : (firstSeenAt ?? storedAt);
  }

  /**
   * Whether it differs from the versions before it.
   * @param window the time for which the rule watches a version, in milliseconds
   */
  changed(change: Change, window: number): Truth {
    const { facts, now } = this.input;
    const { before } = facts;
    if (before === undefined) return isTruth(facts[change]);
    return changeFrom({ ...facts, before }, change, {
      now,
      window,
      isAdmitted: (at) => this.#isAdmitted(before, at),
      note: (at) => this.note(at),
    });
  }

  #isAdmitted(before: NonNullable<PolicyInput['facts']['before']>, at: number): boolean {
    const { version = '', publishedAt = 0 } = before[at] ?? {};
    const known = this.#admitted.get(version);
    if (known !== undefined) return known;
    const { repository, coordinates, now } = this.input;
    const decision = this.#rules.judgeBefore(
      {
        stage: 'request',
        repository,
        coordinates: { ...coordinates, version },
        facts: factsBefore(before, at),
        firstSeenAt: publishedAt,
        now,
      },
      this.#admitted,
    );
    if (decision.nextChangeAt !== undefined) this.note(decision.nextChangeAt);
    // Also what is only watched: how a rule would do is to be seen before it is enforced.
    const { action, wouldBe = action } = decision;
    const isAdmitted = wouldBe !== 'deny' && wouldBe !== 'hold';
    this.#admitted.set(version, isAdmitted);
    return isAdmitted;
  }

  /** The date of release that the ecosystem claims, where its age counts from that. */
  releasedAt(): number | undefined {
    const { publishedAt } = this.input.facts;
    if (this.#rules.defaults.ageSource === 'first-seen' || publishedAt === undefined) return undefined;
    return Math.abs(publishedAt) <= LAST_INSTANT ? publishedAt : undefined;
  }

  /** The states of the reports on it. `undecided`: the bytes will bring others. */
  scanStates(): { readonly states: ReadonlySet<ScanStatus>; readonly undecided: boolean } {
    const { reports = [], scanFailures = [], stage, storedAt } = this.input;
    const { findings, answered, awaited } = this.#whatScannersSay();
    const states = new Set<ScanStatus>(scanFailures.map(({ status }) => status));
    if (findings.length > 0) states.add('findings');
    if (reports.some(({ coverage }) => coverage === 'partial')) states.add('unsupported');
    const undecided = awaited && stage === 'request' && storedAt === undefined;
    if (awaited && !undecided) states.add('pending');
    if (states.size === 0 && !undecided) states.add(answered ? 'clean' : 'unsupported');
    return { states, undecided };
  }

  /** The variables of expressions. */
  scope(): ExpressionScope {
    if (this.#scope !== undefined) return this.#scope;
    const { facts, coordinates, repository, size = 0 } = this.input;
    const { before: _before, ...told } = facts;
    const known = Object.entries({ ...told, ...this.#changes() }).filter(([, value]) => value !== undefined);
    this.#scope = {
      ...UNKNOWN_FACTS,
      ...Object.fromEntries(known),
      purl: { ...coordinates, version: coordinates.version ?? '' },
      repository,
      known: known.map(([name]) => name),
      findings: this.findings,
      size,
    };
    return this.#scope;
  }

  /** Changes from earlier versions, as facts. */
  #changes(): { readonly [Name in Change]?: boolean | undefined } {
    const found = CHANGES.map((change) => [change, this.changed(change, 0)] as const);
    return Object.fromEntries(
      found.map(([change, value]) => [change, value === truth.unknown ? undefined : value === truth.yes]),
    );
  }

  #whatScannersSay(): Findings {
    return (this.#known ??= this.#askScanners());
  }

  #askScanners(): Findings {
    const { coordinates, integrity, reports, scanFailures } = this.input;
    if (this.isName) return { findings: [], answered: false, awaited: false, absence: truth.unknown };
    // Without a version, a database speaks of all of them: that judges none.
    const askable = coordinates.version === undefined ? [] : this.#rules.scanners;
    const answers = askable.map(({ id, scanner }) => ({ id, found: ask(scanner, coordinates, integrity) }));
    const asked = new Set(answers.filter(({ found }) => found !== undefined).map(({ id }) => id));
    const counted = (reports ?? []).filter(({ scanner }) => !asked.has(scanner));
    const findings = [...answers.flatMap(({ found }) => found ?? []), ...counted.flatMap((report) => report.findings)];
    const answered = asked.size > 0 || counted.length > 0;
    const awaited =
      reports === undefined &&
      scanFailures === undefined &&
      this.#rules.scanners.some(
        ({ id, scanner }) => !asked.has(id) && scanner.subjects.ecosystems.includes(coordinates.ecosystem),
      );
    if (awaited) return { findings, answered, awaited, absence: truth.pending };
    const failed =
      scanFailures?.some(({ scanner, status }) => status !== 'unsupported' && !asked.has(scanner)) ?? false;
    const partial = failed || counted.some(({ coverage }) => coverage === 'partial');
    return { findings, answered, awaited, absence: partial || !answered ? truth.unknown : truth.no };
  }

  /** Looks up the advisories of all versions of the name. `undefined` when no scanner knows it. */
  advisoriesOfName(): readonly Finding[] | undefined {
    const { ecosystem, name } = this.input.coordinates;
    const answers = this.#rules.scanners.map(({ scanner }) => ask(scanner, { ecosystem, name }));
    return answers.every((found) => found === undefined) ? undefined : answers.flatMap((found) => found ?? []);
  }
}

/** Looks a version up. A scanner that throws knows nothing. */
function ask(
  scanner: PolicyScanner['scanner'],
  coordinates: PackageCoordinates,
  integrity?: readonly Integrity[],
): readonly Finding[] | undefined {
  try {
    return scanner.lookup?.(coordinates, integrity);
  } catch {
    return undefined;
  }
}
