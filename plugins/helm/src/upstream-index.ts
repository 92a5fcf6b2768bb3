import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import type { ArtifactDescription, Content, Parsed } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import type { UpstreamChart, UpstreamVersion } from './chart-lines.js';
import { provenanceUrl } from './chart-url.js';
import { chartsIn, readUpstreamIndex } from './index-reader.js';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

const PROVENANCE = '.prov';
/** Memory of one description, about. */
const DESCRIPTION_BYTES = 500;

/** An upstream's index that was read once: the promises for its charts, and its charts, compressed, for what clients get. */
export class UpstreamIndex implements Parsed {
  readonly #descriptions = new Map<string, ArtifactDescription>();
  /** Charts that `readUpstreamIndex` gave. */
  readonly #batches: Buffer[] = [];
  /** The time that the index says it was made at. */
  generated: string | undefined;

  get weight(): number {
    return this.#batches.reduce((sum, { length }) => sum + length, DESCRIPTION_BYTES * this.#descriptions.size);
  }

  async add(charts: Uint8Array, describe: (version: UpstreamVersion) => ArtifactDescription): Promise<void> {
    for (const { versions } of chartsIn(charts))
      for (const version of versions) this.#descriptions.set(version.path, describe(version));
    this.#batches.push(await deflate(charts, { level: 1 }));
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

  /** The charts of the index, each whole, in its order. */
  async *charts(): AsyncGenerator<UpstreamChart> {
    let open: { readonly name: string; readonly versions: UpstreamVersion[] } | undefined;
    for (const batch of this.#batches) {
      for (const { name, versions } of chartsIn(await inflate(batch))) {
        if (open?.name === name) {
          open.versions.push(...versions);
          continue;
        }
        if (open !== undefined) yield open;
        open = { name, versions: [...versions] };
      }
    }
    if (open !== undefined) yield open;
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
    const { generated } = await readUpstreamIndex(content, `${upstreams[0] ?? ''}index.yaml`, (charts) =>
      index.add(charts, (version) => describe(version, upstreams)),
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
