import { fieldsOf, defined, type Fields } from '@entrepot/core/formats';
import { checkPolicy, type PolicyDocument } from '@entrepot/core/engine';
import type { PolicyConfig, RepositoryConfig, RepositoryPolicyConfig } from '../config/schema.js';
import type { ConfigurationProblem } from '../config/configuration-error.js';
import { readYamlFile } from '../config/files.js';
import { compileExpression } from './compile-expression.js';

/** Policy settings that differ from the server's, by repository. */
export type RepositoryPolicies = Readonly<Record<string, RepositoryPolicyConfig>>;

/** Collects the policy settings of repositories. */
export function policiesOf(repositories: Readonly<Record<string, RepositoryConfig>>): RepositoryPolicies {
  const named = Object.entries(repositories).flatMap(([name, { policy }]) =>
    policy === undefined ? [] : [[name, policy]],
  );
  return Object.fromEntries(named) as RepositoryPolicies;
}

/** Everything that is wrong with the policy of the configuration. */
export function policyProblems(
  config: PolicyConfig | undefined,
  repositories: RepositoryPolicies,
): readonly ConfigurationProblem[] {
  if (config !== undefined) return readConfiguredPolicy(config, repositories).problems ?? [];
  const message = 'expected the section policy, which this refines; found none';
  return Object.keys(repositories).map((name) => ({ path: `repositories.${name}.policy`, message }));
}

/** A policy as it was read, or everything that is wrong with it. */
export type ReadPolicy =
  | { readonly document: PolicyDocument; readonly problems?: undefined }
  | { readonly document?: undefined; readonly problems: readonly ConfigurationProblem[] };

/** Reads the policy of the configuration, from its file or its own keys. */
export function readConfiguredPolicy(config: PolicyConfig, repositories: RepositoryPolicies): ReadPolicy {
  const { file, preset, mode, defaults, rules } = config;
  const own = { value: { version: 1, defaults, rules } as Fields, problems: [] };
  const { value, problems } = file === undefined ? own : readYamlFile(file, 'policy file');
  if (problems.length > 0) return { problems };
  const places = Object.entries(repositories).map(([name, { preset: _own, ...place }]) => [name, place] as const);
  const written = fieldsOf(value['repositories']);
  return checkDocument(
    {
      ...value,
      ...(preset !== undefined && { preset }),
      ...(mode !== undefined && { mode }),
      ...((places.length > 0 || value['repositories'] !== undefined) && {
        repositories: {
          ...written,
          ...Object.fromEntries(
            places.map(([name, place]) => [name, { ...fieldsOf(written[name]), ...defined(place) }]),
          ),
        },
      }),
    },
    file ?? 'policy',
  );
}

/** Reads a policy file by itself, as `entrepot policy check` does. */
export function readPolicy(file: string): ReadPolicy {
  const { value, problems } = readYamlFile(file, 'policy file');
  return problems.length > 0 ? { problems } : checkDocument(value, file);
}

/**
 * Checks an unknown value as a policy.
 * @param name of the policy, for the problems
 */
export function checkDocument(value: unknown, name: string): ReadPolicy {
  const problems = checkPolicy(value, compileExpression).map(({ path, message }) => ({
    path: path === '' ? name : `${name}: ${path}`,
    message,
  }));
  return problems.length > 0 ? { problems } : { document: value as PolicyDocument };
}
