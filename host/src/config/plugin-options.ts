import type { StandardIssue, StandardSchema } from '@entrepot/core';
import type { ConfigurationProblem } from './configuration-error.js';
import { dotted, faultsOf, unknownKey, withoutEchoes, withoutFaulty, type Fault } from './faults.js';
import { knownKeys, optionsJsonSchema } from './json-schema.js';
import { COMMON_REPOSITORY_KEYS } from './schema.js';

/** Rounds of validation: one fault may hide another, which shows once the first is left out. */
const MOST_ROUNDS = 3;

/** Options as their plugin's schema returned them, or everything that is wrong with them. */
export type ParsedOptions<Output> =
  | { readonly options: Output; readonly problems?: undefined }
  | { readonly options?: undefined; readonly problems: readonly ConfigurationProblem[] };

/**
 * The options of a repository, validated by its plugin. Problems are prefixed with `repositories.<name>.`; an unknown key
 * names the nearest key of the plugin and of all repositories, for a misspelt common key is taken for an option.
 */
export async function parseRepositoryOptions<Output>(
  repository: string,
  schema: StandardSchema<Output>,
  options: unknown,
): Promise<ParsedOptions<Output>> {
  return parsePluginOptions(['repositories', repository], schema, options, COMMON_REPOSITORY_KEYS);
}

/**
 * Options validated by their plugin.
 * @param path of the section that they stand in
 * @param common keys of that section that are not the plugin's
 */
export async function parsePluginOptions<Output>(
  path: readonly string[],
  schema: StandardSchema<Output>,
  options: unknown,
  common: readonly string[],
): Promise<ParsedOptions<Output>> {
  const problems: ConfigurationProblem[] = [];
  let tree = options;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const result = await schema['~standard'].validate(tree);
    if (result.issues === undefined) {
      if (problems.length > 0) break;
      return { options: result.value };
    }
    const faults = result.issues.flatMap((issue) => optionFaults(issue, tree, schema, common));
    const found = faults.map((fault) => ({ path: dotted([...path, ...fault.path]), message: fault.message }));
    problems.push(...withoutEchoes(found, [...problems]));
    tree = withoutFaulty(tree, faults);
  }
  return { problems };
}

function optionFaults(
  issue: StandardIssue,
  options: unknown,
  schema: StandardSchema,
  common: readonly string[],
): Fault[] {
  const path = (issue.path ?? []).map((step) => (typeof step === 'object' ? step.key : step));
  const json = optionsJsonSchema(schema) ?? {};
  if (!isZodIssue(issue)) return [{ path, message: issue.message }];
  if (issue.code !== 'unrecognized_keys' || path.length > 0) return faultsOf([{ ...issue, path }], options, json);
  const known = [...knownKeys(json), ...common];
  return issue.keys.map((key) => ({ path: [key], message: unknownKey(key, known) }));
}

/** Whether an issue says more than the Standard Schema asks for, as those of zod do. */
function isZodIssue(issue: StandardIssue): issue is StandardIssue & Parameters<typeof faultsOf>[0][number] {
  return typeof (issue as { readonly code?: unknown }).code === 'string';
}
