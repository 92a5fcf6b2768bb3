import type { z } from 'zod';
import type { ConfigurationProblem } from './configuration-error.js';
import { nearest } from './did-you-mean.js';
import { knownKeys, schemaAt } from './json-schema.js';
import { configSchema, type ParsedConfig } from './schema.js';
import { semanticProblems } from './semantic-checks.js';

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

const UNION = 'no alternative fits';

/** The parsed configuration, or everything that is wrong with `raw`: keys, values, and what they say together. */
export function validateConfig(
  raw: unknown,
):
  | { readonly config: ParsedConfig; readonly problems?: undefined }
  | { readonly config?: undefined; readonly problems: readonly ConfigurationProblem[] } {
  const result = configSchema.safeParse(raw, { error: describeIssue });
  const problems = (result.error?.issues ?? []).flatMap((issue) => issueProblems(issue, []));
  problems.push(...semanticProblems(raw));
  if (problems.length > 0 || !result.success) return { problems };
  return { config: result.data };
}

/** What an unknown key probably was meant to be. */
export function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return meant === undefined ? `unknown key; known here: ${known.join(', ')}` : `unknown key; did you mean ${meant}?`;
}

/** Says what was expected and what kind of thing was found, never the value: it may be a secret. */
function describeIssue(issue: RawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${EXPECTED[issue.expected] ?? issue.expected}, found ${kindOf(issue.input, issue.expected)}`;
    case 'invalid_value':
      return `expected ${listed(issue.values)}, found ${kindOf(issue.input)}`;
    case 'too_small':
      return `expected at least ${issue.minimum}`;
    case 'too_big':
      return `expected at most ${issue.maximum}`;
    case 'invalid_union':
      return issue.discriminator === undefined
        ? UNION
        : `expected ${listed((issue['options'] as unknown[]).filter((value) => value !== undefined))}`;
    default:
      return `not valid (${issue.code})`;
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping of keys',
  record: 'a mapping of names',
  array: 'a list',
};

function kindOf(value: unknown, expected?: string): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'an empty value (leave the key out for its default)';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'a text';
  if (typeof value === 'number') return expected === 'string' ? 'a number (put it in quotes)' : 'a number';
  return typeof value === 'boolean' ? 'true or false' : typeof value;
}

function listed(values: readonly unknown[]): string {
  const words = values.map(String);
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function issueProblems(issue: Issue, prefix: readonly PropertyKey[]): ConfigurationProblem[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemaAt(path) ?? {});
    return issue.keys.map((key) => ({ path: dotted([...path, key]), message: unknownKey(key, known) }));
  }
  if (issue.code === 'invalid_key') return [{ path: dotted(path), message: issue.issues[0]?.message ?? issue.message }];
  if (issue.code === 'invalid_union' && issue.message === UNION) {
    return closestBranch(issue.errors).flatMap((inner) => issueProblems(inner, path));
  }
  return [{ path: dotted(path), message: issue.message }];
}

/** The faults of the alternative that was probably meant: one of the right type, with the fewest faults. */
function closestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  const rightType = branches.filter(
    (issues) => !issues.some(({ code, path }) => code === 'invalid_type' && path.length === 0),
  );
  const [closest = []] = [...(rightType.length > 0 ? rightType : branches)].sort((one, two) => one.length - two.length);
  return closest;
}

/** `path` as problems show it: `repositories.npm.upstreams.0.url`. */
export function dotted(path: readonly PropertyKey[]): string {
  return path.map(String).join('.');
}
