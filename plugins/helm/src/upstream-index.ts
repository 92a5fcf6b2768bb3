import type { ArtifactDescription, DocumentTable, Parsed } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram, type Table } from '@entrepot/core/formats';
import type { UpstreamVersion } from './chart-rows.js';
import { provenanceUrl } from './chart-url.js';
import type { IndexSummary } from './index-parser.js';
import { readIndexRows, SUMMARY } from './index-rows.js';

const CHARTS = 'charts/';
const PROVENANCE = '.prov';

/** An upstream's index: what it promises of its charts, and their entries for clients. */
export class UpstreamIndex implements Parsed {
  readonly #table: Table;
  readonly #upstreams: readonly string[];

  /** @param upstreams base URLs, each with a slash at its end; the index is that of the first one */
  constructor(table: Table, upstreams: readonly string[]) {
    this.#table = table;
    this.#upstreams = upstreams;
  }

  get weight(): number {
    return this.#table.weight;
  }

  /** The time that the index says it was made at. */
  get generated(): string | undefined {
    const summary = this.#table.get(SUMMARY);
    return summary && (JSON.parse(summary.toString()) as IndexSummary).generated;
  }

  /** Describes a chart, or the provenance beside one, which is promised nothing. */
  describe(key: string): ArtifactDescription | undefined {
    if (!key.startsWith(CHARTS)) return undefined;
    if (!key.endsWith(PROVENANCE)) {
      const row = this.#table.get(key);
      return row && this.describeVersion(versionIn(row));
    }
    const chart = this.describe(key.slice(0, -PROVENANCE.length));
    // An image has its provenance as a layer, which has no URL.
    if (chart?.location === undefined || chart.location.startsWith('oci:')) return undefined;
    const mirrors = chart.mirrors?.map(provenanceUrl);
    return { ...chart, integrity: [], location: provenanceUrl(chart.location), mirrors };
  }

  *descriptions(): Generator<readonly [string, ArtifactDescription], void> {
    for (const [key, row] of this.#table.rows())
      if (key.startsWith(CHARTS)) yield [key, this.describeVersion(versionIn(row))];
  }

  /** Yields the versions of the index: those of a chart follow each other, newest first. */
  *versions(): Generator<UpstreamVersion, void> {
    for (const [key, row] of this.#table.rows()) if (key !== SUMMARY) yield versionIn(row);
  }

  describeVersion({ locations, entry }: UpstreamVersion): ArtifactDescription {
    const { name, version, digest, created, deprecated } = entry;
    const [location, ...others] = locations.flatMap((url) => everywhere(url, this.#upstreams));
    return {
      integrity: digest === undefined ? [] : [{ algorithm: 'sha256', hex: digest }],
      location,
      mirrors: others.filter((url) => !url.startsWith('oci:')),
      coordinates: { ecosystem: 'helm', name, version },
      publishedAt: created === undefined ? undefined : Date.parse(created),
      deprecated,
    };
  }
}

/** Indexes as rows. */
export const INDEX_TABLE: DocumentTable<{ readonly upstreams: readonly string[] }, UpstreamIndex> = {
  maker: new TableMaker(builtProgram(import.meta.url, 'index-worker', () => tableProgram(readIndexRows))),
  revision: 1,
  // As for helm, a relative URL is relative to the repository, wherever its index was redirected to.
  parameters: (_resource, _context, { upstreams: [first = ''] }) => ({ indexUrl: `${first}index.yaml` }),
  open: (table, _resource, { upstreams }) => new UpstreamIndex(table, upstreams),
};

function versionIn(row: Buffer): UpstreamVersion {
  return JSON.parse(row.toString()) as UpstreamVersion;
}

/** Gives a URL, and the same place at the other upstreams where it is below the first one. */
function everywhere(url: string, [first = '', ...others]: readonly string[]): string[] {
  return url.startsWith(first) ? [url, ...others.map((base) => base + url.slice(first.length))] : [url];
}
