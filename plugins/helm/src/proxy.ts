import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import {
  withoutTrailingSlashes,
  EntrepotError,
  type ArtifactDescription,
  type ArtifactResource,
  type Content,
  type DocumentResource,
  type Protocol,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
  type RewriteContext,
} from '@entrepot/core';
import { CHART_TYPE, PROVENANCE_TYPE } from './change.js';
import { provenanceUrl, relativeUrl, type ChartLocation } from './chart-url.js';
import { renderError, upstreamFault } from './errors.js';
import { IMAGE_CHART_TYPE } from './image.js';
import { IndexJoiner, JSON_INDEX, jsonFragment, YAML_INDEX, yamlFragment } from './index-fragment.js';
import { LARGEST_INDEX, parseUpstreamChart, readUpstreamIndex } from './index-reader.js';
import type { IndexSummary, UpstreamVersion } from './index-parser.js';
import type { HelmOptions } from './options.js';
import { LARGEST_PROVENANCE, SIGNED_MESSAGE } from './provenance.js';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

const PROVENANCE = '.prov';
/**
 * `Accept` of helm for files. The API of a forge sends the file itself for `application/octet-stream`, and its metadata for
 * other types. Some servers refuse a client that does not accept the type that they would send.
 */
const FILE_ACCEPT = 'application/gzip, application/octet-stream, */*;q=0.1';
/** The start of everything that is compressed by gzip (RFC 1952 §2.3.1). */
const GZIP = Buffer.from([0x1f, 0x8b]);
/** Bytes of an index that are compressed together. */
const BATCH = 256 * 1024;
const NEWLINE = Buffer.from('\n');

/** A proxy of a repository of charts. */
export class HelmProxy implements Protocol {
  readonly #isYaml: boolean;
  readonly #upstreams: readonly string[];

  constructor({ index }: HelmOptions, { upstreams }: RepositoryFacts) {
    this.#isYaml = index === 'yaml';
    this.#upstreams = upstreams.map(({ url }) => `${withoutTrailingSlashes(url)}/`);
  }

  route({ mount, method, segments, trailingSlash }: RequestHead): Resource | undefined {
    if (mount !== undefined || trailingSlash || segments.some((segment) => segment.includes('/'))) return undefined;
    const [folder, ...rest] = segments;
    const file = rest.at(-1);
    const index = this.#index();
    const resource =
      folder === 'index.yaml' && file === undefined
        ? index
        : folder === 'charts' && file !== undefined && rest.length <= 2
          ? artifact(segments, file, index)
          : undefined;
    if (resource === undefined || method === 'GET' || method === 'HEAD') return resource;
    throw new EntrepotError('method-not-allowed', 'This repository is a proxy: it takes no uploads', {
      headers: { Allow: 'GET, HEAD' },
    });
  }

  #index(): DocumentResource {
    return {
      kind: 'document',
      class: 'index',
      key: 'index.yaml',
      upstreamPath: 'index.yaml',
      mediaType: this.#isYaml ? 'application/x-yaml' : 'application/json',
      rewritten: true,
      maxBytes: LARGEST_INDEX,
    };
  }

  documentPath(): string {
    return '/index.yaml';
  }

  async describe(_document: DocumentResource, content: Content): Promise<ChartDescriptions> {
    const [first = ''] = this.#upstreams;
    // As for helm, what is relative is so to the repository, wherever its index was redirected to.
    const lines = readUpstreamIndex(content, `${first}index.yaml`);
    try {
      return await ChartDescriptions.read(lines, (version) => this.#describe(version));
    } catch (error) {
      throw upstreamFault(error);
    }
  }

  /**
   * Whether a provenance is good is for clients to find out, who have the keys; but a login page is none, and no chart. An
   * index need not say the digest of a chart.
   */
  async verify(artifact: ArtifactResource, content: Content): Promise<void> {
    if (artifact.class === 'provenance') {
      const start = Buffer.from(await content.bytes(LARGEST_PROVENANCE)).subarray(0, SIGNED_MESSAGE.length);
      if (start.toString() === SIGNED_MESSAGE) return;
      throw new EntrepotError('integrity', `${artifact.key}: expected a clear-signed PGP message`);
    }
    for await (const piece of content.stream()) {
      if (GZIP.equals(piece.subarray(0, GZIP.length))) return;
      break;
    }
    throw new EntrepotError('integrity', `${artifact.key}: expected an archive that is compressed by gzip`);
  }

  #describe({ locations, entry }: UpstreamVersion): ArtifactDescription {
    const { name, version, digest, created, deprecated } = entry;
    const [location, ...others] = locations.map(printLocation).flatMap((url) => this.#everywhere(url));
    const publishedAt = created === undefined ? undefined : Date.parse(created);
    return {
      integrity: digest === undefined ? [] : [{ algorithm: 'sha256', hex: digest }],
      location,
      mirrors: others.filter((url) => !url.startsWith('oci:')),
      coordinates: { ecosystem: 'helm', name, version },
      publishedAt,
      deprecated,
    };
  }

  /** A URL, and the same place at the other upstreams when it is below the first one. */
  #everywhere(url: string): string[] {
    const [first = '', ...others] = this.#upstreams;
    return url.startsWith(first) ? [url, ...others.map((base) => base + url.slice(first.length))] : [url];
  }

  async *rewrite(document: DocumentResource, content: Content, context: RewriteContext): AsyncGenerator<Uint8Array> {
    const { descriptions } = context;
    const charts = descriptions instanceof ChartDescriptions ? descriptions : await this.describe(document, content);
    const joiner = new IndexJoiner(this.#isYaml ? YAML_INDEX : JSON_INDEX);
    let newest: string | undefined;
    for await (const { name, versions } of charts.charts()) {
      // An index may list a chart under another name than its own: then the rules of both hold.
      const admitted = versions.filter(({ entry, path }) =>
        [...new Set([entry.name, name])].every((one) =>
          context.admits({ ecosystem: 'helm', name: one, version: entry.version }, charts.get(path)),
        ),
      );
      if (admitted.length === 0) continue;
      const entries = admitted.map(({ entry }) => entry);
      for (const { created } of entries) newest = laterOf(newest, created);
      yield* joiner.chart(name, [this.#isYaml ? yamlFragment(entries) : jsonFragment(entries)]);
    }
    yield joiner.close({ generated: newest ?? charts.generated });
  }

  renderError = renderError;
}

/**
 * What an index says of its charts, by key, and the index itself, compressed: what is read once need not be parsed again to
 * be rewritten. Provenances are promised nothing, and are beside their charts.
 */
class ChartDescriptions extends Map<string, ArtifactDescription> {
  readonly #batches: Buffer[] = [];
  /** When the index was made, as it says. */
  generated: string | undefined;

  /** @param lines as `readUpstreamIndex` gives them */
  static async read(
    lines: AsyncGenerator<Uint8Array, IndexSummary>,
    describe: (version: UpstreamVersion) => ArtifactDescription,
  ): Promise<ChartDescriptions> {
    const made = new ChartDescriptions();
    let batch: Uint8Array[] = [];
    let size = 0;
    const close = async (): Promise<void> => {
      if (size > 0) made.#batches.push(await deflate(Buffer.concat(batch), { level: 1 }));
      batch = [];
      size = 0;
    };
    try {
      for (;;) {
        const { done, value } = await lines.next();
        if (done === true) {
          await close();
          made.generated = value.generated;
          return made;
        }
        for (const version of parseUpstreamChart(value).versions) made.set(version.path, describe(version));
        batch.push(value, NEWLINE);
        size += value.length + 1;
        if (size >= BATCH) await close();
      }
    } finally {
      // Also where it is left in the middle: the thread that reads is ended with it.
      await lines.return({ charts: 0, versions: 0, skipped: 0 });
    }
  }

  /** The charts of the index, each whole, in its order. */
  async *charts(): AsyncGenerator<{ readonly name: string; readonly versions: readonly UpstreamVersion[] }> {
    let open: { readonly name: string; readonly versions: UpstreamVersion[] } | undefined;
    for (const batch of this.#batches) {
      for (const line of linesOf(await inflate(batch))) {
        const { name, versions } = parseUpstreamChart(line);
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

  override get(key: string): ArtifactDescription | undefined {
    if (!key.endsWith(PROVENANCE)) return super.get(key);
    const chart = super.get(key.slice(0, -PROVENANCE.length));
    // An image has its provenance as a layer, which has no URL.
    if (chart?.location === undefined || chart.location.startsWith('oci:')) return undefined;
    return {
      ...chart,
      integrity: [],
      location: provenanceUrl(chart.location),
      mirrors: chart.mirrors?.map(provenanceUrl),
    };
  }
}

function artifact(segments: readonly string[], file: string, index: DocumentResource): ArtifactResource | undefined {
  const isProvenance = /.\.tgz\.prov$/.test(file);
  if (!isProvenance && !/.\.tgz$/.test(file)) return undefined;
  const kind = isProvenance
    ? {
        class: 'provenance',
        mediaType: PROVENANCE_TYPE,
        accept: FILE_ACCEPT,
        maxBytes: LARGEST_PROVENANCE,
        sidecar: true,
      }
    : { class: 'chart', mediaType: CHART_TYPE, accept: `${IMAGE_CHART_TYPE}, ${FILE_ACCEPT}` };
  return {
    kind: 'artifact',
    key: segments.join('/'),
    filename: file,
    upstreamPath: relativeUrl(segments),
    describedBy: index,
    ...kind,
  };
}

function laterOf(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Date.parse(other) > Date.parse(one) ? other : one;
}

function printLocation(location: ChartLocation): string {
  if (location.kind === 'http') return location.url;
  const { registry, repository, reference } = location;
  return `oci://${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`;
}

function* linesOf(batch: Buffer): Generator<Buffer> {
  let start = 0;
  for (let end = batch.indexOf(10); end !== -1; end = batch.indexOf(10, start)) {
    yield batch.subarray(start, end);
    start = end + 1;
  }
}
