import type { ConfigurationChange } from './changes.js';
import type { ConfigurationProblem } from './configuration-error.js';

/** Result of reading the configuration again. */
export interface ReloadOutcome {
  /** Whether it is in force. `false`: the one from before is. */
  readonly applied: boolean;
  /** The keys that differ. Empty where it is not applied. */
  readonly changes: readonly ConfigurationChange[];
  /** Why it is not applied. */
  readonly problems: readonly ConfigurationProblem[];
}
