import { type Fields, isRecord, printed } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { parseChartVersion } from './version-order.js';
import { Budget, scalarText } from './yaml-text.js';

/** Nodes and characters of one chart's metadata. */
export const LARGEST_METADATA = 512 * 1024;
const LONGEST_NAME = 250;
/** YAML takes no more than 1024 bytes for the key of a pair. */
const LONGEST_KEY = 250;
const ALIAS = /^[a-zA-Z0-9_-]+$/;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** A mapping that is read, and the bound for all that is read. */
interface Source {
  readonly fields: Fields;
  readonly budget: Budget;
}

/** Reads the value of a field. Empty values are absent, as helm leaves them out when it writes. */
type Reader = (value: unknown, name: string, source: Source) => unknown;
type Readers = Readonly<Record<string, Reader>>;
/** Fields that were read. Those that are absent, or may be, are optional. */
export type ReadFields<All extends Readers> = {
  readonly [Name in keyof All as undefined extends ReturnType<All[Name]> ? never : Name]: ReturnType<All[Name]>;
} & {
  readonly [Name in keyof All as undefined extends ReturnType<All[Name]> ? Name : never]?: NonNullable<
    ReturnType<All[Name]>
  >;
};

export const texts = listOf(textOrEmpty);
const MAINTAINER = { email: text, name: text, url: text };
/** The fields of a chart that another one needs. */
const DEPENDENCY = {
  alias,
  condition: text,
  enabled: flag,
  'import-values': listOf((value, _name, { budget }) => budget.plain(value)),
  name: textOrEmpty,
  repository: textOrEmpty,
  tags: texts,
  version: text,
};
/** The fields of Chart.yaml that helm knows, in the order in which they are written. */
const METADATA = {
  annotations,
  apiVersion: (...given: Parameters<Reader>) => exactText(...given) ?? 'v1',
  appVersion: text,
  condition: text,
  dependencies: listOf(mapping(DEPENDENCY)),
  deprecated: flag,
  description: text,
  home: text,
  icon: text,
  keywords: texts,
  kubeVersion: text,
  maintainers: listOf(mapping(MAINTAINER)),
  name: checkName,
  sources: texts,
  tags: text,
  type,
  version,
};

/** The metadata of a chart, printable as JSON. `version` is one that `parseChartVersion` takes. */
export type ChartMetadata = ReadFields<typeof METADATA>;
/** The names of the fields of `ChartMetadata`. */
export const METADATA_FIELDS: readonly string[] = Object.keys(METADATA);

/**
 * Reads a chart's metadata, checked and cleaned as helm does when it loads a chart. Unknown fields are left out.
 * Stricter than helm with names: text that cannot be printed is refused, not cleaned, and so are backslashes, since the name
 * becomes a part of file names.
 * @param aliases two dependencies of one name or alias: refused (charts), or ignored (indexes, as helm does)
 * @throws ChartError
 */
export function readMetadata(
  fields: Fields,
  aliases: 'refuse' | 'ignore' = 'refuse',
  budget = new Budget(LARGEST_METADATA),
): ChartMetadata {
  const metadata = readFields(METADATA, { fields, budget });
  if (aliases === 'refuse') refuseRepeated(metadata);
  return metadata;
}

/** Reads the fields of one mapping. */
export function readFields<All extends Readers>(readers: All, source: Source): ReadFields<All> {
  const fields = Object.entries(readers).map(
    ([name, read]) => [name, read(valueOf(source.fields, name), name, source)] as const,
  );
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined)) as ReadFields<All>;
}

/** Reads the name of a chart. @throws ChartError for one that would lead out of a folder, or cannot be printed */
export function checkName(value: unknown): string {
  const name = scalarText(value) ?? '';
  const good = name !== '' && name !== '.' && name !== '..' && name.length <= LONGEST_NAME && !/[/\\]/.test(name);
  if (!good || cleaned(name) !== name) throw new ChartError(`expected the name of a chart, found ${printed(name)}`);
  return name;
}

/** Reads text without cleaning it. */
export function exactText(value: unknown, name: string, source: Source): string | undefined {
  return value === undefined ? undefined : textOf(value, name, source) || undefined;
}

export function flag(value: unknown, name: string): true | undefined {
  if (value !== undefined && typeof value !== 'boolean') throw new ChartError(`${name}: expected true or false`);
  return value === true ? true : undefined;
}

function text(...given: Parameters<Reader>): string | undefined {
  return textOrEmpty(...given) || undefined;
}

function textOrEmpty(...given: Parameters<Reader>): string {
  return cleaned(textOf(...given));
}

function listOf<Member>(read: (...given: Parameters<Reader>) => Member) {
  return (value: unknown, name: string, source: Source): Member[] | undefined => {
    if (value !== undefined && !Array.isArray(value)) throw new ChartError(`${name}: expected a list`);
    return value?.length ? value.map((member: unknown) => read(member, name, source)) : undefined;
  };
}

function mapping<All extends Readers>(readers: All) {
  return (fields: unknown, name: string, { budget }: Source): ReadFields<All> => {
    budget.spend(1);
    if (isRecord(fields)) return readFields(readers, { fields, budget });
    throw new ChartError(`${name}: expected mappings, found an empty or other node`);
  };
}

function annotations(value: unknown, name: string, source: Source): Record<string, string> | undefined {
  if (value === undefined) return undefined;
  if (!isRecord(value)) throw new ChartError(`${name}: expected a mapping`);
  const pairs = Object.entries(value).map(([key, text]) => {
    if (key.length > LONGEST_KEY) throw new ChartError(`${name}: expected keys of ${LONGEST_KEY} characters at most`);
    return [textOf(key, name, source), textOf(text, name, source)] as const;
  });
  return pairs.length === 0 ? undefined : Object.fromEntries(pairs.sort(([one], [other]) => (one < other ? -1 : 1)));
}

function version(value: unknown, _name: string, { fields }: Source): string {
  const version = scalarText(value) ?? '';
  if (parseChartVersion(version) !== undefined) return version;
  const name = checkName(valueOf(fields, 'name'));
  throw new ChartError(`${name}: expected a version of semver.org, found ${printed(version)}`);
}

function type(value: unknown, field: string, source: Source): 'application' | 'library' | undefined {
  const type = exactText(value, field, source);
  if (type === undefined || type === 'application' || type === 'library') return type;
  const name = checkName(valueOf(source.fields, 'name'));
  throw new ChartError(`${name}: expected the type application or library, found ${printed(type)}`);
}

function alias(value: unknown, field: string, source: Source): string | undefined {
  const alias = exactText(value, field, source);
  if (alias === undefined || ALIAS.test(alias)) return alias;
  const name = printed(textOrEmpty(valueOf(source.fields, 'name'), 'name', source));
  throw new ChartError(`dependency ${name}: expected an alias of letters, digits, _ and -`);
}

/** Gives a value as it stands. As in Go, case does not matter where nothing has the exact name. */
function valueOf(fields: Fields, name: string): unknown {
  if (Object.hasOwn(fields, name)) return fields[name] ?? undefined;
  const lower = name.toLowerCase();
  const other = Object.keys(fields).find((key) => key.length === lower.length && key.toLowerCase() === lower);
  return other === undefined ? undefined : (fields[other] ?? undefined);
}

function textOf(value: unknown, name: string, { budget }: Source): string {
  const text = scalarText(value ?? '');
  if (text === undefined) throw new ChartError(`${name}: expected text`);
  budget.spend(text.length + 1);
  return PRINTABLE_ASCII.test(text) ? text : text.replaceAll(/\p{Surrogate}/gu, '\ufffd');
}

function refuseRepeated({ name: chart, dependencies = [] }: ChartMetadata): void {
  const seen = new Set<string>();
  for (const { name, alias } of dependencies) {
    const key = alias ?? name;
    if (seen.has(key)) throw new ChartError(`${chart}: more than one dependency with name or alias ${printed(key)}`);
    seen.add(key);
  }
}

/** Cleans text as helm does: white space becomes a blank, characters that cannot be printed are dropped. */
function cleaned(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replaceAll(/\p{White_Space}/gu, ' ').replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '');
}
