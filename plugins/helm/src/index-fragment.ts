import { type Fields, isRecord } from '@entrepot/core/formats';
import {
  exactText,
  flag,
  LARGEST_METADATA,
  METADATA_FIELDS,
  readFields,
  readMetadata,
  texts,
  type ChartMetadata,
  type ReadFields,
} from './chart-metadata.js';
import { latestStable, newestFirst } from './version-order.js';
import { Budget } from './yaml-text.js';

const DIGEST = /^(?:sha256:)?([0-9a-fA-F]{64})$/;
const RFC3339 = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})$/;

/** The fields of an entry besides the metadata of its chart. Malformed digests and times are left out. */
const ENTRY = {
  created: (...given: Parameters<typeof exactText>) => timeIn(exactText(...given)),
  /** SHA-256 of the archive in lower-case hex. Helm 4 keys its cache by it. */
  digest: (...given: Parameters<typeof exactText>) => DIGEST.exec(exactText(...given) ?? '')?.[1]?.toLowerCase(),
  removed: flag,
  /** Absolute, or relative to the folder of the index. */
  urls: (...given: Parameters<typeof texts>) => texts(...given) ?? [],
};

/** One version of a chart in an index: exactly the fields that helm knows. Clients refuse a YAML index with any other. */
export type IndexEntry = ChartMetadata & ReadFields<typeof ENTRY>;

/** Fields of an index besides its charts. */
export interface IndexHead {
  /** The time of the last change of the content, RFC 3339. Absent: unknown. */
  readonly generated?: string | undefined;
  /** `contextPath` is read by `helm cm-push`. */
  readonly serverInfo?: { readonly contextPath?: string | undefined } | undefined;
}

/** One way to write a list of charts. */
export interface IndexForm {
  readonly mediaType: string;
  /** Writes some versions of a chart, newest first. */
  fragment(entries: Iterable<IndexEntry>): Buffer;
  /** Before the fragments of a chart. */
  before(name: string, isFirst: boolean): string;
  readonly between: string;
  readonly after: string;
  close(head: IndexHead, isEmpty: boolean): string;
}

const FIELDS: readonly string[] = [...METADATA_FIELDS, ...Object.keys(ENTRY)].sort();
/** The keys of nested mappings that are helm's own. */
const NESTED_KEYS: ReadonlySet<string> = new Set(['alias', 'email', 'enabled', 'import-values', 'repository', 'url']);

/**
 * Reads one entry of an index that another server wrote. Fields that helm does not know are left out.
 * @throws ChartError where helm would ignore the entry
 */
export function readIndexEntry(fields: Fields, budget = new Budget(LARGEST_METADATA)): IndexEntry {
  return { ...readMetadata(fields, 'ignore', budget), ...readFields(ENTRY, { fields, budget }) };
}

/** Writes JSON with known fields only, sorted by name, so that equal entries are equal bytes. */
export function entryJson(entry: IndexEntry): string {
  return JSON.stringify(sorted(entry));
}

/** Writes the JSON of some versions of a chart, newest first, without the brackets of a list. */
export function jsonFragment(entries: Iterable<IndexEntry>): Buffer {
  return Buffer.from(newestFirst(entries).map(entryJson).join(','));
}

/** Writes the YAML of some versions of a chart, newest first: their lines below the name of the chart. */
export function yamlFragment(entries: Iterable<IndexEntry>): Buffer {
  return Buffer.from(
    newestFirst(entries)
      .map((entry) => `  - ${yamlMapping(sorted(entry), '    ')}`)
      .join(''),
  );
}

/** The index as JSON, which is YAML too: for helm six times as fast to read. For fragments of `jsonFragment`. */
export const JSON_INDEX = jsonForm('{"apiVersion":"v1","entries":{', ({ generated, serverInfo }) => {
  const rest = JSON.stringify({ generated, serverInfo }).slice(1);
  return `}${rest === '}' ? '' : ','}${rest}\n`;
});

/** ChartMuseum's list of all charts, `{name: [version, …]}`. For fragments of `jsonFragment`. */
export const CHART_LIST = jsonForm('{', () => '}');

/** The index as YAML. For fragments of `yamlFragment`. */
export const YAML_INDEX: IndexForm = {
  mediaType: 'application/x-yaml',
  fragment: yamlFragment,
  before: (name, isFirst) => `${isFirst ? 'apiVersion: v1\nentries:\n' : ''}  ${yamlJson(name)}:\n`,
  between: '',
  after: '',
  close: ({ generated, serverInfo }, isEmpty) => {
    const path = serverInfo?.contextPath;
    const server = path === undefined ? ' {}' : `\n  contextPath: ${yamlJson(path)}`;
    return (
      (isEmpty ? 'apiVersion: v1\nentries: {}\n' : '') +
      (generated === undefined ? '' : `generated: ${yamlJson(generated)}\n`) +
      (serverInfo === undefined ? '' : `serverInfo:${server}\n`)
    );
  },
};

/** The forms of an index, by the option `index`. */
export const INDEXES = { yaml: YAML_INDEX, json: JSON_INDEX } as const;

/** Joins the fragments of charts, in the order in which they come; each name once, none of them empty. */
export class IndexJoiner {
  readonly #form: IndexForm;
  #isEmpty = true;

  constructor(form: IndexForm) {
    this.#form = form;
  }

  /** Frames the fragments of a chart. */
  chart<Piece>(name: string, fragments: readonly Piece[]): (Piece | Buffer)[] {
    const { before, between, after } = this.#form;
    const start = before(name, this.#isEmpty);
    this.#isEmpty = false;
    const pieces = fragments.flatMap((fragment, at) => (at === 0 ? [fragment] : [Buffer.from(between), fragment]));
    return [Buffer.from(start), ...pieces, Buffer.from(after)];
  }

  /** Gives the end of the list. */
  close(head: IndexHead): Buffer {
    return Buffer.from(this.#form.close(head, this.#isEmpty));
  }
}

/** Finds a version, spelled exactly so, or `latest`. */
export function findVersion(entries: readonly IndexEntry[], version: string): IndexEntry | undefined {
  return version === 'latest' ? latestStable(entries) : entries.find((entry) => entry.version === version);
}

function jsonForm(start: string, end: (head: IndexHead) => string): IndexForm {
  return {
    mediaType: 'application/json',
    fragment: jsonFragment,
    before: (name, isFirst) => `${isFirst ? start : ','}${JSON.stringify(name)}:[`,
    between: ',',
    after: ']',
    close: (head, isEmpty) => (isEmpty ? start : '') + end(head),
  };
}

function sorted(entry: IndexEntry): Fields {
  const fields: Fields = entry;
  return Object.fromEntries(FIELDS.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]]])));
}

/** The time that `text` is (RFC 3339). `undefined`: it is none. */
export function timeIn(text: string | undefined): string | undefined {
  return text !== undefined && RFC3339.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined;
}

/** Writes a mapping, the first pair on the current line, the others indented. */
function yamlMapping(fields: Fields, indent: string): string {
  return Object.entries(fields)
    .map(([key, value], at) => `${at === 0 ? '' : indent}${yamlKey(key)}:${yamlValue(value, indent)}`)
    .join('');
}

/** Writes the rest of a line after `key:`, and the lines below it. */
function yamlValue(value: unknown, indent: string): string {
  const inner = `${indent}  `;
  if (Array.isArray(value) && value.length > 0)
    return `\n${value.map((member) => `${indent}- ${yamlMember(member, inner)}`).join('')}`;
  return isRecord(value) && !isEmpty(value) ? `\n${inner}${yamlMapping(value, inner)}` : ` ${yamlJson(value)}\n`;
}

function yamlMember(value: unknown, indent: string): string {
  return isRecord(value) && !isEmpty(value) ? yamlMapping(value, indent) : `${yamlJson(value)}\n`;
}

function isEmpty(fields: Fields): boolean {
  return Object.keys(fields).length === 0;
}

function yamlKey(key: string): string {
  return FIELDS.includes(key) || NESTED_KEYS.has(key) ? key : yamlJson(key);
}

/**
 * Writes JSON that is YAML 1.1 as well: without characters that YAML takes for a line break or does not allow. Double quotes
 * are the only style in which YAML 1.1 and 1.2 read every text alike.
 */
function yamlJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
