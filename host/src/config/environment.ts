import { fieldsOf, isRecord, type Fields } from '@entrepot/core/formats';
import type { ConfigurationProblem } from './configuration-error.js';
import { nearest } from '@entrepot/core/engine';
import { DEFAULT_VARIABLES } from './environment-defaults.js';
import {
  alternatives,
  childSchema,
  configJsonSchema,
  isTextSchema,
  knownKeys,
  recordSchema,
  type JsonSchema,
} from './json-schema.js';
import { parseYamlValue } from './read-yaml.js';

type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'ENTREPOT_';
/** Variables that name no key and stand above none. */
const NO_KEYS = new Set([`${PREFIX}CONFIG`, ...DEFAULT_VARIABLES]);

/** Variables that Kubernetes sets in every container for a service whose name begins with `entrepot`. */
const KUBERNETES = /^ENTREPOT_(.+_)?(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const KUBERNETES_NAMED_PORT = /^ENTREPOT_(.+_)?SERVICE_PORT_/;
const KUBERNETES_OF_ENTREPOT = /^ENTREPOT_(SERVICE_.*|PORT(_.*)?)$/;
const KUBERNETES_PORT = /^ENTREPOT_(.+_)?PORT$/;

/** The configuration with the environment's word in it. */
export interface Overridden {
  readonly tree: Fields;
  /** The variable that set a key, by the key's dotted path. */
  readonly variables: ReadonlyMap<string, string>;
  readonly problems: readonly ConfigurationProblem[];
}

interface Override {
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

interface Target {
  readonly path: readonly string[];
  readonly schema: JsonSchema;
}

/**
 * `written` with the `ENTREPOT_*` variables of `env` applied: each names one key, upper-case, words and levels separated
 * by `_` (`ENTREPOT_SERVER_PUBLIC_URL`). A key that holds text takes its variable as it is, others read it as a YAML
 * scalar or flow collection. An empty variable says nothing. `written` is not changed.
 * @param bundledTypes the repositories that the built-in default may have; variables may speak of them when `written`
 *   names no repositories
 */
export function applyEnvironment(written: Fields, env: Environment, bundledTypes: readonly string[] = []): Overridden {
  const names = Object.keys(env).filter((name) => env[name] !== '' && env[name] !== undefined && isOurs(name, env));
  const problems: ConfigurationProblem[] = [];
  const variables = new Map<string, string>();
  let tree = written;

  // Whole sections first, so that variables for single keys find what they name, and stand.
  const all = `${PREFIX}REPOSITORIES`;
  const whole = names.filter((name) => name === all);
  const single = names.filter((name) => name !== all);
  const implied = whole.length > 0 || tree['repositories'] !== undefined ? [] : bundledTypes;
  for (const group of [whole, single]) {
    const overrides: Override[] = [];
    for (const variable of group) {
      const result = resolve(variable, env[variable] as string, tree, declaredRepositories(names, tree, implied));
      if ('message' in result) problems.push(result);
      else overrides.push(result);
    }
    for (const { variable, path, value } of overrides.sort((one, two) => one.path.length - two.path.length)) {
      const changed = withValue(tree, path, value);
      if (changed === undefined) {
        const message = `cannot be set: expected a mapping above ${path.join('.')} in the file, found another value`;
        problems.push({ path: variable, message });
      } else {
        tree = changed;
        variables.set(path.join('.'), variable);
      }
    }
  }
  return { tree: withImpliedTypes(tree, implied), variables, problems };
}

/** The variable of a key: `server.publicUrl` → `ENTREPOT_SERVER_PUBLIC_URL`. */
export function variableName(path: readonly string[]): string {
  return PREFIX + path.map((key) => (key.startsWith('<') ? key.toUpperCase() : snakeCase(key))).join('_');
}

function isOurs(name: string, env: Environment): boolean {
  if (!name.startsWith(PREFIX) || NO_KEYS.has(name)) return false;
  if ([KUBERNETES_OF_ENTREPOT, KUBERNETES, KUBERNETES_NAMED_PORT].some((form) => form.test(name))) return false;
  return !(KUBERNETES_PORT.test(name) && /^(tcp|udp|sctp):\/\//.test(env[name] ?? ''));
}

function resolve(
  variable: string,
  text: string,
  tree: Fields,
  declared: readonly string[],
): Override | ConfigurationProblem {
  const rest = variable.slice(PREFIX.length);
  const targets = descend(configJsonSchema(), rest, tree, declared);
  const [target, rival] = targets;
  if (target === undefined) return { path: variable, message: unknownVariable(variable, tree, declared) };
  if (rival !== undefined) {
    const keys = [target, rival].map(({ path }) => path.join('.')).join(' and ');
    return { path: variable, message: `ambiguous, could be ${keys}; set the one that you mean in the file` };
  }
  const { path, schema } = target;
  if (isTextSchema(schema)) return { variable, path, value: text };
  const parsed = parseYamlValue(text);
  if (parsed.fault !== undefined) return { path: variable, message: parsed.fault };
  return { variable, path, value: parsed.value };
}

/** The keys that `rest` can name below `schema`; more than one when names differ only by `-`, `.` and `_`. */
function descend(schema: JsonSchema, rest: string, value: unknown, declared: readonly string[]): Target[] {
  const record = recordSchema(schema);
  if (record !== undefined) return descendRecord(record, rest, fieldsOf(value), declared);
  const fixed = matches(rest, knownKeys(schema), (key) => [snakeCase(key), snakeCase(key).replaceAll('_', '')]);
  const targets = follow(fixed, schema, value, declared);
  if (targets.length > 0) return targets;
  return isOpen(schema) ? [descendOptions(rest, value)] : [];
}

/** Names that a person chose: the longest one that is there, or for classes one that leaves a known key behind it. */
function descendRecord(record: JsonSchema, rest: string, value: Fields, declared: readonly string[]): Target[] {
  const named = isOpen(record);
  const names = [...Object.keys(value), ...(named ? declared : [])];
  const found = matches(rest, names, (name) => [normalized(name)]);
  const targets = follow(found, { additionalProperties: record }, value, []);
  if (targets.length > 0 || named) return targets;
  const words = rest.split('_');
  for (let length = 1; length <= words.length; length += 1) {
    const name = words.slice(0, length).join('-').toLowerCase();
    const below = words.slice(length).join('_');
    const inside = below === '' ? [{ path: [], schema: record }] : descend(record, below, undefined, []);
    if (inside.length > 0) return under(inside, name);
  }
  return [];
}

/** A plugin's option. Its schema is not known here: a key that is there is taken, else the name in camel case. */
function descendOptions(rest: string, value: unknown): Target {
  const mapping = fieldsOf(value);
  for (const { key, below } of matches(rest, Object.keys(mapping), (key) => [snakeCase(key), normalized(key)])) {
    if (below === '') return { path: [key], schema: {} };
    if (!isRecord(mapping[key])) continue;
    const inside = descendOptions(below, mapping[key]);
    return { path: [key, ...inside.path], schema: inside.schema };
  }
  return { path: [camelCase(rest)], schema: {} };
}

interface Match {
  readonly key: string;
  /** The rest of the variable's name below `key`; `''` when the variable names the key itself. */
  readonly below: string;
  /** The length of the key's spelling in the variable's name. */
  readonly length: number;
}

/** The `keys` that `rest` begins with, the longest match first. */
function matches(rest: string, keys: readonly string[], spellings: (key: string) => readonly string[]): Match[] {
  const found: Match[] = [];
  for (const key of new Set(keys)) {
    const spelling = spellings(key).find((name) => rest === name || rest.startsWith(`${name}_`));
    if (spelling !== undefined) found.push({ key, below: rest.slice(spelling.length + 1), length: spelling.length });
  }
  return found.sort((one, two) => two.length - one.length);
}

/** The targets of the longest match that leads somewhere; of all of them when several are as long. */
function follow(found: readonly Match[], schema: JsonSchema, value: unknown, declared: readonly string[]): Target[] {
  const targets: Target[] = [];
  let taken = 0;
  for (const { key, below, length } of found) {
    if (targets.length > 0 && length < taken) break;
    const child = childSchema(schema, key) ?? {};
    const inside = below === '' ? [{ path: [], schema: child }] : descend(child, below, fieldsOf(value)[key], declared);
    if (inside.length === 0) continue;
    taken = length;
    targets.push(...under(inside, key));
  }
  return targets;
}

function under(targets: readonly Target[], key: string): Target[] {
  return targets.map(({ path, schema }) => ({ path: [key, ...path], schema }));
}

/** The repositories that variables may speak of although the file does not: `…_<NAME>_TYPE` makes one. */
function declaredRepositories(names: readonly string[], tree: Fields, implied: readonly string[]): string[] {
  const written = Object.keys(fieldsOf(tree['repositories']));
  const known = new Set([...written, ...implied].map(normalized));
  const made = names.flatMap((name) => /^ENTREPOT_REPOSITORIES_(.+)_TYPE$/.exec(name)?.[1] ?? []);
  const fresh = made.filter((name) => !known.has(name)).map((name) => name.toLowerCase().replaceAll('_', '-'));
  return [...implied, ...fresh];
}

/** The repositories of the built-in default are of the type that they are called after. */
function withImpliedTypes(tree: Fields, implied: readonly string[]): Fields {
  const repositories = fieldsOf(tree['repositories']);
  let changed = tree;
  for (const name of implied) {
    const repository = repositories[name];
    if (!isRecord(repository) || repository['type'] !== undefined) continue;
    changed = withValue(changed, ['repositories', name, 'type'], name) ?? changed;
  }
  return changed;
}

function unknownVariable(variable: string, tree: Fields, declared: readonly string[]): string {
  const names = [...Object.keys(fieldsOf(tree['repositories'])), ...declared];
  const meant = nearest(variable, everyVariable(configJsonSchema(), [], names));
  if (meant !== undefined) return `unknown variable; did you mean ${meant}?`;
  if (variable.startsWith(`${PREFIX}REPOSITORIES_`)) {
    return `unknown variable: there is no such repository; ${PREFIX}REPOSITORIES_<NAME>_TYPE adds one`;
  }
  const sections = knownKeys(configJsonSchema()).map((key) => `${variableName([key])}_…`);
  return `unknown variable; known ones begin with ${sections.join(', ')}`;
}

function everyVariable(schema: JsonSchema, path: readonly string[], repositories: readonly string[]): string[] {
  const record = recordSchema(schema);
  const keys = record === undefined ? knownKeys(schema) : isOpen(record) ? repositories : [];
  return keys.flatMap((key) => {
    const below = everyVariable(childSchema(schema, key) ?? {}, [...path, key], repositories);
    return below.length > 0 ? below : [variableName([...path, record === undefined ? key : normalized(key)])];
  });
}

/** `tree` with `value` at `path`, or `undefined` when something on the way holds no mapping. Copies what it changes: YAML aliases share parts. */
function withValue(tree: Fields, path: readonly string[], value: unknown): Fields | undefined {
  const [key, ...below] = path as [string, ...string[]];
  if (below.length === 0) return { ...tree, [key]: value };
  const child = tree[key] ?? {};
  if (!isRecord(child)) return undefined;
  const changed = withValue(child, below, value);
  return changed && { ...tree, [key]: changed };
}

/** Whether keys beyond the known ones are allowed: those of a plugin. */
function isOpen(schema: JsonSchema): boolean {
  return alternatives(schema).some(
    ({ properties, additionalProperties, propertyNames }) =>
      properties !== undefined && typeof additionalProperties === 'object' && propertyNames === undefined,
  );
}

function snakeCase(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/(?<!_)_+([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

/** A name that a person chose, as a variable spells it. */
function normalized(name: string): string {
  return name.replace(/[^A-Za-z0-9]/g, '_').toUpperCase();
}
