import type { ConfigurationProblem } from './configuration-error.js';
import { describeIssue, faultsOf, toProblem, withoutEchoes, withoutFaulty } from './faults.js';
import { configJsonSchema } from './json-schema.js';
import { configSchema, type ParsedConfig } from './schema.js';
import { semanticProblems } from './semantic-checks.js';

/** Faults hide others: of a section that is no mapping its keys are not seen. So often they are taken out and looked past. */
const MOST_ROUNDS = 5;

/** The parsed configuration, or everything that is wrong with `raw`: keys, values, and what they say together. */
export type Validated =
  | { readonly config: ParsedConfig; readonly problems?: undefined }
  | {
      readonly config?: undefined;
      readonly problems: readonly ConfigurationProblem[];
      /** The configuration without what is wrong with it, for further checks; `undefined`: little is left. */
      readonly rest: ParsedConfig | undefined;
    };

/** Validates a configuration as it was read. */
export function validateConfig(raw: unknown): Validated {
  const problems: ConfigurationProblem[] = [];
  let rest: ParsedConfig | undefined;
  let tree = raw;
  for (let round = 0; round < MOST_ROUNDS && rest === undefined; round += 1) {
    const result = configSchema.safeParse(tree, { error: describeIssue });
    rest = result.data;
    const faults = faultsOf(result.error?.issues ?? [], tree, configJsonSchema());
    problems.push(...withoutEchoes(faults.map(toProblem), [...problems]));
    tree = withoutFaulty(
      tree,
      faults.map(({ path }) => path),
    );
  }
  problems.push(...semanticProblems(raw));
  return problems.length === 0 && rest !== undefined ? { config: rest } : { problems, rest };
}
