import {
  ALLOWED,
  type Clock,
  type FactName,
  type FiredRule,
  type FirstFetch,
  type Logger,
  type PolicyDecision,
  type PolicyEngine,
  type PolicyInput,
} from '@entrepot/core';
import {
  createPolicy,
  type Policy,
  type PolicyDocument,
  type PolicyScanner,
  type RuleOutcome,
} from '@entrepot/core/engine';
import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import { fileVersion } from '../config/files.js';
import type { PolicyConfig } from '../config/schema.js';
import { compileExpression } from './compile-expression.js';
import type { FirstSeen } from './first-seen.js';
import { readConfiguredPolicy, type RepositoryPolicies } from './policy-document.js';
import type { StandingDecisions } from './standing-decisions.js';

export interface PolicyInForceOptions {
  /** Absent: no rules. */
  readonly config: PolicyConfig | undefined;
  readonly repositories: RepositoryPolicies;
  readonly scanners: readonly PolicyScanner[];
  readonly decisions: Pick<StandingDecisions, 'exceptions' | 'denial' | 'denies' | 'used' | 'revision'>;
  readonly firstSeen: Pick<FirstSeen, 'revision'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The state of the policy in force, for administrators. */
export interface PolicyStatus {
  readonly revision: string;
  /** With its preset. Absent: there is none. */
  readonly document?: PolicyDocument | undefined;
  readonly file?: string | undefined;
  /** When it was put in force; milliseconds since the epoch. */
  readonly since: number;
  /** Problems of the current file, which keep it from being in force. */
  readonly problems: readonly ConfigurationProblem[];
}

interface Revision {
  readonly policy: Policy;
  /** Policies of repositories with another preset. */
  readonly own: ReadonlyMap<string, Policy>;
  readonly since: number;
}

/** The rule that fires for a version that an administrator denied. */
export const QUARANTINE_RULE = 'quarantine';
const NO_RULES: PolicyDocument = { version: 1, rules: [] };

/**
 * The policy of the configuration. Its file is read again when it has changed; an invalid one is refused, and the
 * policy in force stays. Versions that administrators denied are denied whatever the rules say.
 */
export class PolicyInForce implements PolicyEngine {
  readonly #options: PolicyInForceOptions;
  #inForce: Revision;
  #problems: readonly ConfigurationProblem[] = [];
  #fileVersion = '';

  /** @throws ConfigurationError with everything that is wrong with the policy */
  constructor(options: PolicyInForceOptions) {
    this.#options = options;
    const { file } = options.config ?? {};
    if (file !== undefined) this.#fileVersion = fileVersion(file);
    this.#inForce = this.#read();
  }

  revision(): string {
    const { policy, own } = this.#inForce;
    const others = [...own.values()].map((each) => each.revision());
    const { decisions, firstSeen } = this.#options;
    return [policy.revision(), ...others, decisions.revision, firstSeen.revision].join(',');
  }

  needs(): ReadonlySet<FactName> {
    const { policy, own } = this.#inForce;
    if (own.size === 0) return policy.needs();
    return new Set([policy, ...own.values()].flatMap((each) => [...each.needs()]));
  }

  enforces(): boolean {
    const { policy, own } = this.#inForce;
    return this.#options.decisions.denies || [policy, ...own.values()].some((each) => each.enforces());
  }

  firstFetch(repository: string): FirstFetch {
    return this.#policyOf(repository).firstFetch(repository);
  }

  evaluate(input: PolicyInput): PolicyDecision {
    const { config, decisions } = this.#options;
    const denial = this.#denial(input);
    if (config === undefined && denial === undefined) return ALLOWED;
    const decision = this.#policyOf(input.repository.name).evaluate(input);
    if (decision.exceptions !== undefined) decisions.used(decision.exceptions);
    if (denial === undefined) return decision;
    const { wouldBe: _weaker, ...rest } = decision;
    return { ...rest, action: 'deny', rules: [denial, ...decision.rules], pending: undefined };
  }

  /** Computes the outcome of every rule. */
  explain(input: PolicyInput): readonly RuleOutcome[] {
    const outcomes = this.#policyOf(input.repository.name).explain(input);
    const denial = this.#denial(input);
    if (denial === undefined) return outcomes;
    const { id, action, reason } = denial;
    return [{ id, action, mode: 'enforce', state: 'fired', reason }, ...outcomes];
  }

  status(): PolicyStatus {
    const { config } = this.#options;
    return {
      revision: this.revision(),
      document: config === undefined ? undefined : this.#inForce.policy.document,
      file: config?.file,
      since: this.#inForce.since,
      problems: this.#problems,
    };
  }

  /** A policy that is not in force, with the same scanners and exceptions. @throws EntrepotError `configuration` */
  candidate(document: PolicyDocument): Policy {
    const { scanners, decisions } = this.#options;
    return createPolicy({ document, scanners, exceptions: () => decisions.exceptions, compileExpression });
  }

  /** Takes the file as it is now, if it has changed and is valid. */
  refresh(): void {
    const { config, logger } = this.#options;
    if (config?.file === undefined) return;
    const version = fileVersion(config.file);
    if (version === this.#fileVersion) return;
    this.#fileVersion = version;
    try {
      this.#inForce = this.#read();
      this.#problems = [];
      logger.info({ file: config.file, revision: this.revision() }, 'the policy file is in force');
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      const { problems } = error as ConfigurationError;
      this.#problems = problems;
      logger.error({ file: config.file, problems }, 'the policy file is refused; the one before stays in force');
    }
  }

  #policyOf(repository: string): Policy {
    const { policy, own } = this.#inForce;
    return own.get(repository) ?? policy;
  }

  #denial({ repository, coordinates }: PolicyInput): FiredRule | undefined {
    const denied = this.#options.decisions.denial(repository.name, coordinates);
    if (denied === undefined) return undefined;
    // Clients are not told who that was, nor the note on it: administrators find both in the quarantine.
    return { id: QUARANTINE_RULE, action: 'deny', reason: 'denied by an administrator' };
  }

  #read(): Revision {
    const { config, repositories, clock } = this.#options;
    const since = clock.now();
    if (config === undefined) return { policy: this.candidate(NO_RULES), own: new Map(), since };
    const { document, problems } = readConfiguredPolicy(config, repositories);
    if (problems !== undefined) throw new ConfigurationError(problems);
    const own = new Map<string, Policy>();
    for (const [name, { preset }] of Object.entries(repositories)) {
      if (preset !== undefined) own.set(name, this.candidate({ ...document, preset }));
    }
    return { policy: this.candidate(document), own, since };
  }
}
