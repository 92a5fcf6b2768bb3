import { ChartError, printed } from './chart-error.js';
import { parseChartVersion } from './version-order.js';
import { Budget, scalarText } from './yaml-text.js';

/** A maintainer of a chart. */
export interface Maintainer {
  readonly name?: string;
  readonly email?: string;
  readonly url?: string;
}

/** A chart that another one needs. */
export interface Dependency {
  readonly name: string;
  readonly version?: string;
  readonly repository: string;
  readonly condition?: string;
  readonly tags?: readonly string[];
  readonly enabled?: true;
  readonly 'import-values'?: readonly unknown[];
  readonly alias?: string;
}

/** The metadata of a chart: the fields of Chart.yaml that helm knows, those that say something. Printable as JSON. */
export interface ChartMetadata {
  readonly name: string;
  /** A version as `parseChartVersion` takes it. */
  readonly version: string;
  /** `v1`, `v2`; `v1` where the chart says nothing. */
  readonly apiVersion: string;
  readonly home?: string;
  readonly sources?: readonly string[];
  readonly description?: string;
  readonly keywords?: readonly string[];
  readonly maintainers?: readonly Maintainer[];
  readonly icon?: string;
  readonly condition?: string;
  readonly tags?: string;
  readonly appVersion?: string;
  readonly deprecated?: true;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly kubeVersion?: string;
  readonly dependencies?: readonly Dependency[];
  readonly type?: 'application' | 'library';
}

/** Nodes and characters of one chart's metadata. */
export const LARGEST_METADATA = 512 * 1024;
const LONGEST_NAME = 250;
/** YAML takes no more than 1024 bytes for the key of a pair. */
const LONGEST_KEY = 250;
const ALIAS = /^[a-zA-Z0-9_-]+$/;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** A mapping of YAML or JSON, read field by field as helm does. */
export type Fields = Readonly<Record<string, unknown>>;

/** Reads each field of `ChartMetadata`, in the order in which they are written. */
const READERS: { readonly [Name in keyof ChartMetadata]-?: (read: FieldReader) => ChartMetadata[Name] | undefined } = {
  annotations: (read) => read.texts('annotations'),
  apiVersion: (read) => read.exact('apiVersion') ?? 'v1',
  appVersion: (read) => read.text('appVersion'),
  condition: (read) => read.text('condition'),
  dependencies: (read) => read.mappings('dependencies')?.map(readDependency),
  deprecated: (read) => read.flag('deprecated'),
  description: (read) => read.text('description'),
  home: (read) => read.text('home'),
  icon: (read) => read.text('icon'),
  keywords: (read) => read.list('keywords'),
  kubeVersion: (read) => read.text('kubeVersion'),
  maintainers: (read) => read.mappings('maintainers')?.map(readMaintainer),
  name: (read) => checkName(read.raw('name')),
  sources: (read) => read.list('sources'),
  tags: (read) => read.text('tags'),
  type: readType,
  version: readVersion,
};

/** The names of the fields of `ChartMetadata`. */
export const METADATA_FIELDS: readonly string[] = Object.keys(READERS);

/**
 * Reads a chart's metadata, checked and cleaned as helm does when it loads a chart. Unknown fields are left out.
 * Stricter than helm with names: what is no printable text is refused, not cleaned, and so are backslashes, since the name
 * becomes a part of file names.
 * @param aliases two dependencies of one name or alias: refused (charts), or ignored (indexes, as helm does)
 * @throws ChartError
 */
export function readMetadata(
  fields: Fields,
  aliases: 'refuse' | 'ignore' = 'refuse',
  budget = new Budget(LARGEST_METADATA),
): ChartMetadata {
  const read = new FieldReader(fields, budget);
  const fieldsRead = Object.entries(READERS).map(([name, reader]) => [name, reader(read)] as const);
  const metadata = Object.fromEntries(
    fieldsRead.filter(([, value]) => value !== undefined),
  ) as unknown as ChartMetadata;
  if (aliases === 'refuse') refuseRepeated(metadata);
  return metadata;
}

/**
 * The name of a chart.
 * @throws ChartError for what is no name, or would lead out of a folder
 */
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

  /** As it stands. As in Go, case does not matter where nothing has the exact name. */
  raw(name: string): unknown {
    if (Object.hasOwn(this.#fields, name)) return this.#fields[name] ?? undefined;
    const lower = name.toLowerCase();
    const other = Object.keys(this.#fields).find((key) => key.length === lower.length && key.toLowerCase() === lower);
    return other === undefined ? undefined : (this.#fields[other] ?? undefined);
  }

  /** Text that is not cleaned. */
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

  /** A list of anything. */
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

/** Leaves out the fields that are `undefined`. */
function present<Result>(fields: { readonly [Key in keyof Result]: Result[Key] | undefined }): Result {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Result;
}

function readVersion(read: FieldReader): string {
  const version = scalarText(read.raw('version')) ?? '';
  if (parseChartVersion(version) !== undefined) return version;
  throw new ChartError(`${checkName(read.raw('name'))}: expected a version of semver.org, found ${printed(version)}`);
}

function readType(read: FieldReader): ChartMetadata['type'] {
  const type = read.exact('type');
  if (type === undefined || type === 'application' || type === 'library') return type;
  const name = checkName(read.raw('name'));
  throw new ChartError(`${name}: expected the type application or library, found ${printed(type)}`);
}

function readMaintainer(read: FieldReader): Maintainer {
  return present({ email: read.text('email'), name: read.text('name'), url: read.text('url') });
}

function readDependency(read: FieldReader): Dependency {
  const name = read.text('name') ?? '';
  const alias = read.exact('alias');
  if (alias !== undefined && !ALIAS.test(alias)) {
    throw new ChartError(`dependency ${printed(name)}: expected an alias of letters, digits, _ and -`);
  }
  return present({
    alias,
    condition: read.text('condition'),
    enabled: read.flag('enabled'),
    'import-values': read.values('import-values'),
    name,
    repository: read.text('repository') ?? '',
    tags: read.list('tags'),
    version: read.text('version'),
  });
}

function refuseRepeated({ name: chart, dependencies = [] }: ChartMetadata): void {
  const seen = new Set<string>();
  for (const { name, alias } of dependencies) {
    const key = alias ?? name;
    if (seen.has(key)) throw new ChartError(`${chart}: more than one dependency with name or alias ${printed(key)}`);
    seen.add(key);
  }
}

/** Text as helm cleans it: white space becomes a blank, what cannot be printed is dropped. */
function cleaned(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replaceAll(/\p{White_Space}/gu, ' ').replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '');
}
