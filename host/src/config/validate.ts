import type { ConfigurationProblem } from './configuration-error.js';
import { describeIssue, faultsOf, toProblem, withoutEchoes, withoutFaulty } from './faults.js';
import { configJsonSchema } from './json-schema.js';
import { configSchema, type ParsedConfig } from './schema.js';
import { semanticProblems } from './semantic-checks.js';

/** Faults hide others: of a section that is no mapping its keys are not seen. So often they are taken out and looked past. */
const MOST_ROUNDS = 5;

/** The parsed configuration, and everything that is wrong with it: keys, values, and what they say together. */
export interface Validated {
  /** Without what is wrong, for further checks. Absent: little is left. */
  readonly config?: ParsedConfig | undefined;
  readonly problems: readonly ConfigurationProblem[];
}

/** Validates a configuration as it was read. */
export function validateConfig(raw: unknown): Validated {
  const problems: ConfigurationProblem[] = [];
  let config: ParsedConfig | undefined;
  let tree = raw;
  for (let round = 0; round < MOST_ROUNDS && config === undefined; round += 1) {
    const result = configSchema.safeParse(tree, { error: describeIssue });
    config = result.data;
    const faults = faultsOf(result.error?.issues ?? [], tree, configJsonSchema());
    problems.push(...withoutEchoes(faults.map(toProblem), [...problems]));
    tree = withoutFaulty(tree, faults);
  }
  return { config, problems: [...problems, ...semanticProblems(raw)] };
}
