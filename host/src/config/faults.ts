import type { z } from 'zod';
import { nearest } from '@entrepot/core/engine';
import type { ConfigurationProblem } from './configuration-error.js';
import { childSchema, knownKeys, type JsonSchema } from './json-schema.js';
import { OTHER_BACKEND } from './values.js';

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

/** Something that a schema found wrong, with the keys that lead to it. */
export interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const UNION = 'no alternative fits';

/** The messages of zod itself. They name its types and formats, not what a person should write. */
const OWN_MESSAGE = /^(Invalid|Too (small|big)|Unrecognized)\b/;

/** Says what was expected and what kind of thing was found, never the value: it may be a secret. */
export function describeIssue(issue: RawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${EXPECTED[issue.expected] ?? issue.expected}, found ${kindOf(issue.input, issue.expected)}`;
    case 'invalid_value':
      return unknownValue(issue.input, issue.values);
    case 'too_small':
      return `expected at least ${amount(issue.minimum, issue.origin)}`;
    case 'too_big':
      return `expected at most ${amount(issue.maximum, issue.origin)}`;
    case 'invalid_format':
      return issue.format === 'regex'
        ? `expected a text that matches ${issue.pattern}`
        : `expected a text of the form ${issue.format}`;
    case 'invalid_union':
      if (issue.discriminator === undefined) return UNION;
      return unknownValue(
        issue.input,
        (issue['options'] as unknown[]).filter((value) => value !== undefined),
        '',
      );
    default:
      return 'not a value that is allowed here; docs/configuration.md says which are';
  }
}

/** A value that is none of `known`, with the one that was probably meant. */
function unknownValue(found: unknown, known: readonly unknown[], without = `, found ${kindOf(found)}`): string {
  const expected = `expected ${listed(known)}`;
  if (typeof found !== 'string' || found === '') return expected + without;
  const meant = nearest(found, known.map(String));
  return meant === undefined ? expected : `${expected}; did you mean ${meant}?`;
}

/** Suggests the key that an unknown one was probably meant to be. */
export function unknownKey(key: string, known: readonly string[]): string {
  // The keys of all backends are known here.
  if (known.includes(key)) return 'unknown key of this backend; remove it, or set the backend that it is for';
  const meant = nearest(key, known);
  if (meant !== undefined) return `unknown key; did you mean ${meant}?`;
  return known.length === 0 ? 'unknown key' : `unknown key; known here: ${known.join(', ')}`;
}

/** Suggests the type that was probably meant, and lists the known ones. */
export function didYouMean(type: string, known: readonly string[]): string {
  const meant = nearest(type, known);
  const all = `known types: ${known.join(', ') || 'none'}`;
  return meant === undefined ? all : `did you mean ${meant}? ${all}`;
}

/**
 * Turns the issues of a schema into faults, each with its keys.
 * @param input what was validated: issues do not hold it
 * @param schema of `input`, for the keys that it knows
 */
export function faultsOf(issues: readonly Issue[], input: unknown, schema: JsonSchema): Fault[] {
  return issues.flatMap((issue) => issueFaults(issue, [], input, schema));
}

function issueFaults(issue: Issue, prefix: readonly PropertyKey[], input: unknown, schema: JsonSchema): Fault[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemaAt(path, schema) ?? {});
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, known) }));
  }
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message }];
  const isOwn = OWN_MESSAGE.test(issue.message);
  if (issue.code === 'invalid_union' && issue.discriminator === undefined && (isOwn || issue.message === UNION)) {
    const types = wantedTypes(issue.errors);
    if (types !== undefined) {
      return [{ path, message: `expected ${listed(types, 'or')}, found ${kindOf(valueAt(input, path))}` }];
    }
    return closestBranch(issue.errors).flatMap((inner) => issueFaults(inner, path, input, schema));
  }
  if (!isOwn) return [{ path, message: issue.message }];
  return [{ path, message: describeIssue({ ...issue, input: valueAt(input, path) } as RawIssue) }];
}

/** The types of several alternatives where the value is of none of them. */
function wantedTypes(branches: readonly (readonly Issue[])[]): readonly string[] | undefined {
  const roots = branches.map((issues) =>
    issues.find(({ code, path }) => code === 'invalid_type' && path.length === 0),
  ) as ({ readonly expected: string } | undefined)[];
  if (roots.length < 2 || roots.includes(undefined)) return undefined;
  const names = roots.map((root) => EXPECTED[root?.expected ?? ''] ?? 'another value');
  return [...new Set(names)];
}

/** The faults of the alternative that was probably meant: one of the right type, with the fewest faults. */
function closestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  const rightType = branches.filter((issues) => !issues.some(isOfAnother));
  const [closest = []] = [...(rightType.length > 0 ? rightType : branches)].sort((one, two) => one.length - two.length);
  return closest;
}

/** Whether an issue says that another alternative is meant. */
function isOfAnother(issue: Issue): boolean {
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined) return true;
  return (issue.code === 'invalid_type' && issue.path.length === 0) || issue.message === OTHER_BACKEND;
}

/** The faults of `found` that are not about what `reported` names already, about what is in it, or about what held it. */
export function withoutEchoes<Problem extends { readonly path: string }>(
  found: readonly Problem[],
  reported: readonly { readonly path: string }[],
): Problem[] {
  return found.filter(
    ({ path }) =>
      !reported.some((other) => `${other.path}.`.startsWith(`${path}.`) || path.startsWith(`${other.path}.`)),
  );
}

/** A copy of `tree` without what is faulty; where nothing is there, something is missing, and what lacks it goes. */
export function withoutFaulty(tree: unknown, faults: readonly Fault[]): unknown {
  const faulty = new Set(faults.map(({ path }) => dotted(exists(tree, path) ? path : path.slice(0, -1))));
  return copy(tree, []);

  function copy(value: unknown, path: readonly PropertyKey[]): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const isKept = (key: PropertyKey): boolean => !faulty.has(dotted([...path, key]));
    if (Array.isArray(value)) {
      return value.flatMap((one, index) => (isKept(index) ? [copy(one, [...path, index])] : []));
    }
    const kept = Object.entries(value).filter(([key]) => isKept(key));
    return Object.fromEntries(kept.map(([key, one]) => [key, copy(one, [...path, key])]));
  }
}

function exists(tree: unknown, path: readonly PropertyKey[]): boolean {
  const last = path.at(-1);
  const parent = valueAt(tree, path.slice(0, -1));
  return last !== undefined && typeof parent === 'object' && parent !== null && Object.hasOwn(parent, last);
}

function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let value = tree;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** The schema of what is at `path`, as far as it is known. */
function schemaAt(path: readonly PropertyKey[], root: JsonSchema): JsonSchema | undefined {
  let schema: JsonSchema | undefined = root;
  for (const step of path) schema = schema && childSchema(schema, String(step));
  return schema;
}

/** `path` as problems show it: `repositories.npm.upstreams.0.url`. */
export function dotted(path: readonly PropertyKey[]): string {
  return path.map(String).join('.');
}

/** As people are told of it. */
export function toProblem({ path, message }: Fault): ConfigurationProblem {
  return { path: dotted(path), message };
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

/** A least or a most, with its unit where it counts something. */
function amount(limit: number | bigint, origin: string): string {
  if (origin === 'string') return limit === 1 ? '1 character' : `${limit} characters`;
  if (origin === 'array') return limit === 1 ? '1 entry' : `${limit} entries`;
  return String(limit);
}

function listed(values: readonly unknown[], word = 'or'): string {
  const words = values.map(String);
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} ${word} ${words.at(-1)}`;
}
