import { ChartError, printed } from './chart-error.js';
import { parseChartVersion } from './version-order.js';
import { Budget, scalarText } from './yaml-text.js';

/** Nodes and characters of one chart's metadata. */
export const LARGEST_METADATA = 512 * 1024;
const LONGEST_NAME = 250;
/** YAML takes no more than 1024 bytes for the key of a pair. */
const LONGEST_KEY = 250;
const ALIAS = /^[a-zA-Z0-9_-]+$/;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** A mapping of YAML or JSON, read field by field as helm does. */
export type Fields = Readonly<Record<string, unknown>>;

type Readers = Readonly<Record<string, (read: FieldReader, name: string) => unknown>>;
/** Fields that were read. Those that are absent, or may be, are optional. */
type ReadFields<All extends Readers> = {
  readonly [Name in keyof All as undefined extends ReturnType<All[Name]> ? never : Name]: ReturnType<All[Name]>;
} & {
  readonly [Name in keyof All as undefined extends ReturnType<All[Name]> ? Name : never]?: NonNullable<
    ReturnType<All[Name]>
  >;
};

const text = (read: FieldReader, name: string) => read.text(name);
const textOrEmpty = (read: FieldReader, name: string) => read.text(name) ?? '';
const flag = (read: FieldReader, name: string) => read.flag(name);
const list = (read: FieldReader, name: string) => read.list(name);

const MAINTAINER = { email: text, name: text, url: text };
/** The fields of a chart that another one needs. */
const DEPENDENCY = {
  alias: readAlias,
  condition: text,
  enabled: flag,
  'import-values': (read: FieldReader, name: string) => read.values(name),
  name: textOrEmpty,
  repository: textOrEmpty,
  tags: list,
  version: text,
};
/** The fields of Chart.yaml that helm knows, in the order in which they are written. */
const METADATA = {
  annotations: (read: FieldReader, name: string) => read.texts(name),
  apiVersion: (read: FieldReader, name: string) => read.exact(name) ?? 'v1',
  appVersion: text,
  condition: text,
  dependencies: (read: FieldReader, name: string) => read.mappings(name)?.map((one) => readAll(DEPENDENCY, one)),
  deprecated: flag,
  description: text,
  home: text,
  icon: text,
  keywords: list,
  kubeVersion: text,
  maintainers: (read: FieldReader, name: string) => read.mappings(name)?.map((one) => readAll(MAINTAINER, one)),
  name: (read: FieldReader, name: string) => checkName(read.raw(name)),
  sources: list,
  tags: text,
  type: readType,
  version: readVersion,
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
  const metadata = readAll(METADATA, new FieldReader(fields, budget));
  if (aliases === 'refuse') refuseRepeated(metadata);
  return metadata;
}

/** Reads the name of a chart. @throws ChartError for one that would lead out of a folder, or cannot be printed */
export function checkName(value: unknown): string {
  const name = scalarText(value) ?? '';
  const good = name !== '' && name !== '.' && name !== '..' && name.length <= LONGEST_NAME && !/[/\\]/.test(name);
  if (!good || cleaned(name) !== name) throw new ChartError(`expected the name of a chart, found ${printed(name)}`);
  return name;
}

/** Whether `value` is a mapping. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads the fields of one mapping. Empty values are absent, as helm leaves them out when it writes. */
export class FieldReader {
  readonly #fields: Fields;
  readonly #budget: Budget;

  constructor(fields: Fields, budget: Budget) {
    this.#fields = fields;
    this.#budget = budget;
  }

  /** Gives a value as it stands. As in Go, case does not matter where nothing has the exact name. */
  raw(name: string): unknown {
    if (Object.hasOwn(this.#fields, name)) return this.#fields[name] ?? undefined;
    const lower = name.toLowerCase();
    const other = Object.keys(this.#fields).find((key) => key.length === lower.length && key.toLowerCase() === lower);
    return other === undefined ? undefined : (this.#fields[other] ?? undefined);
  }

  /** Reads text without cleaning it. */
  exact(name: string): string | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : this.#textOf(name, value) || undefined;
  }

  text(name: string): string | undefined {
    return cleaned(this.exact(name) ?? '') || undefined;
  }

  flag(name: string): true | undefined {
    const value = this.raw(name);
    if (value !== undefined && typeof value !== 'boolean') throw new ChartError(`${name}: expected true or false`);
    return value === true ? true : undefined;
  }

  list(name: string): string[] | undefined {
    const list = this.#array(name)?.map((member) => cleaned(this.#textOf(name, member ?? '')));
    return list?.length === 0 ? undefined : list;
  }

  texts(name: string): Record<string, string> | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!isFields(value)) throw new ChartError(`${name}: expected a mapping`);
    const pairs = Object.entries(value).map(([key, text]) => {
      if (key.length > LONGEST_KEY) throw new ChartError(`${name}: expected keys of ${LONGEST_KEY} characters at most`);
      return [this.#textOf(name, key), this.#textOf(name, text ?? '')] as const;
    });
    return pairs.length === 0 ? undefined : Object.fromEntries(pairs.sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  mappings(name: string): FieldReader[] | undefined {
    const readers = this.#array(name)?.map((member) => {
      this.#budget.spend(1);
      if (!isFields(member)) throw new ChartError(`${name}: expected mappings, found an empty or other node`);
      return new FieldReader(member, this.#budget);
    });
    return readers?.length === 0 ? undefined : readers;
  }

  /** Reads a list of anything. */
  values(name: string): unknown[] | undefined {
    const values = this.#array(name)?.map((member) => this.#budget.plain(member));
    return values?.length === 0 ? undefined : values;
  }

  #array(name: string): unknown[] | undefined {
    const value = this.raw(name);
    if (value !== undefined && !Array.isArray(value)) throw new ChartError(`${name}: expected a list`);
    return value;
  }

  #textOf(name: string, value: unknown): string {
    const text = scalarText(value);
    if (text === undefined) throw new ChartError(`${name}: expected text`);
    this.#budget.spend(text.length + 1);
    return PRINTABLE_ASCII.test(text) ? text : text.replaceAll(/\p{Surrogate}/gu, '\ufffd');
  }
}

function readAll<All extends Readers>(readers: All, read: FieldReader): ReadFields<All> {
  const fields = Object.entries(readers).map(([name, reader]) => [name, reader(read, name)] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined)) as ReadFields<All>;
}

function readVersion(read: FieldReader): string {
  const version = scalarText(read.raw('version')) ?? '';
  if (parseChartVersion(version) !== undefined) return version;
  throw new ChartError(`${checkName(read.raw('name'))}: expected a version of semver.org, found ${printed(version)}`);
}

function readType(read: FieldReader): 'application' | 'library' | undefined {
  const type = read.exact('type');
  if (type === undefined || type === 'application' || type === 'library') return type;
  const name = checkName(read.raw('name'));
  throw new ChartError(`${name}: expected the type application or library, found ${printed(type)}`);
}

function readAlias(read: FieldReader): string | undefined {
  const alias = read.exact('alias');
  if (alias === undefined || ALIAS.test(alias)) return alias;
  const name = printed(read.text('name') ?? '');
  throw new ChartError(`dependency ${name}: expected an alias of letters, digits, _ and -`);
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
