import type { StandardIssue, StandardSchema } from '@entrepot/core';
import type { ConfigurationProblem } from './configuration-error.js';
import { knownKeys, optionsJsonSchema } from './json-schema.js';
import { COMMON_REPOSITORY_KEYS } from './schema.js';
import { dotted, unknownKey } from './validate.js';

/**
 * The options of a repository, validated by its plugin. Problems are prefixed with `repositories.<name>.`; an unknown key
 * names the nearest key of the plugin and of all repositories, for a misspelt common key is taken for an option.
 */
export async function parseRepositoryOptions<Output>(
  repository: string,
  schema: StandardSchema<Output>,
  options: unknown,
): Promise<
  | { readonly options: Output; readonly problems?: undefined }
  | { readonly options?: undefined; readonly problems: readonly ConfigurationProblem[] }
> {
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
): Promise<
  | { readonly options: Output; readonly problems?: undefined }
  | { readonly options?: undefined; readonly problems: readonly ConfigurationProblem[] }
> {
  const result = await schema['~standard'].validate(options);
  if (result.issues === undefined) return { options: result.value };
  const json = optionsJsonSchema(schema);
  const known = [...knownKeys(json ?? {}), ...common];
  return { problems: result.issues.flatMap((issue) => issueProblems(path, issue, known)) };
}

function issueProblems(
  prefix: readonly string[],
  issue: StandardIssue,
  known: readonly string[],
): ConfigurationProblem[] {
  const steps = (issue.path ?? []).map((step) => (typeof step === 'object' ? step.key : step));
  const path = [...prefix, ...steps];
  const keys = unrecognizedKeys(issue);
  if (keys === undefined) return [{ path: dotted(path), message: issue.message }];
  return keys.map((key) => ({
    path: dotted([...path, key]),
    message: steps.length === 0 ? unknownKey(key, known) : 'unknown key',
  }));
}

/** What zod says beyond the Standard Schema when keys are unknown. */
function unrecognizedKeys(issue: StandardIssue): readonly string[] | undefined {
  const { code, keys } = issue as StandardIssue & { readonly code?: unknown; readonly keys?: unknown };
  return code === 'unrecognized_keys' && Array.isArray(keys) ? (keys as string[]) : undefined;
}
