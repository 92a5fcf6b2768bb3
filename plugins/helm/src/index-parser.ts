import type { TextDecoder } from 'node:util';
import { ChartError, printed } from './chart-error.js';
import { isFields, LARGEST_METADATA, type Fields } from './chart-metadata.js';
import { ChartPaths, locateChart, relativeUrl } from './chart-url.js';
import { isTime, readIndexEntry, type IndexEntry } from './index-fragment.js';
import { newestFirst } from './version-order.js';
import { Budget, parseYaml, scalarText, textDecoder } from './yaml-text.js';

/** A version of a chart of an upstream index. */
export interface UpstreamVersion {
  /** Its key and path below our index, not escaped: `charts/nginx-1.0.0.tgz`. */
  readonly path: string;
  /** URLs of the upstream as `locateChart` gives them, best first. Never empty. */
  readonly locations: readonly string[];
  /** The entry for clients; its URL is `path`. */
  readonly entry: IndexEntry;
}

/** A chart of an upstream index, or a part of its versions: newest first, parts follow each other. */
export interface UpstreamChart {
  readonly name: string;
  readonly versions: readonly UpstreamVersion[];
}

/** Totals of an index. */
export interface IndexSummary {
  readonly charts: number;
  readonly versions: number;
  /** Entries that helm would ignore too, that have no URL to fetch from, or that are there twice. */
  readonly skipped: number;
  readonly generated?: string | undefined;
}

/** The index must be read again, as a whole. */
export class UnusualIndex extends Error {}

/** Characters of YAML that are parsed at once. */
const CHUNK = 64 * 1024;
const JSON_START = /^\s*\{/;
/** Characters of an index besides its entries. */
const LARGEST_HEAD = 1024 * 1024;
/** Characters of one line of the result, about. */
const LINE = 256 * 1024;
/** Nodes and characters of one version, an icon included. A larger one is shown without its decoration. */
const LARGEST_ENTRY = 2 * 1024 * 1024;
/** Fields of a version that helm only shows. */
const DECORATION: ReadonlySet<string> = new Set([
  'annotations',
  'description',
  'icon',
  'keywords',
  'maintainers',
  'sources',
]);
/** Nodes and characters that an index may expand to by aliases: for each of its bytes, and besides. */
const EXPANSION = { factor: 8, besides: 1024 * 1024 };

/**
 * Reads an upstream's index piece by piece, and gives each chart as one or more lines of JSON (`UpstreamChart`).
 *
 * The YAML that helm and ChartMuseum write is cut where a chart or a version begins, and each cut is given to the YAML
 * parser: memory holds one chart. What does not look so (JSON, flow style, an anchor that another chart refers to) is
 * an `UnusualIndex`, and is to be read as a whole by another `IndexParser`, which leaves out what was given before.
 */
export class IndexParser {
  readonly #indexUrl: string;
  readonly #whole: boolean;
  readonly #given: ReadonlySet<string>;
  readonly #paths = new ChartPaths();
  readonly #names = new Set<string>();
  readonly #count = { charts: 0, versions: 0, skipped: 0, generated: undefined as string | undefined };
  readonly #text: string[] = [];
  /** Bytes that were read, and nodes and characters that they came to. */
  #size = 0;
  #spent = 0;
  #decoder: TextDecoder | undefined;
  #rest = '';
  /** `head`: before and after the entries. */
  #part: 'start' | 'head' | 'entries' = 'start';
  #head = '';
  #hasEntries = false;
  #chartIndent: number | undefined;
  #versionIndent: number | undefined;
  #chart: { readonly name: string; readonly versions: unknown[]; readonly closed: boolean } | undefined;
  #chunk: string[] = [];
  #chunkLength = 0;
  #lines: Buffer[] = [];
  /** The charts whose lines are in `#lines`. */
  #pending: string[] = [];

  /** @param given present: the index is read as a whole, without these charts */
  constructor(indexUrl: string, given?: ReadonlySet<string>) {
    this.#indexUrl = indexUrl;
    this.#whole = given !== undefined;
    this.#given = given ?? new Set();
  }

  /** The charts whose lines were returned. */
  get given(): ReadonlySet<string> {
    return new Set([...this.#names].filter((name) => !this.#pending.includes(name)));
  }

  get summary(): IndexSummary {
    return this.#count;
  }

  /**
   * @returns the lines that are finished
   * @throws ChartError | UnusualIndex
   */
  push(piece: Uint8Array): Buffer[] {
    this.#size += piece.length;
    this.#decoder ??= textDecoder(piece);
    const text = this.#decode(piece, true);
    if (this.#whole) this.#text.push(text);
    else this.#split(text);
    return this.#handOut();
  }

  /** The lines that are left. @throws ChartError | UnusualIndex */
  *end(): Generator<Buffer> {
    const text = this.#decode(new Uint8Array(), false);
    if (this.#whole) {
      this.#text.push(text);
      yield* this.#readWhole(this.#text.splice(0).join(''));
      return;
    }
    this.#split(`${text}\n`);
    this.#closeChart();
    yield* this.#handOut();
    const head = parseCut(this.#head) ?? {};
    this.#count.generated = timeOf(head);
    checkHead(isFields(head) ? { ...head, entries: this.#hasEntries ? {} : undefined } : head);
  }

  #handOut(): Buffer[] {
    this.#pending = [];
    return this.#lines.splice(0);
  }

  #decode(piece: Uint8Array, stream: boolean): string {
    try {
      return this.#decoder?.decode(piece, { stream }) ?? '';
    } catch {
      throw new ChartError('expected an index in UTF-8');
    }
  }

  *#readWhole(text: string): Generator<Buffer> {
    const index = parseIndex(text);
    checkHead(index);
    this.#count.generated = timeOf(index);
    for (const [name, versions] of Object.entries((index as Fields)['entries'] ?? {})) {
      this.#give(name, versions ?? []);
      const lines = this.#handOut();
      if (!this.#given.has(name)) yield* lines;
    }
  }

  #split(text: string): void {
    const all = this.#rest + text;
    if (this.#part === 'start' && JSON_START.test(all)) throw new UnusualIndex();
    let start = 0;
    for (let end = all.indexOf('\n'); end !== -1; end = all.indexOf('\n', start)) {
      this.#readLine(all.slice(start, all[end - 1] === '\r' ? end - 1 : end));
      start = end + 1;
    }
    this.#rest = all.slice(start);
    if (this.#rest.length > LARGEST_HEAD) throw new UnusualIndex();
  }

  #readLine(line: string): void {
    const indent = line.search(/[^ ]/);
    // Blank lines and comments may also be lines of a text.
    if (indent === -1 || line[indent] === '#' || line[indent] === '\t') {
      if (this.#part === 'entries' && this.#chart !== undefined) this.#add(line);
      else this.#addHead(line);
      return;
    }
    if (indent === 0) this.#readTopLine(line);
    else if (this.#part === 'entries') this.#readEntryLine(line, indent);
    else if (this.#part === 'head') this.#addHead(line);
    else throw new UnusualIndex();
  }

  #readTopLine(line: string): void {
    if (this.#part === 'start' && line === '---') return;
    // Anything but a key is another document, another style, or the list of a key.
    if (!/^[a-zA-Z]+:(?: |$)/.test(line)) throw new UnusualIndex();
    if (this.#part === 'entries') this.#closeChart();
    this.#part = 'head';
    if (!line.startsWith('entries:')) return this.#addHead(line);
    if (!/^entries: *(?:#.*)?$/.test(line)) throw new UnusualIndex();
    if (this.#hasEntries) throw new ChartError('expected entries once in the index, found them twice');
    this.#hasEntries = true;
    this.#part = 'entries';
  }

  #addHead(line: string): void {
    this.#head += `${line}\n`;
    if (this.#head.length > LARGEST_HEAD) throw new UnusualIndex();
  }

  #readEntryLine(line: string, indent: number): void {
    const item = line[indent] === '-' && (line.length === indent + 1 || line[indent + 1] === ' ');
    this.#chartIndent ??= indent;
    if (indent < this.#chartIndent) throw new UnusualIndex();
    if (indent === this.#chartIndent && !item) {
      this.#closeChart();
      this.#openChart(line);
      return;
    }
    if (this.#chart === undefined) throw new UnusualIndex();
    this.#versionIndent ??= indent;
    if (indent < this.#versionIndent) throw new UnusualIndex();
    if (indent === this.#versionIndent && item && this.#chunkLength > CHUNK) this.#parseChunk();
    this.#add(line);
  }

  #openChart(line: string): void {
    const pair = parseCut(line);
    const [name, value] = isFields(pair) ? (Object.entries(pair)[0] ?? []) : [];
    const closed = Array.isArray(value) && value.length === 0;
    if (name === undefined || (value !== null && !closed)) throw new UnusualIndex();
    this.#chart = { name, versions: [], closed };
    this.#versionIndent = undefined;
  }

  #add(line: string): void {
    this.#chunk.push(line);
    this.#chunkLength += line.length + 1;
  }

  #parseChunk(): void {
    const value = parseCut(`${this.#chunk.splice(0).join('\n')}\n`);
    this.#chunkLength = 0;
    if (value === undefined) return;
    if (!Array.isArray(value) || this.#chart?.closed === true) throw new UnusualIndex();
    for (const version of value) this.#chart?.versions.push(version);
  }

  #closeChart(): void {
    if (this.#chart === undefined) return;
    this.#parseChunk();
    const { name, versions } = this.#chart;
    this.#chart = undefined;
    this.#give(name, versions);
  }

  /** Makes the lines of one chart. */
  #give(name: string, list: unknown): void {
    if (!Array.isArray(list)) throw new ChartError(`${printed(name)}: expected a list of versions`);
    if (this.#names.has(name)) throw new ChartError(`expected ${printed(name)} once in the index, found it twice`);
    this.#names.add(name);
    this.#pending.push(name);
    const entries: IndexEntry[] = [];
    for (const member of list) {
      const entry = this.#readVersion(member);
      if (entry !== undefined) entries.push(entry);
      if (this.#spent > EXPANSION.factor * this.#size + EXPANSION.besides) {
        throw new ChartError('the index expands to more than is allowed');
      }
    }
    const seen = new Set<string>();
    let parts: string[] = [];
    let size = 0;
    let given = 0;
    const close = (): void => {
      if (parts.length > 0)
        this.#lines.push(Buffer.from(`{"name":${JSON.stringify(name)},"versions":[${parts.join(',')}]}`));
      parts = [];
      size = 0;
    };
    for (const entry of newestFirst(entries)) {
      const version = this.#place(entry, seen);
      if (version === undefined) continue;
      const part = JSON.stringify(version);
      parts.push(part);
      size += part.length;
      given += 1;
      if (size >= LINE) close();
    }
    close();
    this.#count.charts += given > 0 ? 1 : 0;
    this.#count.versions += given;
    this.#count.skipped += list.length - given;
  }

  /** Reads a version, without its decoration where it is too large. `undefined` where helm ignores it. */
  #readVersion(member: unknown): IndexEntry | undefined {
    if (!isFields(member)) return undefined;
    const plain = withoutDecoration(member);
    const isDecorated = Object.keys(plain).length < Object.keys(member).length;
    return this.#readEntry(member) ?? (isDecorated ? this.#readEntry(plain) : undefined);
  }

  #readEntry(fields: Fields): IndexEntry | undefined {
    // An index bounds its entries, however much its aliases expand to.
    const budget = new Budget(Math.min(LARGEST_ENTRY, LARGEST_METADATA + this.#size));
    try {
      return readIndexEntry(fields, budget);
    } catch (error) {
      if (error instanceof ChartError) return undefined;
      throw error;
    } finally {
      this.#spent += budget.spent;
    }
  }

  #place(entry: IndexEntry, seen: Set<string>): UpstreamVersion | undefined {
    const { name, version } = entry;
    const identity = entry.digest ?? entry.urls.join(' ');
    const locations = entry.urls
      .map((url) => locateChart(url, this.#indexUrl, version))
      .filter((location) => location !== undefined);
    if (locations.length === 0 || seen.has(`${version} ${identity}`)) return undefined;
    seen.add(`${version} ${identity}`);
    const path = this.#paths.assign(name, version, identity);
    return path && { path: path.join('/'), locations, entry: { ...entry, urls: [relativeUrl(path)] } };
  }
}

function timeOf(head: unknown): string | undefined {
  const text = isFields(head) ? scalarText(head['generated']) : undefined;
  return text !== undefined && isTime(text) ? text : undefined;
}

function withoutDecoration(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !DECORATION.has(name.toLowerCase())));
}

/** Parses a part of the index. A fault may come from the cut: the whole decides. */
function parseCut(text: string): unknown {
  try {
    return parseYaml(text, 'refuse');
  } catch (error) {
    throw error instanceof ChartError ? new UnusualIndex() : error;
  }
}

/** Parses JSON as JSON and everything else as YAML, as helm does. */
function parseIndex(text: string): unknown {
  if (JSON_START.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      // YAML in flow style begins alike.
    }
  }
  return parseYaml(text, 'refuse');
}

/** @throws ChartError for a body that helm takes for no index: a login page */
function checkHead(index: unknown): void {
  const entries = isFields(index) ? (index['entries'] ?? {}) : undefined;
  if (!isFields(index) || !isFields(entries) || (index['apiVersion'] ?? '') === '') {
    throw new ChartError('expected the index of a chart repository, with apiVersion and entries');
  }
}
