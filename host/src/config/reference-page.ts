import { DEFAULT_FRESHNESS, type AnyDeclaredPlugin, type FreshnessRule } from '@entrepot/core';
import { cacheClassesOf, kindsOf, type CacheClass } from '@entrepot/core/engine';
import { printDuration } from '@entrepot/core/formats';
import { variableName } from './environment.js';
import {
  childSchema,
  configJsonSchema,
  knownKeys,
  optionsJsonSchema,
  recordSchema,
  type JsonSchema,
} from './json-schema.js';

interface Row {
  readonly path: readonly string[];
  readonly schema: JsonSchema;
  readonly fallback?: string | undefined;
}

const REPOSITORY_PATH = ['repositories', '<name>'];
const CLASS_PATH = [...REPOSITORY_PATH, 'cache', '<class>'];

const REGION = /(<!-- generated: (\w+) -->\n)[^]*?(\n<!-- end of \2 -->)/g;

/** docs/configuration.md, the page that people write, with the tables between its markers as the schema is. */
export function configurationPage(page: string, plugins: readonly AnyDeclaredPlugin[]): string {
  const root = configJsonSchema();
  const repository = recordSchema(childSchema(root, 'repositories') as JsonSchema) as JsonSchema;
  const rules = recordSchema(childSchema(repository, 'cache') as JsonSchema) as JsonSchema;
  const sections = knownKeys(root).filter((key) => key !== 'repositories');
  const regions: Readonly<Record<string, readonly string[]>> = {
    sections: sections.flatMap((section) => sectionParts(section, childSchema(root, section) as JsonSchema)),
    repositories: [table(rowsBelow(repository, REPOSITORY_PATH), 2)],
    classes: [table(freshnessRows(rules), 4), ...plugins.map(pluginPart)],
  };
  return page.replace(REGION, (_region, start: string, name: string, end: string) => {
    const parts = regions[name] ?? [`unknown region; expected ${Object.keys(regions).join(', ')}`];
    return `${start}\n${parts.join('\n\n')}\n${end}`;
  });
}

function sectionParts(section: string, schema: JsonSchema): string[] {
  const below = rowsBelow(schema, [section]);
  const rows = below.length === 0 ? [{ path: [section], schema }] : below;
  return [`## \`${section}\`\n\n${schema.description}`, table(rows, below.length === 0 ? 0 : 1), ...listParts(rows)];
}

/** A table for the members of every list of mappings. No variable names a key of one: the list is one variable. */
function listParts(rows: readonly Row[]): string[] {
  return rows.flatMap(({ path, schema }) => {
    const member = schema.type === 'array' ? schema.items : undefined;
    const own = member === undefined ? [] : rowsBelow(member, []);
    if (own.length === 0) return [];
    const lines = own.map((row) => [`\`${row.path.join('.')}\``, ...describeValue(row)]);
    return [`### \`${path.join('.')}[]\``, markdownTable(['key', 'type', 'default', 'meaning'], lines)];
  });
}

function pluginPart(plugin: AnyDeclaredPlugin): string {
  const { id, options } = plugin;
  const kinds = kindsOf(plugin);
  const schema = optionsJsonSchema(options);
  const rows = schema === undefined ? [] : rowsBelow(schema, REPOSITORY_PATH);
  const served = kinds.map((kind) => `\`${kind}\``).join(' and ');
  return [
    `## Repositories of type \`${id}\``,
    `Kinds: ${served}.`,
    rows.length === 0 ? 'No keys of its own.' : table(rows, 2),
    'Its classes, for `cache.<class>`:',
    classTable(cacheClassesOf(plugin)),
  ].join('\n\n');
}

/** A row for every key below `schema`; sections within it become dotted keys. What may also be something else has a row of its own. */
function rowsBelow(schema: JsonSchema, path: readonly string[]): Row[] {
  return knownKeys(schema).flatMap((key) => {
    const child = childSchema(schema, key) as JsonSchema;
    const row = { path: [...path, key], schema: child };
    // The classes of `cache` have a section of their own.
    const record = key === 'cache' ? undefined : recordSchema(child);
    if (record !== undefined && knownKeys(record).length > 0)
      return rowsBelow(record, [...row.path, `<${key.replace(/s$/, '')}>`]);
    if (knownKeys(child).length === 0) return [row];
    const { anyOf = [], oneOf = [] } = child;
    return [...(anyOf.length + oneOf.length > 1 ? [row] : []), ...rowsBelow(child, row.path)];
  });
}

function freshnessRows(rules: JsonSchema): Row[] {
  return rowsBelow(rules, CLASS_PATH).map(({ path, schema }) => {
    const key = path.at(-1) as keyof FreshnessRule;
    const artifact = printRuleValue(DEFAULT_FRESHNESS.artifact[key]);
    const document = printRuleValue(DEFAULT_FRESHNESS.document[key]);
    const fallback =
      artifact === document ? `\`${artifact}\`` : `\`${artifact}\` for artifacts, \`${document}\` for documents`;
    return { path, schema, fallback };
  });
}

function classTable(classes: Readonly<Record<string, CacheClass>>): string {
  const lines = Object.entries(classes).map(([name, { kind, about, freshness }]) => {
    const standard = DEFAULT_FRESHNESS[kind];
    const { policy, freshFor, ...others } = { ...standard, ...freshness };
    const differing = Object.entries(others).filter(([key, value]) => value !== standard[key as keyof FreshnessRule]);
    const rule = Object.entries({
      policy,
      ...(policy === 'revalidate' && { freshFor }),
      ...Object.fromEntries(differing),
    });
    const shown = rule.map(([key, value]) => `\`${key}: ${printRuleValue(value)}\``);
    return [`\`${name}\``, kind, shown.join(', '), about];
  });
  return markdownTable(['class', 'kind', 'rule, where it is not the default', 'what'], lines);
}

function printRuleValue(value: FreshnessRule[keyof FreshnessRule]): string {
  return typeof value === 'number' ? printDuration(value) : String(value);
}

/** @param hidden the number of keys at the start of each path that the heading already says */
function table(rows: readonly Row[], hidden: number): string {
  const lines = rows.map((row) => [
    `\`${row.path.slice(hidden).join('.')}\``,
    `\`${variableName(row.path)}\``,
    ...describeValue(row),
  ]);
  return markdownTable(['key', 'variable', 'type', 'default', 'meaning'], lines);
}

/** Type, default and meaning. Descriptions of a key by several drivers follow one another. */
function describeValue({ schema, fallback }: Row): readonly string[] {
  const { anyOf = [], oneOf = [] } = schema;
  const all = [schema, ...anyOf, ...oneOf];
  const standard = all.find((each) => each.default !== undefined)?.default;
  return [
    typeName(schema),
    fallback ??
      (standard === undefined ? '' : `\`${typeof standard === 'string' ? standard : JSON.stringify(standard)}\``),
    schema.description ?? all.flatMap(({ description = [] }) => description).join(' '),
  ];
}

function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const cells = [head, head.map(() => '---'), ...lines];
  return cells
    .map((line) => `| ${line.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`)
    .join('\n');
}

/** The type of a value, in words. */
function typeName(schema: JsonSchema): string {
  const { form, type, const: constant, enum: choices, items, anyOf, oneOf } = schema;
  if (form !== undefined) return form;
  if (choices !== undefined) return choices.map((choice) => `\`${String(choice)}\``).join(', ');
  if (constant !== undefined) return `\`${String(constant)}\``;
  const branches = anyOf ?? oneOf;
  if (branches !== undefined) return [...new Set(branches.map(typeName))].join(' or ');
  if (type === 'array') return `list of ${items === undefined ? 'values' : typeName(items)}`;
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'whole number',
    boolean: '`true`, `false`',
    object: 'mapping',
  };
  return typeof type === 'string' ? (names[type] ?? type) : 'any';
}
