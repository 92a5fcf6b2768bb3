import { DEFAULT_FRESHNESS, type FreshnessRule } from '@entrepot/core';
import { type EnginePlugin, type ResourceClass } from '@entrepot/core/engine';
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

type DocumentedPlugin = Pick<EnginePlugin, 'id' | 'kinds' | 'options' | 'classes'>;

interface Row {
  readonly path: readonly string[];
  readonly schema: JsonSchema;
  readonly fallback?: string | undefined;
}

const REPOSITORY_PATH = ['repositories', '<name>'];
const CLASS_PATH = [...REPOSITORY_PATH, 'cache', '<class>'];

/** docs/configuration.md: what people wrote below, and a table for every section of the schema. */
export function configurationPage(plugins: readonly DocumentedPlugin[]): string {
  const root = configJsonSchema();
  const repository = recordSchema(childSchema(root, 'repositories') as JsonSchema) as JsonSchema;
  const rules = recordSchema(childSchema(repository, 'cache') as JsonSchema) as JsonSchema;
  const parts = [INTRODUCTION];
  for (const section of knownKeys(root)) {
    const schema = childSchema(root, section) as JsonSchema;
    if (section === 'repositories') continue;
    const below = rowsBelow(schema, [section]);
    const rows = below.length === 0 ? [{ path: [section], schema }] : below;
    parts.push(
      `## \`${section}\`\n\n${schema.description}`,
      table(rows, below.length === 0 ? 0 : 1),
      ...listParts(rows),
    );
  }
  parts.push(REPOSITORIES, table(rowsBelow(repository, REPOSITORY_PATH), 2));
  parts.push(FRESHNESS, table(freshnessRows(rules), 4), ...plugins.map(pluginPart));
  return `${parts.join('\n\n')}\n`;
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

function pluginPart({ id, kinds, options, classes }: DocumentedPlugin): string {
  const schema = optionsJsonSchema(options);
  const rows = schema === undefined ? [] : rowsBelow(schema, REPOSITORY_PATH);
  const served = kinds.map((kind) => `\`${kind}\``).join(' and ');
  return [
    `## Repositories of type \`${id}\``,
    `Kinds: ${served}.`,
    rows.length === 0 ? 'No keys of its own.' : table(rows, 2),
    'Its classes, for `cache.<class>`:',
    classTable(classes),
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
      return rowsBelow(record, [...row.path, `<${singular(key)}>`]);
    if (knownKeys(child).length === 0) return [row];
    return isOneOfSeveral(child) ? [row, ...rowsBelow(child, row.path)] : rowsBelow(child, row.path);
  });
}

function singular(key: string): string {
  return key.replace(/s$/, '');
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

function classTable(classes: Readonly<Record<string, ResourceClass>>): string {
  const lines = Object.entries(classes).map(([name, { kind, description, freshness = {} }]) => {
    const rule = Object.entries({ ...DEFAULT_FRESHNESS[kind], ...freshness }).filter(
      ([key, value]) =>
        key === 'policy' || key === 'freshFor' || value !== DEFAULT_FRESHNESS[kind][key as keyof FreshnessRule],
    );
    const shown = rule
      .filter(([key]) => key !== 'freshFor' || (freshness.policy ?? DEFAULT_FRESHNESS[kind].policy) === 'revalidate')
      .map(([key, value]) => `\`${key}: ${printRuleValue(value)}\``);
    return [`\`${name}\``, kind, shown.join(', '), description];
  });
  return markdownTable(['class', 'kind', 'rule, where it is not the default', 'what'], lines);
}

function printRuleValue(value: FreshnessRule[keyof FreshnessRule]): string {
  return typeof value === 'number' ? printDuration(value) : String(value);
}

/** @param hidden how many keys at the start of each path the heading already says */
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
    fallback ?? (standard === undefined ? '' : `\`${printDefault(standard)}\``),
    schema.description ?? all.flatMap(({ description = [] }) => description).join(' '),
  ];
}

function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const cells = [head, head.map(() => '---'), ...lines];
  return cells
    .map((line) => `| ${line.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`)
    .join('\n');
}

function printDefault(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
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

function isOneOfSeveral({ anyOf = [], oneOf = [] }: JsonSchema): boolean {
  return anyOf.length + oneOf.length > 1;
}

const INTRODUCTION = `<!-- Generated by scripts/generate-docs.mjs from host/src/config. Edits here are lost. -->

# Configuration

One YAML file says what a server does. It is looked for in this order:

1. the file named by \`entrepot serve -c FILE\`,
2. the file named by the environment variable \`ENTREPOT_CONFIG\`,
3. \`entrepot.yaml\` in the current folder,
4. nowhere: the built-in default, with one repository for each bundled plugin whose upstream is known.

\`entrepot init\` writes a commented file to begin with. \`entrepot validate\` checks one without serving.

\`\`\`yaml
# yaml-language-server: $schema=./node_modules/@entrepot/host/entrepot.schema.json
server:
  listen: 127.0.0.1:8080
  publicUrl: https://packages.example.com
metrics:
  token: \${env:METRICS_TOKEN}
repositories:
  npm: # served at /npm/, its upstream is that of this machine's npm settings
    type: npm
  releases:
    type: files
    upstream: https://files.example.com
    rules:
      - { match: '**/*.zip', policy: immutable }
  uploads:
    type: files
    kind: hosted
\`\`\`

The file is strict: an unknown key, a bad value or a missing plugin ends the start with exit code 78, and with **all** problems,
one a line, each with its key:

\`\`\`text
server.listn: unknown key; did you mean listen?
repositories.npm.cache.packument.freshFor: expected a duration such as 500ms, 30s, 5m, 720h, 7d or 0, forever or never
\`\`\`

Editors that know JSON Schema complete and check the file by \`entrepot.schema.json\`, which is part of the package \`@entrepot/host\`.

## Commands

| command | does | exit code |
| --- | --- | --- |
| \`entrepot serve [-c FILE]\` | serves until SIGTERM or SIGINT, then lets running requests end; a second signal ends it at once. What \`entrepot\` does without a command. | 0; 1 when an address cannot be listened on |
| \`entrepot validate [-c FILE]\` | checks everything that can be checked without serving, plugins and their options included | 0 |
| \`entrepot init [-o FILE] [--force]\` | writes a commented file with what is found on this machine | 0; 1 when the file exists |
| \`entrepot doctor [-c FILE] [--json]\` | checks configuration, plugins, storage, upstreams and clock, and prints what it found | 0; 1 when a check fails |
| \`entrepot gen-index <repository>\` | prints the index of a hosted Helm repository, with \`--tenant\` that of a tenant; its server may run meanwhile | 0; 1 when there is none |
| \`entrepot password\` | prints a hash of the password on standard input, for \`access.users.<user>.passwordHash\` | 0; 1 when there is none |
| \`entrepot version [-c FILE] [--json]\` | prints the versions of server, core, Node and plugins | 0 |

\`serve\` and \`validate\` exit with 78 for a wrong configuration; \`doctor\` reports it as failed checks. A command line that is not known ends with 64.

## Values

- **Durations**: a number and \`ms\`, \`s\`, \`m\`, \`h\`, \`d\` or \`w\`, also several (\`1h30m\`); \`0\`; \`forever\` or \`never\` where the table says so.
- **Sizes**: a number of bytes, or a number and \`kB\`, \`MB\`, \`GB\`, \`TB\` (powers of 1000) or \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (powers of 1024); \`unlimited\` where the table says so.
- **Paths**: relative ones begin at the folder of the file, or at the current folder without a file.
- **Secrets**: in every text \`\${env:NAME}\` is replaced by the environment variable \`NAME\`, and \`\${file:PATH}\` by the content of a file,
  without one newline at its end. \`$\${\` stands for a plain \`\${\`. What is missing is a problem of its key.

## Environment variables

Every key has a variable, which stands above the file: \`ENTREPOT_\` and the keys on the way, in capitals, with \`_\` between keys and
between the words of a key. The tables below name them all.

\`\`\`sh
ENTREPOT_SERVER_LISTEN=:8080
ENTREPOT_REPOSITORIES_NPM_UPSTREAM=https://registry.example.com
ENTREPOT_REPOSITORIES_NPM_CACHE_PACKUMENT_FRESH_FOR=10m
ENTREPOT_REPOSITORIES_NPM_UPSTREAMS='[{ url: "https://npm.example.com", scope: "@acme" }, "https://registry.example.com"]'
\`\`\`

- Keys that hold text, durations and sizes take a variable as it is; all others read it as a YAML value: \`5\`, \`true\`, \`[a, b]\`, \`{ a: b }\`.
- An empty variable says nothing. One that names no key is a problem, except those that Kubernetes makes for services whose name begins with \`entrepot\`.
- The name of a repository is written in capitals, with \`_\` for \`-\` and \`.\`; where several fit, the longest is meant.
  \`ENTREPOT_REPOSITORIES_<NAME>_TYPE\` makes a repository that the file does not have. Without a file, or with one that has no
  \`repositories\`, variables may also speak of the repositories of the built-in default, which are named after their types.
- An option of a plugin that the file does not have is written in camel case: \`…_FOO_BAR\` is \`fooBar\`.`;

const REPOSITORIES = `## \`repositories\`

The repositories by name; a name consists of lower-case letters, digits, \`.\`, \`_\` and \`-\`. Left out: one for each bundled plugin whose
upstream is known. In the variables below, \`<NAME>\` stands for the name of the repository. These keys are common to all types;
each type has some of its own (see below).

\`\`\`yaml
repositories:
  npm:
    type: npm
    upstreams:
      - { url: https://npm.example.com, scope: '@acme', auth: { token: '\${file:/run/secrets/npm-token}' } }
      - https://registry.example.com
    transport: { proxy: 'http://proxy.example.com:3128', totalTimeout: 10m }
    cache:
      packument: { freshFor: 10m, staleWhileRevalidate: 1h }
      tarball: { expireAfter: never }
\`\`\``;

const FRESHNESS = `### \`cache.<class>\`

How long each class of resources is kept. The classes are those of the repository's type (see below). What is left out is the default
of the class, else that of its kind:`;
