import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import type { ArtifactDescription, Content, Parsed } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import type { UpstreamVersion } from './chart-lines.js';
import { provenanceUrl } from './chart-url.js';
import { versionsIn, readUpstreamIndex } from './index-reader.js';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

const PROVENANCE = '.prov';
/** Memory of one description, about. */
const DESCRIPTION_BYTES = 500;

/** An upstream's index that was read once: the promises for its charts, and its charts, compressed, for what clients get. */
export class UpstreamIndex implements Parsed {
  readonly #descriptions = new Map<string, ArtifactDescription>();
  /** Versions that `readUpstreamIndex` gave. */
  readonly #batches: Buffer[] = [];
  /** The time that the index says it was made at. */
  generated: string | undefined;

  get weight(): number {
    return this.#batches.reduce((sum, { length }) => sum + length, DESCRIPTION_BYTES * this.#descriptions.size);
  }

  async add(json: Uint8Array, describe: (version: UpstreamVersion) => ArtifactDescription): Promise<void> {
    for (const version of versionsIn(json)) this.#descriptions.set(version.path, describe(version));
    this.#batches.push(await deflate(json, { level: 1 }));
  }

  /** Describes a chart, or the provenance beside one, which is promised nothing. */
  describe(key: string): ArtifactDescription | undefined {
    if (!key.endsWith(PROVENANCE)) return this.#descriptions.get(key);
    const chart = this.#descriptions.get(key.slice(0, -PROVENANCE.length));
    // An image has its provenance as a layer, which has no URL.
    if (chart?.location === undefined || chart.location.startsWith('oci:')) return undefined;
    const mirrors = chart.mirrors?.map(provenanceUrl);
    return { ...chart, integrity: [], location: provenanceUrl(chart.location), mirrors };
  }

  descriptions(): Iterable<readonly [string, ArtifactDescription]> {
    return this.#descriptions;
  }

  /** The charts of the index, each whole and newest first, in its order. */
  async *charts(): AsyncGenerator<readonly UpstreamVersion[]> {
    const chart: UpstreamVersion[] = [];
    for (const batch of this.#batches) {
      for (const version of versionsIn(await inflate(batch))) {
        if (chart.length > 0 && chart[0]?.chart !== version.chart) yield chart.splice(0);
        chart.push(version);
      }
    }
    if (chart.length > 0) yield chart;
  }
}

/**
 * Reads the index of the first of `upstreams`.
 * @param upstreams base URLs, each with a slash at its end
 * @throws EntrepotError `upstream-unavailable` for what is no index
 */
export async function readIndex(content: Content, upstreams: readonly string[]): Promise<UpstreamIndex> {
  const index = new UpstreamIndex();
  try {
    // As for helm, a relative URL is relative to the repository, wherever its index was redirected to.
    const { generated } = await readUpstreamIndex(content, `${upstreams[0] ?? ''}index.yaml`, (versions) =>
      index.add(versions, (version) => describe(version, upstreams)),
    );
    index.generated = generated;
    return index;
  } catch (error) {
    throw error instanceof ChartError ? malformed('index.yaml', error.message, error) : error;
  }
}

function describe({ locations, entry }: UpstreamVersion, upstreams: readonly string[]): ArtifactDescription {
  const { name, version, digest, created, deprecated } = entry;
  const [location, ...others] = locations.flatMap((url) => everywhere(url, upstreams));
  return {
    integrity: digest === undefined ? [] : [{ algorithm: 'sha256', hex: digest }],
    location,
    mirrors: others.filter((url) => !url.startsWith('oci:')),
    coordinates: { ecosystem: 'helm', name, version },
    publishedAt: created === undefined ? undefined : Date.parse(created),
    deprecated,
  };
}

/** Gives a URL, and the same place at the other upstreams where it is below the first one. */
function everywhere(url: string, [first = '', ...others]: readonly string[]): string[] {
  return url.startsWith(first) ? [url, ...others.map((base) => base + url.slice(first.length))] : [url];
}
