import { nearest } from '../api/nearest.js';
import type { OptionProblem } from '../api/options.js';
import { ACTIONS } from '../api/policy.js';
import { isRecord } from '../formats/json-values.js';
import { parseDuration, parseSize } from '../formats/quantities.js';
import { POLICY_MODES, type PolicyDocument, type PolicyRule, PRESET_NAMES } from './document.js';
import { parsePackagePattern } from './patterns.js';
import type { CompileExpression } from './policy.js';
import { resolvePolicy } from './presets.js';
import { parseSeverities, SEVERITIES } from './severities.js';
import { isVersionPattern } from './version-order.js';

/** One problem of a document, with a path such as `rules[2].when.age.lt`; empty for the document as a whole. */
export type PolicyProblem = OptionProblem;

/** Ids of rules that a decision names without a rule in the document. */
export const BUILT_IN_RULES = ['scan-failure'] as const;

const MOST_RULES = 500;
const MOST_ENTRIES = 10_000;
const LONGEST_TEXT = 500;
const LONGEST_EXPRESSION = 2000;
const DEEPEST = 12;

/**
 * Lists every problem of a value that should be a `PolicyDocument`. Empty when it is valid.
 * @param compileExpression absent: an expression is a problem
 */
export function checkPolicy(value: unknown, compileExpression?: CompileExpression): readonly PolicyProblem[] {
  const check = newCheck(compileExpression);
  documentShape(check, value, '');
  // Without a list of rules or its preset there is no whole.
  if (!check.problems.some(({ path }) => path === '' || path === 'preset' || path === 'rules')) {
    checkWhole(check, value as PolicyDocument);
  }
  return check.problems;
}

type Shape = (check: Check, value: unknown, path: string) => void;

type Check = ReturnType<typeof newCheck>;

function newCheck(compileExpression: CompileExpression | undefined) {
  const problems: PolicyProblem[] = [];
  return {
    problems,
    compileExpression,
    /** The number of conditions around the one that is checked. */
    depth: 0,
    add: (path: string, message: string) => void problems.push({ path, message }),
  };
}

function object(shapes: Readonly<Record<string, Shape>>, required: readonly string[] = []): Shape {
  const names = Object.keys(shapes);
  return (check, value, path) => {
    if (!isRecord(value)) return check.add(path, `expected an object, found ${print(value)}`);
    for (const name of required) if (value[name] === undefined) check.add(join(path, name), 'expected, but missing');
    for (const [name, part] of Object.entries(value)) {
      if (part === undefined) continue;
      if (Object.hasOwn(shapes, name)) shapes[name]?.(check, part, join(path, name));
      else check.add(join(path, name), `unknown key; ${meantOf(name, names)}`);
    }
  };
}

function meantOf(name: string, names: readonly string[]): string {
  const meant = nearest(name, names);
  return meant === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${meant}?`;
}

function recordOf(shape: Shape): Shape {
  return (check, value, path) => {
    if (!isRecord(value)) return check.add(path, `expected an object, found ${print(value)}`);
    for (const [name, part] of Object.entries(value)) shape(check, part, join(path, name));
  };
}

function listOf(shape: Shape, most = MOST_ENTRIES): Shape {
  return (check, value, path) => {
    if (!Array.isArray(value)) return check.add(path, `expected a list, found ${print(value)}`);
    if (value.length > most) return check.add(path, `expected at most ${most} entries, found ${value.length}`);
    for (const [index, part] of value.entries()) shape(check, part, `${path}[${index}]`);
  };
}

/** One or several. An empty list would never hold, and is refused as a mistake. */
function someOf(shape: Shape): Shape {
  const list = listOf(shape);
  return (check, value, path) => {
    if (Array.isArray(value) && value.length === 0) return check.add(path, 'expected at least one entry');
    return Array.isArray(value) ? list(check, value, path) : shape(check, value, path);
  };
}

function oneOf(values: readonly (string | number)[]): Shape {
  return (check, value, path) => {
    if (!(values as readonly unknown[]).includes(value)) {
      const meant = typeof value === 'string' ? nearest(value, values.map(String)) : undefined;
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
      check.add(path, `expected one of ${values.join(', ')}, found ${print(value)}${hint}`);
    }
  };
}

/** A single value that `accepts` takes. */
function one(expected: string, accepts: (value: unknown) => boolean): Shape {
  return (check, value, path) => {
    if (!accepts(value)) check.add(path, `expected ${expected}, found ${print(value)}`);
  };
}

function textLike(expected: string, accepts: (text: string) => boolean): Shape {
  return one(expected, (value) => typeof value === 'string' && value.length <= LONGEST_TEXT && accepts(value));
}

function numberBetween(least: number, most: number): Shape {
  return one(
    `a number from ${least} to ${most}`,
    (value) => typeof value === 'number' && value >= least && value <= most,
  );
}

function quantity(expected: string, parse: (value: string | number) => number | undefined): Shape {
  return one(
    expected,
    (value) => (typeof value === 'string' || typeof value === 'number') && Number.isFinite(parse(value)),
  );
}

const flag = one('true or false', (value) => typeof value === 'boolean');
const duration = quantity('a duration such as 12h or 3d', parseDuration);
const size = quantity('a size such as 64KiB or 10MB', parseSize);
const text = textLike('a text', (value) => value !== '');
const packages = listOf(
  textLike('a package URL such as pkg:npm/@acme/*', (value) => parsePackagePattern(value) !== undefined),
);
const versions = listOf(
  textLike('a version or a range such as ">=1.0.0 <2.0.0"', (value) => value !== '' && isVersionPattern(value)),
);
const severities = someOf(
  textLike(
    `a severity (${SEVERITIES.join(', ')}) or all from one on, such as ">=high"`,
    (value) => parseSeverities(value) !== undefined,
  ),
);
const mode = oneOf(POLICY_MODES);
const onScanFailure = oneOf(['allow', 'warn', 'hold', 'deny']);
const firstFetch = object({
  action: oneOf(['allow', 'hold', 'deny']),
  deadline: duration,
  onTimeout: oneOf(['allow', 'hold', 'deny']),
});

/** At least one of its keys. */
function some(shape: Shape): Shape {
  return (check, value, path) => {
    if (isRecord(value) && Object.keys(value).length === 0) check.add(path, 'expected at least one key');
    else shape(check, value, path);
  };
}

function nested(shape: () => Shape): Shape {
  return (check, value, path) => {
    if (check.depth >= DEEPEST) return check.add(path, `nested more than ${DEEPEST} levels deep`);
    check.depth += 1;
    shape()(check, value, path);
    check.depth -= 1;
  };
}

const FILTERS: Readonly<Record<string, Shape>> = {
  severity: severities,
  fixAvailable: flag,
  kev: flag,
  epss: object({ gte: numberBetween(0, 1) }, ['gte']),
  cvss: object({ gte: numberBetween(0, 10) }, ['gte']),
  direct: flag,
  exact: flag,
  anyOf: someOf(nested(() => filter)),
  allOf: someOf(nested(() => filter)),
  not: nested(() => filter),
};
const filter: Shape = some(object(FILTERS));

const count = numberBetween(0, 1_000_000);
const vulnerability = object({
  ...FILTERS,
  counts: some(object(Object.fromEntries(SEVERITIES.map((severity) => [severity, count])))),
});

const expression: Shape = (check, value, path) => {
  if (typeof value !== 'string' || value.trim() === '') {
    return check.add(path, `expected an expression, found ${print(value)}`);
  }
  if (value.length > LONGEST_EXPRESSION) {
    return check.add(path, `expected at most ${LONGEST_EXPRESSION} characters, found ${value.length}`);
  }
  if (check.compileExpression === undefined) return check.add(path, 'expressions are not available here');
  try {
    check.compileExpression(value);
  } catch (error) {
    check.add(path, `does not parse: ${error instanceof Error ? error.message : String(error)}`);
  }
};

const condition: Shape = some(
  object({
    allOf: someOf(nested(() => condition)),
    anyOf: someOf(nested(() => condition)),
    not: nested(() => condition),
    malicious: flag,
    age: some(object({ lt: duration, gte: duration })),
    vuln: vulnerability,
    fixes: object({ severity: severities }, ['severity']),
    licenses: some(object({ allow: listOf(text), deny: listOf(text), unknown: flag })),
    deprecated: flag,
    yanked: flag,
    upstream: someOf(oneOf(['removed', 'quarantined'])),
    installScripts: flag,
    newInstallScripts: flag,
    exoticDependencies: flag,
    newDependencies: flag,
    provenance: some(
      object({
        level: someOf(oneOf(['none', 'attested', 'trusted-publisher'])),
        downgraded: flag,
        publisherChanged: flag,
      }),
    ),
    scan: object({ status: someOf(oneOf(['clean', 'findings', 'unsupported', 'error', 'stale', 'pending'])) }, [
      'status',
    ]),
    size: some(object({ gt: size, lte: size })),
    cel: expression,
  }),
);

const grace: Shape = (check, value, path) =>
  isRecord(value) ? object({ kept: duration }, ['kept'])(check, value, path) : duration(check, value, path);

const rule = object(
  {
    id: textLike('lower-case letters, digits and "-"', (value) => /^[a-z0-9][a-z0-9-]{0,63}$/.test(value)),
    match: object({
      repositories: listOf(text),
      kinds: listOf(oneOf(['proxy', 'hosted'])),
      ecosystems: listOf(
        textLike('the type of a package URL, such as npm', (value) => /^[a-z][a-z0-9.+-]*$/.test(value)),
      ),
      purl: packages,
      versions,
      except: packages,
    }),
    when: condition,
    unless: condition,
    action: oneOf(ACTIONS),
    mode,
    grace,
    exceptions: oneOf(['allowed', 'two-approvers', 'none']),
    override: listOf(text),
    reason: textLike('a text of at most 120 characters', (value) => value !== '' && value.length <= 120),
  },
  ['id'],
);

const documentShape = object(
  {
    version: oneOf([1]),
    preset: oneOf(PRESET_NAMES),
    mode,
    defaults: object({
      onScanFailure,
      firstFetch,
      unknownDate: oneOf(['first-seen', 'allow', 'deny']),
      ageSource: oneOf(['upstream', 'first-seen']),
    }),
    repositories: recordOf(object({ mode, onScanFailure, firstFetch })),
    rules: listOf(rule, MOST_RULES),
  },
  ['version'],
);

/** Checks the document together with its preset. Rules that are wrong by themselves are left out. */
function checkWhole(check: Check, { version, preset, rules: own = [] }: PolicyDocument): void {
  const faulty = new Set(check.problems.map(({ path }) => /^rules\[\d+\]/.exec(path)?.[0]));
  const named = own.filter((one) => isRecord(one) && typeof one.id === 'string');
  const whole = resolvePolicy({ version, preset, rules: named });
  const rules = new Map((whole.rules ?? []).map((resolved) => [resolved.id, resolved]));
  const seen = new Set<string>();
  for (const [index, { id }] of own.entries()) {
    const path = `rules[${index}]`;
    if (faulty.has(path)) continue;
    if (seen.has(id)) check.add(`${path}.id`, `the id ${id} is used twice`);
    if ((BUILT_IN_RULES as readonly string[]).includes(id)) check.add(`${path}.id`, `the id ${id} is reserved`);
    seen.add(id);
    checkRule(check, rules.get(id) as PolicyRule, rules, path);
  }
}

function checkRule(check: Check, resolved: PolicyRule, rules: ReadonlyMap<string, unknown>, path: string): void {
  const { action, override, grace } = resolved;
  if (action === undefined) check.add(`${path}.action`, `expected one of ${ACTIONS.join(', ')}, but missing`);
  if (override !== undefined && action !== 'allow') {
    check.add(`${path}.override`, 'only a rule with the action allow can override others');
  }
  for (const [index, id] of (override ?? []).entries()) {
    const known = rules.has(id) || (BUILT_IN_RULES as readonly string[]).includes(id);
    if (!known) check.add(`${path}.override[${index}]`, `there is no rule ${id}`);
  }
  if (graceOf(grace) > 0 && !looksAtFindings(resolved.when)) {
    check.add(`${path}.grace`, 'only a rule on findings (vuln, malicious) can give grace');
  }
  if (graceOf(grace) > 0 && (action === 'warn' || action === 'allow')) {
    check.add(`${path}.grace`, `a rule with the action ${action} has no need of grace`);
  }
}

/** Milliseconds. */
export function graceOf(grace: PolicyRule['grace']): number {
  if (grace === undefined) return 0;
  return parseDuration(typeof grace === 'object' ? grace.kept : grace) ?? 0;
}

function looksAtFindings(condition: PolicyRule['when']): boolean {
  if (condition === undefined) return false;
  const { vuln, malicious, cel, allOf = [], anyOf = [], not } = condition;
  if (vuln !== undefined || malicious !== undefined || cel?.includes('findings') === true) return true;
  return [...allOf, ...anyOf, ...(not === undefined ? [] : [not])].some(looksAtFindings);
}

function join(path: string, name: string): string {
  const part = /^[A-Za-z_][\w-]*$/.test(name) ? name : JSON.stringify(name);
  return path === '' ? part : `${path}.${part}`;
}

function print(value: unknown): string {
  const printed = JSON.stringify(value) ?? String(value);
  return printed.length > 60 ? `${printed.slice(0, 57)}...` : printed;
}
