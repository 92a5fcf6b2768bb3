import { readFileSync, statSync } from 'node:fs';
import { checkPolicy, type PolicyDocument } from '@entrepot/core/engine';
import type { PolicyConfig, RepositoryConfig, RepositoryPolicyConfig } from '../config/schema.js';
import type { ConfigurationProblem } from '../config/configuration-error.js';
import { parseYaml } from '../config/read-yaml.js';
import { compileExpression } from './compile-expression.js';

/** The largest policy file. */
const MAX_FILE_BYTES = 1024 * 1024;

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
  const read = file === undefined ? { value: { version: 1, defaults, rules } } : readPolicyFile(file);
  if (read.problems !== undefined) return { problems: read.problems };
  const places = Object.entries(repositories).map(([name, { preset: _own, ...place }]) => [name, place] as const);
  const written = mappingOf(read.value['repositories']);
  return checkDocument(
    {
      ...read.value,
      ...(preset !== undefined && { preset }),
      ...(mode !== undefined && { mode }),
      ...((places.length > 0 || read.value['repositories'] !== undefined) && {
        repositories: {
          ...written,
          ...Object.fromEntries(
            places.map(([name, place]) => [name, { ...mappingOf(written[name]), ...defined(place) }]),
          ),
        },
      }),
    },
    file ?? 'policy',
  );
}

/** Reads a policy file by itself, as `entrepot policy check` does. */
export function readPolicy(file: string): ReadPolicy {
  const read = readPolicyFile(file);
  return read.problems === undefined ? checkDocument(read.value, file) : { problems: read.problems };
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

/** @param name of the text, for the problems */
export function parsePolicy(text: string, name: string): ReadPolicy {
  const { value, problems } = parseYaml(text, name);
  return problems.length > 0 ? { problems } : checkDocument(value, name);
}

function readPolicyFile(
  file: string,
):
  | { readonly value: Readonly<Record<string, unknown>>; readonly problems?: undefined }
  | { readonly problems: readonly ConfigurationProblem[] } {
  let text: string;
  try {
    if (statSync(file).size > MAX_FILE_BYTES) return { problems: [{ path: file, message: 'expected at most 1 MiB' }] };
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    return { problems: [{ path: file, message: `expected a policy file; ${reason}` }] };
  }
  const { value, problems } = parseYaml(text, file);
  return problems.length > 0 ? { problems } : { value };
}

/** A version that changes with the file. An unreadable file has a version too. */
export function policyFileVersion(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? 'absent' : `${found.ino}-${found.size}-${found.mtimeMs}`;
}

function mappingOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function defined(values: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
