import type { TextDecoder } from 'node:util';
import { ChartError } from './chart-error.js';
import { ChartLines } from './chart-lines.js';
import { isFields, type Fields } from './chart-metadata.js';
import { isTime } from './index-fragment.js';
import { parseYaml, scalarText, textDecoder } from './yaml-text.js';

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

/**
 * Reads an upstream's index piece by piece, and gives lines of `ChartLines`.
 *
 * The YAML that helm and ChartMuseum write is cut where a chart or a version begins, and each cut is given to the YAML
 * parser: memory holds one chart. Other forms (JSON, flow style, an anchor that another chart refers to) are an
 * `UnusualIndex`, and are read as a whole after `startOver`.
 */
export class IndexParser {
  readonly #charts: ChartLines;
  #generated: string | undefined;
  /** Bytes that were read. */
  #size = 0;
  #decoder: TextDecoder | undefined;
  /** All text, once it is read as a whole. */
  #whole: string[] | undefined;
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

  /** @param indexUrl its own URL, which relative URLs are resolved against */
  constructor(indexUrl: string) {
    this.#charts = new ChartLines(indexUrl);
  }

  get summary(): IndexSummary {
    return { ...this.#charts.count, generated: this.#generated };
  }

  /** Reads the index from its start as a whole, without the charts that were read already. */
  startOver(): void {
    this.#whole = [];
    this.#decoder = undefined;
    this.#size = 0;
  }

  /**
   * @returns the lines that are finished
   * @throws ChartError | UnusualIndex
   */
  push(piece: Uint8Array): Buffer[] {
    this.#size += piece.length;
    this.#decoder ??= textDecoder(piece);
    const text = this.#decode(piece, true);
    if (this.#whole === undefined) this.#split(text);
    else this.#whole.push(text);
    return this.#charts.take();
  }

  /** Yields the lines that are left. @throws ChartError | UnusualIndex */
  *end(): Generator<Buffer> {
    const text = this.#decode(new Uint8Array(), false);
    if (this.#whole !== undefined) {
      yield* this.#readWhole([...this.#whole.splice(0), text].join(''));
      return;
    }
    this.#split(`${text}\n`);
    this.#closeChart();
    yield* this.#charts.take();
    const head = parseCut(this.#head) ?? {};
    this.#generated = timeOf(head);
    checkHead(isFields(head) ? { ...head, entries: this.#hasEntries ? {} : undefined } : head);
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
    const entries = checkHead(index);
    this.#generated = timeOf(index);
    for (const [name, versions] of Object.entries(entries)) {
      if (!this.#charts.has(name)) this.#charts.add(name, versions ?? [], this.#size);
      yield* this.#charts.take();
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
    this.#charts.add(name, versions, this.#size);
  }
}

function timeOf(head: unknown): string | undefined {
  const text = isFields(head) ? scalarText(head['generated']) : undefined;
  return text !== undefined && isTime(text) ? text : undefined;
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

/**
 * Gives the entries of an index.
 * @throws ChartError for a body that helm takes for no index: a login page
 */
function checkHead(index: unknown): Fields {
  const entries = isFields(index) ? (index['entries'] ?? {}) : undefined;
  if (isFields(index) && isFields(entries) && (index['apiVersion'] ?? '') !== '') return entries;
  throw new ChartError('expected the index of a chart repository, with apiVersion and entries');
}
