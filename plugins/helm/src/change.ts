import { EntrepotError, type Entry, type HostedChange, type HostedContext, type ReceivedEntry } from '@entrepot/core';
import type { ChartMetadata } from './chart-metadata.js';
import { chartFileName, relativeUrl } from './chart-url.js';
import { imageOf, partAt, partOf, type Blob, type Part } from './image.js';
import { jsonFragment, yamlFragment, type IndexEntry } from './index-fragment.js';
import { KEY } from './keys.js';
import { checkProvenance, type Provenance } from './provenance.js';

/** Media types as ChartMuseum serves them. */
export const CHART_TYPE = 'application/x-tar';
export const PROVENANCE_TYPE = 'application/pgp-signature';

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

/** What the entry of a chart's versions says besides. */
export interface VersionsAttributes {
  readonly name: string;
  readonly versions: readonly string[];
  /** What the URLs in it begin with. */
  readonly prefix: string;
  /** The same as YAML. */
  readonly yaml: Blob;
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
      added.set(name, [...(added.get(name) ?? []), this.#indexEntry(metadata, part)]);
    }
    for (const proof of provenances) {
      const { name, version } = proof.metadata;
      const alone = !charts.some(({ metadata }) => metadata.name === name && metadata.version === version);
      if (alone) await this.#putVersion({ name, version }, await this.#kept(name, version), { proof });
    }
    for (const [name, entries] of added) await this.#changeVersions(name, (kept) => this.#limited(name, entries, kept));
  }

  /** Removes a version, its provenance and its image. @throws EntrepotError `not-found` */
  async remove(name: string, version: string): Promise<void> {
    const { attributes } = await this.#kept(name, version);
    if (attributes?.name !== name || attributes.version !== version) {
      throw new EntrepotError('not-found', `There is no version ${version} of a chart ${name}`);
    }
    await this.#removeVersion(name, version);
    await this.#changeVersions(name, (kept) => kept.filter((entry) => entry.version !== version));
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

  /** `kept` with what is new; where that is too much, the oldest go. */
  async #limited(name: string, added: readonly IndexEntry[], kept: readonly IndexEntry[]): Promise<IndexEntry[]> {
    const isNew = ({ version }: IndexEntry): boolean => added.some((entry) => entry.version === version);
    const others = kept.filter((entry) => !isNew(entry));
    const { perChartLimit = Infinity } = this.#rules;
    const excess = Math.max(0, others.length + added.length - perChartLimit);
    // Newest version first, so of those with one time the oldest version goes first.
    const byAge = others.toReversed().sort((one, other) => compareTexts(one.created ?? '', other.created ?? ''));
    const dropped = new Set(byAge.slice(0, excess));
    for (const { version } of dropped) await this.#removeVersion(name, version);
    return [...others.filter((entry) => !dropped.has(entry)), ...added];
  }

  /** Changes the part of the index that speaks of the chart `name`. */
  async #changeVersions(
    name: string,
    change: (kept: readonly IndexEntry[]) => readonly IndexEntry[] | Promise<readonly IndexEntry[]>,
  ): Promise<void> {
    const key = KEY.versions(this.#tenant, name);
    const yamlKey = KEY.yaml(this.#tenant, name);
    const kept = await this.#find(key);
    const before = kept === undefined ? [] : await readVersions(this.#context.content(kept));
    const entries = await change(before);
    if (entries.length === 0) {
      this.#remove.add(key).add(yamlKey);
      this.#put({ key: KEY.versions(this.#tenant, ''), bytes: Buffer.from('[]'), mediaType: 'application/json' });
      return;
    }
    const { prefix } = this.#rules;
    const current = entries.map((entry) => withPrefix(entry, prefix));
    const yaml = partOf(yamlFragment(name, current));
    const attributes: VersionsAttributes = {
      name,
      versions: entries.map(({ version }) => version),
      prefix,
      yaml: { digest: yaml.digest, size: yaml.size },
    };
    this.#put({ key, bytes: jsonFragment(current), mediaType: 'application/json', attributes: { ...attributes } });
    this.#put({ key: yamlKey, bytes: yaml.bytes, mediaType: 'application/yaml' });
  }

  #indexEntry(metadata: ChartMetadata, { digest }: Part): IndexEntry {
    return {
      ...metadata,
      urls: [relativeUrl(['charts', chartFileName(metadata.name, metadata.version)])],
      created: new Date(this.#rules.now).toISOString(),
      digest: digest.slice('sha256:'.length),
    };
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

/** The versions of a chart, newest first, out of what is kept for indexes. */
export async function readVersions(content: ReturnType<HostedContext['content']>): Promise<IndexEntry[]> {
  return JSON.parse(Buffer.from(await content.bytes(Infinity)).toString()) as IndexEntry[];
}

/** `entry` with a URL that begins with `prefix`. */
export function withPrefix(entry: IndexEntry, prefix: string): IndexEntry {
  return { ...entry, urls: [prefix + relativeUrl(['charts', chartFileName(entry.name, entry.version)])] };
}

function sourceOf({ bytes, sameAs }: Part): Pick<ReceivedEntry, 'bytes' | 'sameAs'> {
  return { bytes, sameAs };
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
