import { EntrepotError, type Entry, type HostedChange, type HostedContext, type ReceivedEntry } from '@entrepot/core';
import type { ChartMetadata } from './chart-metadata.js';
import { ChartParts } from './chart-parts.js';
import { chartFileName } from './chart-url.js';
import { imageOf, partAt, partOf, type Blob, type Part } from './image.js';
import { jsonFragment, yamlFragment, type IndexEntry } from './index-fragment.js';
import { KEY } from './keys.js';
import { CHART_TYPE, PROVENANCE_TYPE } from './media-types.js';
import { checkProvenance, type Provenance } from './provenance.js';
import { indexEntry, readVersions, versionsOf, withPrefix, type VersionsAttributes } from './read-versions.js';

const PAGE = 1_000;

/** An archive that was uploaded. */
export interface ReceivedChart {
  readonly kind: 'chart';
  readonly metadata: ChartMetadata;
  readonly part: Part;
}

/** A provenance file that was uploaded. */
export interface ReceivedProvenance {
  readonly kind: 'provenance';
  readonly metadata: Provenance;
  readonly part: Part;
}

/** A file that was uploaded. */
export type ReceivedFile = ReceivedChart | ReceivedProvenance;

/** What the entry of an archive says besides. */
interface ChartAttributes {
  readonly name: string;
  readonly version: string;
  readonly config: Blob;
  /** The keys of its image. */
  readonly image: readonly string[];
}

/** How a repository makes changes. */
export interface ChangeRules {
  /** What URLs of charts begin with. */
  readonly prefix: string;
  /** What somebody is told who uploads what exists; absent: that is replaced. */
  readonly conflict?: string | undefined;
  /** How many versions of a chart are kept. */
  readonly perChartLimit?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** What is kept of one version. */
interface Kept {
  readonly chart: Entry | undefined;
  readonly attributes: ChartAttributes | undefined;
  readonly provenance: Entry | undefined;
}

/**
 * Makes up a change of the charts of one tenant: archives, provenances and images, and the parts of the index that speak of
 * them, all at once. What it costs depends on the charts that change, not on the others.
 */
export class ChartChange {
  readonly #tenant: string;
  readonly #context: HostedContext;
  readonly #rules: ChangeRules;
  readonly #replace = new Map<string, ReceivedEntry>();
  readonly #remove = new Set<string>();
  readonly #expect = new Map<string, Entry | undefined>();

  constructor(tenant: string, context: HostedContext, rules: ChangeRules) {
    this.#tenant = tenant;
    this.#context = context;
    this.#rules = rules;
  }

  /** The change as a whole, without what the client is told. */
  get made(): HostedChange {
    return {
      replace: [...this.#replace.values()],
      remove: [...this.#remove].filter((key) => !this.#replace.has(key)),
      expect: Array.from(this.#expect, ([key, entry]) => ({ key, digest: entry?.digest })),
    };
  }

  /** How many archives and provenances there are more than before. Negative: fewer. */
  get growth(): number {
    const files = [...this.#expect].filter(([key]) => /^(?:chart|provenance)\//.test(key));
    const added = files.filter(([key, entry]) => entry === undefined && this.#replace.has(key));
    const removed = files.filter(
      ([key, entry]) => entry !== undefined && this.#remove.has(key) && !this.#replace.has(key),
    );
    return added.length - removed.length;
  }

  /** Adds what was uploaded. @throws EntrepotError `conflict` for what exists, `bad-request` for what is there twice. @throws ChartError */
  async add(files: readonly ReceivedFile[]): Promise<void> {
    const seen = new Set<string>();
    const added = new Map<string, IndexEntry[]>();
    for (const { kind, metadata } of files) {
      const file = chartFileName(metadata.name, metadata.version);
      if (seen.has(`${kind} ${file}`)) throw new EntrepotError('bad-request', `The ${kind} of ${file} is there twice`);
      seen.add(`${kind} ${file}`);
    }
    for (const file of files) await this.#refuseExisting(file);
    // The provenance of an archive that comes along is looked at with that.
    const charts = files.filter((file) => file.kind === 'chart');
    const provenances = files.filter((file) => file.kind === 'provenance');
    for (const { metadata, part } of charts) {
      const { name, version } = metadata;
      const proof = provenances.find((file) => file.metadata.name === name && file.metadata.version === version);
      if (proof !== undefined) checkProvenance(proof.metadata, metadata, part.digest.slice('sha256:'.length));
      await this.#putVersion(metadata, await this.#kept(name, version), { chart: part, metadata, proof });
      added.set(name, [
        ...(added.get(name) ?? []),
        indexEntry(metadata, { digest: part.digest, fetchedAt: this.#rules.now }),
      ]);
    }
    for (const proof of provenances) {
      const { name, version } = proof.metadata;
      const alone = !charts.some(({ metadata }) => metadata.name === name && metadata.version === version);
      if (alone) await this.#putVersion({ name, version }, await this.#kept(name, version), { proof });
    }
    for (const [name, entries] of added) await this.#addVersions(name, entries);
  }

  /** Removes a version, its provenance and its image. @throws EntrepotError `not-found` */
  async remove(name: string, version: string): Promise<void> {
    const { attributes } = await this.#kept(name, version);
    if (attributes?.name !== name || attributes.version !== version) {
      throw new EntrepotError('not-found', `There is no version ${version} of a chart ${name}`);
    }
    await this.#removeVersion(name, version);
    const parts = await this.#partsOf(name);
    await parts.remove(version);
    await this.#putParts(name, parts);
  }

  /** @throws EntrepotError `conflict` */
  async #refuseExisting({ kind, metadata: { name, version } }: ReceivedFile): Promise<void> {
    const { chart, provenance, attributes } = await this.#kept(name, version);
    if (attributes !== undefined && (attributes.name !== name || attributes.version !== version)) {
      const whose = `${attributes.name} ${attributes.version}`;
      throw new EntrepotError('conflict', `${chartFileName(name, version)} is the archive of the chart ${whose}`);
    }
    const { conflict } = this.#rules;
    if (conflict !== undefined && (kind === 'chart' ? chart : provenance) !== undefined)
      throw new EntrepotError('conflict', conflict);
  }

  /** Puts what is new of a version, and its image as it is then. */
  async #putVersion(
    { name, version }: { readonly name: string; readonly version: string },
    kept: Kept,
    given: {
      readonly chart?: Part;
      readonly metadata?: ChartMetadata;
      readonly proof?: ReceivedProvenance | undefined;
    },
  ): Promise<void> {
    const file = chartFileName(name, version);
    const key = KEY.provenance(this.#tenant, file);
    const coordinates = { ecosystem: 'helm', name, version };
    if (given.proof !== undefined) {
      const { part, metadata } = given.proof;
      const attributes = { digest: `sha256:${metadata.digest}` };
      this.#put({ key, ...sourceOf(part), mediaType: PROVENANCE_TYPE, coordinates, attributes });
    }
    const chart = given.chart ?? (kept.chart && partAt(kept.chart));
    if (chart === undefined) return;
    const provenance = given.proof?.part ?? (kept.provenance && partAt(kept.provenance));
    const proven = given.proof ? `sha256:${given.proof.metadata.digest}` : kept.provenance?.attributes?.['digest'];
    const isProof = proven === chart.digest;
    const config = given.metadata
      ? partOf(Buffer.from(JSON.stringify(given.metadata)))
      : (kept.attributes as ChartAttributes).config;
    const image = imageOf(
      { tenant: this.#tenant, name, version },
      { chart, config, provenance: isProof ? provenance : undefined },
    );
    const { digest, size } = config;
    const attributes = { name, version, config: { digest, size }, image: image.keys } satisfies ChartAttributes;
    const archive = { key: KEY.chart(this.#tenant, file), ...sourceOf(chart), mediaType: CHART_TYPE };
    this.#put({ ...archive, coordinates, attributes });
    for (const entry of image.entries) this.#put(entry);
    for (const old of kept.attributes?.image ?? []) if (!image.keys.includes(old)) this.#remove.add(old);
  }

  async #removeVersion(name: string, version: string): Promise<void> {
    const file = chartFileName(name, version);
    const { attributes } = await this.#kept(name, version);
    const keys = [KEY.chart(this.#tenant, file), KEY.provenance(this.#tenant, file), ...(attributes?.image ?? [])];
    for (const key of keys) this.#remove.add(key);
  }

  /** Adds what is new of a chart; where that is too much, the oldest go. */
  async #addVersions(name: string, added: readonly IndexEntry[]): Promise<void> {
    const parts = await this.#partsOf(name);
    for (const entry of added) await parts.put(entry);
    const { perChartLimit } = this.#rules;
    if (perChartLimit !== undefined) {
      const all = await parts.all();
      // Newest version first, so of those with one time the oldest version goes first.
      const byAge = all
        .filter((entry) => !added.includes(entry))
        .toReversed()
        .sort((one, other) => compareTexts(one.created ?? '', other.created ?? ''));
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
    const found = new Map<number, Entry>();
    const base = await this.#find(first);
    if (base !== undefined) found.set(0, base);
    const prefix = `${first}/`;
    for await (const entry of listed(prefix, this.#context)) found.set(Number(entry.key.slice(prefix.length)), entry);
    const kept = Array.from(found, ([number, entry]) => ({ number, versions: versionsOf(entry).versions }));
    return new ChartParts(kept, async (number) => {
      const entry = found.get(number) as Entry;
      this.#expect.set(entry.key, entry);
      return await readVersions(this.#tenant, entry, this.#context);
    });
  }

  async #putParts(name: string, parts: ChartParts): Promise<void> {
    const { put, remove } = await parts.changes();
    const { prefix } = this.#rules;
    for (const { number, entries } of put) {
      const key = KEY.versions(this.#tenant, name, number);
      // Another replica may have begun a part as well.
      await this.#find(key);
      const current = entries.map((entry) => withPrefix(entry, prefix));
      const yaml = partOf(yamlFragment(current));
      const attributes: VersionsAttributes = {
        name,
        versions: entries.map(({ version }) => version),
        prefix,
        yaml: { digest: yaml.digest, size: yaml.size },
      };
      this.#put({ key, bytes: jsonFragment(current), mediaType: 'application/json', attributes: { ...attributes } });
      const yamlKey = KEY.yaml(this.#tenant, name, number);
      this.#put({ key: yamlKey, bytes: yaml.bytes, mediaType: 'application/yaml' });
    }
    if (remove.length === 0) return;
    for (const number of remove)
      this.#remove.add(KEY.versions(this.#tenant, name, number)).add(KEY.yaml(this.#tenant, name, number));
    this.#put({ key: KEY.versions(this.#tenant, ''), bytes: Buffer.alloc(0), mediaType: 'application/json' });
  }

  async #kept(name: string, version: string): Promise<Kept> {
    const file = chartFileName(name, version);
    const chart = await this.#find(KEY.chart(this.#tenant, file));
    const provenance = await this.#find(KEY.provenance(this.#tenant, file));
    return { chart, provenance, attributes: chart?.attributes as ChartAttributes | undefined };
  }

  /** What is found must still be so when the change is carried out. */
  async #find(key: string): Promise<Entry | undefined> {
    if (!this.#expect.has(key)) this.#expect.set(key, await this.#context.find(key));
    return this.#expect.get(key);
  }

  #put(entry: ReceivedEntry): void {
    this.#replace.set(entry.key, entry);
  }
}

/** Lists all entries whose key begins with `prefix`. */
export async function* listed(prefix: string, { list }: Pick<HostedContext, 'list'>): AsyncGenerator<Entry> {
  for (let after: string | undefined; ;) {
    const page = await list({ prefix, after, limit: PAGE });
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.key;
  }
}

function sourceOf({ bytes, sameAs }: Part): Pick<ReceivedEntry, 'bytes' | 'sameAs'> {
  return { bytes, sameAs };
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
