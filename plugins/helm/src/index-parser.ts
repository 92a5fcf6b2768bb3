import type { TextDecoder } from 'node:util';
import { type Fields, isRecord, type NewRow } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { ChartRows } from './chart-rows.js';
import { timeIn } from './index-fragment.js';
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

/** Characters of an index besides its entries, and of one line. */
const LARGEST_HEAD = 1024 * 1024;

/**
 * Reads an upstream's index piece by piece, and gives the rows of its charts.
 *
 * The YAML that helm and ChartMuseum write is cut where a chart begins, and each cut is given to the YAML parser: memory holds
 * one chart. Other forms (JSON, flow style, an anchor that another chart refers to) are an `UnusualIndex`, and are read as a
 * whole after `startOver`.
 */
export class IndexParser {
  readonly #charts: ChartRows;
  #generated: string | undefined;
  /** Bytes that were read. */
  #size = 0;
  #decoder: TextDecoder | undefined;
  /** All text, once it is read as a whole. */
  #whole: string[] | undefined;
  #rest = '';
  /** All lines from the first key on, without those of charts. */
  #head = '';
  /** The lines of a chart, and what stands before the first one. Absent: outside of the entries. */
  #chart: string[] | undefined;
  #chartIndent: number | undefined;

  /** @param indexUrl its own URL, which relative URLs are resolved against */
  constructor(indexUrl: string) {
    this.#charts = new ChartRows(indexUrl);
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
   * @returns the rows of the charts that are read
   * @throws ChartError | UnusualIndex
   */
  push(piece: Uint8Array): NewRow[] {
    this.#size += piece.length;
    this.#decoder ??= textDecoder(piece);
    const text = this.#decode(piece, true);
    if (this.#whole === undefined) this.#split(text);
    else this.#whole.push(text);
    return this.#charts.take();
  }

  /** Yields the rows that are left. @throws ChartError | UnusualIndex */
  *end(): Generator<NewRow> {
    const text = this.#decode(new Uint8Array(), false);
    const whole = this.#whole?.splice(0);
    if (whole === undefined) {
      this.#split(`${text}\n`);
      this.#closeChart();
      yield* this.#charts.take();
    }
    const index = whole === undefined ? parseCut(this.#head) : parseIndex([...whole, text].join(''));
    const entries = entriesOf(index);
    this.#generated = timeIn(scalarText((index as Fields)['generated']));
    for (const [name, versions] of Object.entries(entries)) {
      if (!this.#charts.has(name)) this.#charts.add(name, versions ?? [], this.#size);
      yield* this.#charts.take();
    }
  }

  #decode(piece: Uint8Array, stream: boolean): string {
    try {
      return this.#decoder?.decode(piece, { stream }) ?? '';
    } catch {
      throw new ChartError('expected an index in UTF-8');
    }
  }

  #split(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n/);
    this.#rest = lines.pop() as string;
    for (const line of lines) this.#readLine(line);
    if (this.#rest.length > LARGEST_HEAD) throw new UnusualIndex();
  }

  #readLine(line: string): void {
    if (/^[^\s#]/.test(line)) this.#readTopLine(line);
    else if (this.#chart !== undefined) this.#readEntryLine(line, this.#chart);
    else if (this.#head !== '') this.#addHead(line);
    else if (!/^\s*(?:#|$)/.test(line)) throw new UnusualIndex();
  }

  #readTopLine(line: string): void {
    if (this.#head === '' && line === '---') return;
    // Anything but a key is another document, another style, or the list of a key.
    if (!/^[a-zA-Z]+:(?: |$)/.test(line)) throw new UnusualIndex();
    this.#closeChart();
    if (!line.startsWith('entries:')) return this.#addHead(line);
    if (!/^entries: *(?:#.*)?$/.test(line)) throw new UnusualIndex();
    this.#addHead('entries: {}');
    this.#chart = [];
  }

  #addHead(line: string): void {
    this.#head += `${line}\n`;
    if (this.#head.length > LARGEST_HEAD) throw new UnusualIndex();
  }

  #readEntryLine(line: string, chart: string[]): void {
    const [, indent, item] = /^( +)(?:(- |-$)|[^\s#])/.exec(line) ?? [];
    // Blank lines and comments may also be lines of a text.
    if (indent !== undefined) {
      this.#chartIndent ??= indent.length;
      if (indent.length < this.#chartIndent) throw new UnusualIndex();
      if (indent.length === this.#chartIndent && item === undefined) this.#addChart(chart.splice(0));
    }
    chart.push(line);
  }

  #closeChart(): void {
    this.#addChart(this.#chart ?? []);
    this.#chart = undefined;
  }

  #addChart(lines: readonly string[]): void {
    const charts = parseCut(`${lines.join('\n')}\n`);
    if (charts === undefined) return;
    if (!isRecord(charts)) throw new UnusualIndex();
    for (const [name, versions] of Object.entries(charts)) this.#charts.add(name, versions ?? [], this.#size);
  }
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
  if (/^\s*\{/.test(text)) {
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
function entriesOf(index: unknown): Fields {
  const entries = isRecord(index) ? (index['entries'] ?? {}) : undefined;
  if (isRecord(index) && isRecord(entries) && (index['apiVersion'] ?? '') !== '') return entries;
  throw new ChartError('expected the index of a chart repository, with apiVersion and entries');
}
