import type { PackageCoordinates } from '../api/coordinates.js';
import type { Integrity } from '../api/integrity.js';
import type { PolicyInput } from '../api/policy.js';
import type { Finding } from '../api/scanner.js';
import type { PolicyDefaults, ScanStatus } from './document.js';
import type { ExpressionScope, PolicyScanner } from './policy.js';
import { truth, type Truth } from './truth.js';

/** The longest time that a date can tell, in milliseconds. */
const LAST_INSTANT = 8.64e15;

/** What scanners say. */
interface Findings {
  readonly findings: readonly Finding[];
  /** Some scanner looked. */
  readonly answered: boolean;
  /** Some scanner that knows the ecosystem will look once the bytes are here. */
  readonly awaited: boolean;
  readonly absence: Truth;
}

/** What is decided on: an input, and what has been found out about it so far. */
export class Subject {
  readonly input: PolicyInput;
  /** An expression failed in the present rule; once that is evaluated: it fires for this alone. */
  expressionFailed = false;
  /** The next instant after `input.now` at which something may be otherwise. */
  nextChangeAt: number | undefined;
  readonly #scanners: readonly PolicyScanner[];
  readonly #defaults: PolicyDefaults;
  #known: Findings | undefined;
  #leftOut: ((finding: Finding) => boolean) | undefined;
  #counted: readonly Finding[] | undefined;
  #scope: ExpressionScope | undefined;

  constructor(input: PolicyInput, scanners: readonly PolicyScanner[], defaults: PolicyDefaults) {
    this.input = input;
    this.#scanners = scanners;
    this.#defaults = defaults;
  }

  /** All findings but those that are left out. */
  get findings(): readonly Finding[] {
    const { findings } = this.#whatScannersSay();
    const leftOut = this.#leftOut;
    if (leftOut === undefined) return findings;
    return (this.#counted ??= findings.filter((finding) => !leftOut(finding)));
  }

  /** What it means that no finding is of some kind: `no` only where somebody looked, and looked at all of it. */
  get absence(): Truth {
    return this.#whatScannersSay().absence;
  }

  /** Evaluates as if some findings were not there. `undefined`: all are. */
  leaveOut(leftOut: ((finding: Finding) => boolean) | undefined): void {
    if (leftOut === this.#leftOut) return;
    this.#leftOut = leftOut;
    this.#counted = undefined;
    this.#scope = undefined;
  }

  /** Takes down an instant at which something may be otherwise. */
  note(at: number): void {
    if (!(at > this.input.now) || at > LAST_INSTANT) return;
    if (this.nextChangeAt === undefined || at < this.nextChangeAt) this.nextChangeAt = at;
  }

  /** It is a name as a whole, not one of its versions: documents are asked for by it. */
  get isName(): boolean {
    const { coordinates, stage, storedAt } = this.input;
    return coordinates.version === undefined && stage === 'request' && storedAt === undefined;
  }

  /** When its age began; infinite: always old enough, or never. `undefined`: this is the first that is known of it. */
  ageStart(): number | undefined {
    const { facts, storedAt } = this.input;
    if (this.#defaults.ageSource !== 'first-seen') {
      const { publishedAt } = facts;
      if (publishedAt !== undefined && Math.abs(publishedAt) <= LAST_INSTANT) return publishedAt;
      if (this.#defaults.unknownDate === 'allow') return -Infinity;
      if (this.#defaults.unknownDate === 'deny') return Infinity;
    }
    return this.input.firstSeenAt ?? storedAt;
  }

  /** The states of the reports on it. `undecided`: there will be others once its bytes are here. */
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

  /** What an expression sees. */
  scope(): ExpressionScope {
    if (this.#scope !== undefined) return this.#scope;
    const { facts, coordinates, repository, size = 0 } = this.input;
    const known = Object.entries(facts).filter(([, value]) => value !== undefined);
    this.#scope = {
      publishedAt: 0,
      licenses: [],
      deprecated: false,
      yanked: false,
      upstream: '',
      installScripts: false,
      newInstallScripts: false,
      exoticDependencies: [],
      newDependencies: [],
      provenance: '',
      provenanceDowngraded: false,
      publisherChanged: false,
      ...Object.fromEntries(known),
      purl: { ...coordinates, version: coordinates.version ?? '' },
      repository,
      known: known.map(([name]) => name),
      findings: this.findings,
      size,
    };
    return this.#scope;
  }

  #whatScannersSay(): Findings {
    return (this.#known ??= this.#askScanners());
  }

  #askScanners(): Findings {
    const { coordinates, integrity, reports, scanFailures } = this.input;
    if (this.isName) return { findings: [], answered: false, awaited: false, absence: truth.unknown };
    // Without a version, a database speaks of all of them: that judges none.
    const askable = coordinates.version === undefined ? [] : this.#scanners;
    const answers = askable.map(({ id, scanner }) => ({ id, found: ask(scanner, coordinates, integrity) }));
    const asked = new Set(answers.filter(({ found }) => found !== undefined).map(({ id }) => id));
    const counted = (reports ?? []).filter(({ scanner }) => !asked.has(scanner));
    const findings = [...answers.flatMap(({ found }) => found ?? []), ...counted.flatMap((report) => report.findings)];
    const answered = asked.size > 0 || counted.length > 0;
    const awaited =
      reports === undefined &&
      scanFailures === undefined &&
      this.#scanners.some(
        ({ id, scanner }) => !asked.has(id) && scanner.subjects.ecosystems.includes(coordinates.ecosystem),
      );
    if (awaited) return { findings, answered, awaited, absence: truth.pending };
    const failed =
      scanFailures?.some(({ scanner, status }) => status !== 'unsupported' && !asked.has(scanner)) ?? false;
    const partial = failed || counted.some(({ coverage }) => coverage === 'partial');
    return { findings, answered, awaited, absence: partial || !answered ? truth.unknown : truth.no };
  }

  /** What databases say of all versions of the name; `undefined` when none knows it. */
  advisoriesOfName(): readonly Finding[] | undefined {
    const { ecosystem, name } = this.input.coordinates;
    const answers = this.#scanners.map(({ scanner }) => ask(scanner, { ecosystem, name }));
    return answers.every((found) => found === undefined) ? undefined : answers.flatMap((found) => found ?? []);
  }
}

/** What a scanner says at once; one that breaks says nothing. */
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
