import { EntrepotError, type Entry, type HostedChange, type HostedContext, type ReceivedEntry } from '@entrepot/core';
import { compareText } from '@entrepot/core/formats';
import type { ChartMetadata } from './chart-metadata.js';
import { ChartParts } from './chart-parts.js';
import { chartFileName } from './chart-url.js';
import type { HelmHosted } from './hosted.js';
import { imageOf, partAt, partOf, type Part } from './image.js';
import { jsonFragment, yamlFragment, type IndexEntry } from './index-fragment.js';
import { KEY } from './keys.js';
import { CHART_TYPE, PROVENANCE_TYPE } from './media-types.js';
import { checkProvenance, type Provenance } from './provenance.js';
import { indexEntry, readVersions, versionsOf, withPrefix, type VersionsAttributes } from './read-versions.js';

interface Received<Kind, Metadata> {
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly part: Part;
}

type ReceivedChart = Received<'chart', ChartMetadata>;
type ReceivedProvenance = Received<'provenance', Provenance>;
/** A file that was uploaded: an archive, or its provenance. */
export type ReceivedFile = ReceivedChart | ReceivedProvenance;

/** Hooks that change charts are given this, among other things. */
type ChangeContext = Pick<HostedContext, 'find' | 'list' | 'content'>;

/** Attributes of the entry of an archive. */
export interface ChartAttributes {
  readonly name: string;
  readonly version: string;
  readonly config: Pick<Part, 'digest' | 'size'>;
  /** The keys of its image. */
  readonly image: readonly string[];
}

/**
 * Builds a change of the charts of one tenant: archives, provenances and images, and the parts of the index that list
 * them, all at once. Its cost depends on the charts that change, not on the others.
 */
export class ChartChange {
  readonly #tenant: string;
  readonly #context: ChangeContext;
  readonly #repository: HelmHosted;
  readonly #replace = new Map<string, ReceivedEntry>();
  readonly #remove = new Set<string>();
  readonly #expect = new Map<string, Entry | undefined>();

  constructor(tenant: string, context: ChangeContext, repository: HelmHosted) {
    this.#tenant = tenant;
    this.#context = context;
    this.#repository = repository;
  }

  get made(): HostedChange {
    return {
      replace: [...this.#replace.values()],
      remove: [...this.#remove].filter((key) => !this.#replace.has(key)),
      expect: Array.from(this.#expect, ([key, entry]) => ({ key, digest: entry?.digest })),
    };
  }

  /** Counts the archives and provenances that there are more than before. Negative: fewer. */
  get growth(): number {
    let growth = 0;
    for (const [key, entry] of this.#expect) {
      if (!/^(?:chart|provenance)\//.test(key)) continue;
      if (this.#replace.has(key)) growth += entry === undefined ? 1 : 0;
      else if (this.#remove.has(key)) growth -= entry === undefined ? 0 : 1;
    }
    return growth;
  }

  /**
   * Adds uploaded files.
   * @param conflict the refusal of a file that exists. Absent: it is replaced
   * @throws EntrepotError `conflict` for one that exists, `bad-request` for one that is there twice. @throws ChartError
   */
  async add(files: readonly ReceivedFile[], conflict: string | undefined): Promise<void> {
    const fetchedAt = this.#repository.clock.now();
    const added: IndexEntry[] = [];
    const archives = Map.groupBy(files, ({ metadata: { name, version } }) => chartFileName(name, version));
    for (const [archive, received] of archives) {
      for (const file of received) await this.#refuseExisting(file, conflict);
      const chart = oneOf(received, (file) => file.kind === 'chart', archive);
      const provenance = oneOf(received, (file) => file.kind === 'provenance', archive);
      await this.#putVersion((received[0] as ReceivedFile).metadata, chart, provenance);
      if (chart === undefined) continue;
      const { metadata, part } = chart;
      if (provenance !== undefined) checkProvenance(provenance.metadata, metadata, part.digest.slice('sha256:'.length));
      added.push(indexEntry(metadata, { digest: part.digest, fetchedAt }));
    }
    for (const [name, entries] of Map.groupBy(added, ({ name }) => name)) await this.#addVersions(name, entries);
  }

  /** Removes versions of one chart, their provenances and their images. @throws EntrepotError `not-found` */
  async remove(name: string, versions: readonly string[]): Promise<void> {
    const parts = await this.#partsOf(name);
    for (const version of versions) {
      const { attributes } = await this.#kept(name, version);
      if (attributes?.name !== name || attributes.version !== version)
        throw new EntrepotError('not-found', `There is no version ${version} of a chart ${name}`);
      await this.#removeVersion(name, version);
      await parts.remove(version);
    }
    await this.#putParts(name, parts);
  }

  /** @throws EntrepotError `conflict` */
  async #refuseExisting({ kind, metadata: { name, version } }: ReceivedFile, conflict?: string): Promise<void> {
    const { chart, provenance, attributes } = await this.#kept(name, version);
    if (attributes !== undefined && (attributes.name !== name || attributes.version !== version)) {
      const whose = `${attributes.name} ${attributes.version}`;
      throw new EntrepotError('conflict', `${chartFileName(name, version)} is the archive of the chart ${whose}`);
    }
    if (conflict !== undefined && (kind === 'chart' ? chart : provenance) !== undefined)
      throw new EntrepotError('conflict', conflict);
  }

  /** Puts the files of a version, and its image with them. */
  async #putVersion(
    { name, version }: Pick<ChartMetadata, 'name' | 'version'>,
    archive: ReceivedChart | undefined,
    proof: ReceivedProvenance | undefined,
  ): Promise<void> {
    const file = chartFileName(name, version);
    const coordinates = { ecosystem: 'helm', name, version };
    const kept = await this.#kept(name, version);
    if (proof !== undefined) {
      const key = KEY.provenance(this.#tenant, file);
      const attributes = { digest: `sha256:${proof.metadata.digest}` };
      this.#put({ key, ...sourceOf(proof.part), mediaType: PROVENANCE_TYPE, coordinates, attributes });
    }
    const chart = archive?.part ?? (kept.chart && partAt(kept.chart));
    if (chart === undefined) return;
    const config = archive
      ? partOf(Buffer.from(JSON.stringify(archive.metadata)))
      : (kept.attributes as ChartAttributes).config;
    const provenance = proof?.part ?? (kept.provenance && partAt(kept.provenance));
    const proven = proof ? `sha256:${proof.metadata.digest}` : kept.provenance?.attributes?.['digest'];
    const proofOfIt = proven === chart.digest ? provenance : undefined;
    const image = imageOf({ tenant: this.#tenant, name, version }, chart, config, proofOfIt);
    const { digest, size } = config;
    const attributes = { name, version, config: { digest, size }, image: image.keys } satisfies ChartAttributes;
    const key = KEY.chart(this.#tenant, file);
    this.#put({ key, ...sourceOf(chart), mediaType: CHART_TYPE, coordinates, attributes });
    for (const entry of image.entries) this.#put(entry);
    for (const old of kept.attributes?.image ?? []) if (!image.keys.includes(old)) this.#remove.add(old);
  }

  async #removeVersion(name: string, version: string): Promise<void> {
    const file = chartFileName(name, version);
    const { attributes } = await this.#kept(name, version);
    const keys = [KEY.chart(this.#tenant, file), KEY.provenance(this.#tenant, file), ...(attributes?.image ?? [])];
    for (const key of keys) this.#remove.add(key);
  }

  /** Adds versions of a chart to the index; beyond the limit, the oldest are removed. */
  async #addVersions(name: string, added: readonly IndexEntry[]): Promise<void> {
    const parts = await this.#partsOf(name);
    for (const entry of added) await parts.put(entry);
    const { perChartLimit } = this.#repository.options;
    if (perChartLimit !== undefined) {
      const all = await parts.all();
      // Newest version first, so of those with one time the oldest version goes first.
      const byAge = all
        .filter((entry) => !added.includes(entry))
        .toReversed()
        .sort((one, other) => compareText(one.created ?? '', other.created ?? ''));
      for (const { version } of byAge.slice(0, Math.max(0, all.length - perChartLimit))) {
        await this.#removeVersion(name, version);
        await parts.remove(version);
      }
    }
    await this.#putParts(name, parts);
  }

  /** Reads the parts of the index for the chart `name`. */
  async #partsOf(name: string): Promise<ChartParts> {
    const first = KEY.versions(this.#tenant, name);
    const found = [await this.#find(first), ...(await Array.fromAsync(this.#context.list(`${first}/`)))];
    const kept = found
      .flatMap((entry) => entry ?? [])
      .map((entry) => ({
        number: Number(entry.key.slice(first.length + 1)),
        versions: versionsOf(entry).versions,
        read: async () => {
          this.#expect.set(entry.key, entry);
          return await readVersions(this.#tenant, entry, this.#context);
        },
      }));
    return new ChartParts(kept);
  }

  async #putParts(name: string, parts: ChartParts): Promise<void> {
    const { put, remove } = await parts.changes();
    const prefix = this.#repository.prefix(this.#tenant);
    for (const { number, entries } of put) {
      const key = KEY.versions(this.#tenant, name, number);
      // Another replica may have begun a part as well.
      await this.#find(key);
      const current = entries.map((entry) => withPrefix(entry, prefix));
      const yaml = partOf(yamlFragment(current));
      const attributes = {
        name,
        versions: entries.map(({ version }) => version),
        prefix,
        yaml: { digest: yaml.digest, size: yaml.size },
      } satisfies VersionsAttributes;
      this.#put({ key, bytes: jsonFragment(current), mediaType: 'application/json', attributes });
      const yamlKey = KEY.yaml(this.#tenant, name, number);
      this.#put({ key: yamlKey, bytes: yaml.bytes, mediaType: 'application/yaml' });
    }
    if (remove.length === 0) return;
    for (const number of remove)
      this.#remove.add(KEY.versions(this.#tenant, name, number)).add(KEY.yaml(this.#tenant, name, number));
    this.#put({ key: KEY.versions(this.#tenant, ''), bytes: Buffer.alloc(0), mediaType: 'application/json' });
  }

  /** Finds the entries of one version. */
  async #kept(name: string, version: string) {
    const file = chartFileName(name, version);
    const chart = await this.#find(KEY.chart(this.#tenant, file));
    const provenance = await this.#find(KEY.provenance(this.#tenant, file));
    return { chart, provenance, attributes: chart?.attributes as ChartAttributes | undefined };
  }

  /** Finds an entry, which must still be the same when the change is carried out. */
  async #find(key: string): Promise<Entry | undefined> {
    if (!this.#expect.has(key)) this.#expect.set(key, await this.#context.find(key));
    return this.#expect.get(key);
  }

  #put(entry: ReceivedEntry): void {
    this.#replace.set(entry.key, entry);
  }
}

/** Finds the only file of a kind. @throws EntrepotError `bad-request` for two */
function oneOf<File extends ReceivedFile>(
  files: readonly ReceivedFile[],
  fits: (file: ReceivedFile) => file is File,
  archive: string,
): File | undefined {
  const [found, other] = files.filter(fits);
  if (other !== undefined) throw new EntrepotError('bad-request', `The ${other.kind} of ${archive} is there twice`);
  return found;
}

function sourceOf({ bytes, sameAs }: Part): Pick<ReceivedEntry, 'bytes' | 'sameAs'> {
  return { bytes, sameAs };
}
