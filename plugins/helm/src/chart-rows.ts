import { type Fields, isRecord, type NewRow, printed } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { LARGEST_METADATA } from './chart-metadata.js';
import { ChartPaths, locateChart, relativeUrl } from './chart-url.js';
import { readIndexEntry, type IndexEntry } from './index-fragment.js';
import { newestFirst } from './version-order.js';
import { Budget } from './yaml-text.js';

/**
 * A version of a chart of an upstream index, as it stands in a row. The key is its path below our index, not escaped: `charts/nginx-1.0.0.tgz`;
 * where another chart has the same archive, and came first, it begins with a slash.
 */
export interface UpstreamVersion {
  /** The name that the index lists it under. */
  readonly chart: string;
  /** URLs of the upstream as `locateChart` gives them, best first. Never empty. */
  readonly locations: readonly string[];
  /** The entry for clients; its URL is the path. */
  readonly entry: IndexEntry;
}

/** Nodes and characters of one version, an icon included. A larger one is shown without its decoration. */
const LARGEST_ENTRY = 2 * 1024 * 1024;
/** Fields of a version that helm only shows. */
const DECORATION = new Set(['annotations', 'description', 'icon', 'keywords', 'maintainers', 'sources']);
/** Nodes and characters that an index may expand to by aliases: for each of its bytes, and besides. */
const EXPANSION = { factor: 8, besides: 1024 * 1024 };

/** Writes the versions of each chart, newest first, as rows of JSON (`UpstreamVersion`). */
export class ChartRows {
  readonly count = { charts: 0, versions: 0, skipped: 0 };
  readonly #indexUrl: string;
  readonly #paths = new ChartPaths();
  readonly #names = new Set<string>();
  readonly #keys = new Set<string>();
  #rows: NewRow[] = [];
  /** Nodes and characters that the index came to. */
  #spent = 0;

  constructor(indexUrl: string) {
    this.#indexUrl = indexUrl;
  }

  /** Takes the rows of charts that were added. */
  take(): NewRow[] {
    return this.#rows.splice(0);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** @param size bytes of the index that were read */
  add(name: string, list: unknown, size: number): void {
    if (!Array.isArray(list)) throw new ChartError(`${printed(name)}: expected a list of versions`);
    if (this.#names.has(name)) throw new ChartError(`expected ${printed(name)} once in the index, found it twice`);
    this.#names.add(name);
    const entries: IndexEntry[] = [];
    for (const member of list) {
      const entry = this.#readVersion(member, size);
      if (entry !== undefined) entries.push(entry);
      if (this.#spent > EXPANSION.factor * size + EXPANSION.besides)
        throw new ChartError('the index expands to more than is allowed');
    }
    const seen = new Set<string>();
    const rows = newestFirst(entries).flatMap((entry) => this.#rowOf(name, entry, seen));
    for (const row of rows) this.#rows.push(row);
    this.count.charts += rows.length > 0 ? 1 : 0;
    this.count.versions += rows.length;
    this.count.skipped += list.length - rows.length;
  }

  /** Reads a version, without its decoration where it is too large. `undefined` where helm ignores it. */
  #readVersion(member: unknown, size: number): IndexEntry | undefined {
    if (!isRecord(member)) return undefined;
    return this.#readEntry(member, size) ?? this.#readEntry(withoutDecoration(member), size);
  }

  #readEntry(fields: Fields, size: number): IndexEntry | undefined {
    // An index bounds its entries, however much its aliases expand to.
    const budget = new Budget(Math.min(LARGEST_ENTRY, LARGEST_METADATA + size));
    try {
      return readIndexEntry(fields, budget);
    } catch (error) {
      if (error instanceof ChartError) return undefined;
      throw error;
    } finally {
      this.#spent += budget.spent;
    }
  }

  #rowOf(chart: string, entry: IndexEntry, seen: Set<string>): NewRow[] {
    const { name, version } = entry;
    const identity = entry.digest ?? entry.urls.join(' ');
    const locations = entry.urls
      .map((url) => locateChart(url, this.#indexUrl, version))
      .filter((location) => location !== undefined);
    if (locations.length === 0 || seen.has(`${version} ${identity}`)) return [];
    seen.add(`${version} ${identity}`);
    const path = this.#paths.assign(name, version, identity);
    if (path === undefined) return [];
    const found: UpstreamVersion = { chart, locations, entry: { ...entry, urls: [relativeUrl(path)] } };
    const key = path.join('/');
    const isFirst = !this.#keys.has(key);
    this.#keys.add(key);
    return [[isFirst ? key : `/${chart}/${key}`, JSON.stringify(found)]];
  }
}

function withoutDecoration(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !DECORATION.has(name.toLowerCase())));
}
