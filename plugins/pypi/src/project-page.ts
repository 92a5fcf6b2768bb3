import {
  VersionHistory,
  type ArtifactDescription,
  type DatedVersion,
  type Descriptions,
  type VersionBefore,
} from '@entrepot/core';
import { isWheel } from './file-name.js';
import { instantOf } from './instant.js';
import {
  DERIVED_PREFIX,
  derivedMetadataKey,
  FILE_PREFIX,
  fileKey,
  METADATA_SUFFIX,
  PROVENANCE_PREFIX,
  provenanceKey,
  SIGNATURE_SUFFIX,
} from './keys.js';
import { integrityOf, type Hashes, type PageFile } from './page-file.js';
import type { PageHead } from './page.js';

/** So many more places of one file are tried. */
const MOST_MIRRORS = 3;

/** What a file, or a sidecar of it, says besides the facts that it shares with the others. */
type Place = Pick<ArtifactDescription, 'integrity' | 'location' | 'mirrors'>;

/**
 * A project page that was read once: it describes its files and their sidecars by key, and is rendered. A description is made
 * when it is asked for: a client takes one file of thousands. A signature may be there without being announced (PEP 503), so
 * there is an answer for each file but those of which the page says that they have none.
 */
export class ProjectPage implements Descriptions {
  readonly project: string;
  readonly #deriveMetadata: boolean;
  readonly #files = new Map<string, PageFile>();
  /** More places of what is listed more than once, by its key. */
  readonly #mirrors = new Map<string, string[]>();
  #head: PageHead | undefined;
  #size = 0;
  #history: History | undefined;
  /** Files by the key of their provenance. */
  #attested: Map<string, PageFile> | undefined;

  /** @param deriveMetadata whether metadata is read out of wheels where the upstream has none */
  constructor(project: string, deriveMetadata = false) {
    this.project = project;
    this.#deriveMetadata = deriveMetadata;
  }

  /** The files by key, in the order of the page. */
  get files(): ReadonlyMap<string, PageFile> {
    return this.#files;
  }

  /** What the page says besides its files. */
  get head(): PageHead {
    return this.#head as PageHead;
  }

  /** Ends the reading of the page. */
  settle(head: PageHead): this {
    this.#head = head;
    return this;
  }

  /** Adds a file. Of one that is listed twice clients see the first one, and its bytes are in both places. */
  add(file: PageFile): void {
    const key = fileKey(this.project, file);
    const first = this.#files.get(key);
    if (first === undefined) {
      this.#files.set(key, file);
      this.#size += 1 + Number(file.coreMetadata !== undefined) + Number(this.#derives(file));
      return;
    }
    this.#addMirror(key, first.url, file.url);
    if (first.coreMetadata === undefined || file.coreMetadata === undefined) return;
    const [location, mirror] = [withSuffix(first.url, METADATA_SUFFIX), withSuffix(file.url, METADATA_SUFFIX)];
    this.#addMirror(`${key}${METADATA_SUFFIX}`, location, mirror);
  }

  #addMirror(key: string, location: string, url: string): void {
    const mirrors = this.#mirrors.get(key) ?? [];
    if (location === url || mirrors.includes(url) || mirrors.length >= MOST_MIRRORS) return;
    this.#mirrors.set(key, [...mirrors, url]);
  }

  get size(): number {
    return this.#size;
  }

  /** PEP 792: a page of a project in quarantine lists no file. */
  get unlisted(): Descriptions['unlisted'] {
    return this.#isQuarantined ? { upstream: 'quarantined' } : undefined;
  }

  get #isQuarantined(): boolean {
    return this.head.status?.status === 'quarantined';
  }

  get(key: string): ArtifactDescription | undefined {
    const file = this.#files.get(key);
    if (file !== undefined) return this.#file(key, file);
    if (key.startsWith(DERIVED_PREFIX)) {
      const wheel = this.#files.get(FILE_PREFIX + key.slice(DERIVED_PREFIX.length));
      return wheel !== undefined && this.#derives(wheel) ? this.#describe(wheel, { integrity: [] }) : undefined;
    }
    if (key.startsWith(PROVENANCE_PREFIX)) {
      const attested = this.#byProvenance.get(key);
      return attested && this.#describe(attested, { integrity: [] });
    }
    if (key.endsWith(METADATA_SUFFIX)) {
      const described = this.#files.get(key.slice(0, -METADATA_SUFFIX.length));
      return described?.coreMetadata && this.#metadata(key, described, described.coreMetadata);
    }
    if (key.endsWith(SIGNATURE_SUFFIX)) {
      const signed = this.#files.get(key.slice(0, -SIGNATURE_SUFFIX.length));
      return signed === undefined || signed.signed === false || this.#isQuarantined
        ? undefined
        : this.#describe(signed, { integrity: [], location: withSuffix(signed.url, SIGNATURE_SUFFIX) });
    }
    return undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  *entries(): Generator<[string, ArtifactDescription], undefined> {
    for (const [key, file] of this.#files) {
      yield [key, this.#file(key, file)];
      const metadataKey = `${key}${METADATA_SUFFIX}`;
      if (file.coreMetadata !== undefined) yield [metadataKey, this.#metadata(metadataKey, file, file.coreMetadata)];
      if (this.#derives(file)) yield [derivedMetadataKey(this.project, file), this.#describe(file, { integrity: [] })];
    }
    return undefined;
  }

  *keys(): Generator<string, undefined> {
    for (const [key] of this.entries()) yield key;
    return undefined;
  }

  *values(): Generator<ArtifactDescription, undefined> {
    for (const [, description] of this.entries()) yield description;
    return undefined;
  }

  [Symbol.iterator](): Generator<[string, ArtifactDescription], undefined> {
    return this.entries();
  }

  forEach(use: (description: ArtifactDescription, key: string, page: this) => void): void {
    for (const [key, description] of this.entries()) use(description, key, this);
  }

  #derives({ coreMetadata, filename }: PageFile): boolean {
    return this.#deriveMetadata && (coreMetadata !== undefined || isWheel(filename));
  }

  get #byProvenance(): ReadonlyMap<string, PageFile> {
    this.#attested ??= new Map(Array.from(this.#files.values(), (file) => [provenanceKey(this.project, file), file]));
    return this.#attested;
  }

  #file(key: string, file: PageFile): ArtifactDescription {
    const { hashes, url } = file;
    return this.#describe(file, { integrity: integrityOf(hashes), location: url, mirrors: this.#mirrors.get(key) });
  }

  #metadata(key: string, file: PageFile, hashes: Hashes): ArtifactDescription {
    const location = withSuffix(file.url, METADATA_SUFFIX);
    return this.#describe(file, { integrity: integrityOf(hashes), location, mirrors: this.#mirrors.get(key) });
  }

  #describe(file: PageFile, { integrity, ...place }: Place): ArtifactDescription {
    const { version, provenance, uploadTime, yanked } = file;
    const status = this.head.status?.status;
    this.#history ??= new History(this.#files.values());
    // A version is attested when one of its files is: of the others, nothing is to be said.
    const before = this.#history.before(version, provenance !== undefined);
    return {
      coordinates: { ecosystem: 'pypi', name: this.project, version },
      publishedAt: instantOf(uploadTime),
      yanked: yanked !== false,
      provenance: provenance === undefined ? 'none' : 'attested',
      integrity,
      ...(status === 'quarantined' ? { upstream: 'quarantined' as const } : place),
      ...(before !== undefined && { before }),
      ...((status === 'archived' || status === 'deprecated') && { deprecated: true }),
    };
  }
}

/** PEP 658: the suffix goes behind the path; a signed URL keeps its query. */
function withSuffix(url: string, suffix: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url + suffix : url.slice(0, query) + suffix + url.slice(query);
}

/** Tells of each version with a date what was there before it. */
class History {
  readonly #versions = new Map<string, DatedVersion>();
  readonly #history: VersionHistory;
  readonly #told = new Map<string, readonly VersionBefore[]>();

  constructor(files: Iterable<PageFile>) {
    for (const { version, uploadTime, provenance } of files) {
      const publishedAt = instantOf(uploadTime);
      if (publishedAt === undefined) continue;
      const known = this.#versions.get(version);
      this.#versions.set(version, {
        version,
        branch: known?.branch ?? branchOf(version),
        publishedAt: Math.min(publishedAt, known?.publishedAt ?? Infinity),
        provenance: provenance !== undefined || known?.provenance === 'attested' ? 'attested' : 'none',
      });
    }
    this.#history = new VersionHistory(this.#versions.values());
  }

  /** Gives the versions before `version`, where that is attested as `isAttested` says; `undefined` where there is none. */
  before(version: string, isAttested: boolean): readonly VersionBefore[] | undefined {
    const dated = this.#versions.get(version);
    if (dated === undefined || (dated.provenance === 'attested') !== isAttested) return undefined;
    const before = this.#told.get(version) ?? this.#history.before(dated);
    this.#told.set(version, before);
    return before.length > 0 ? before : undefined;
  }
}

/** Finds the prefix that compatible releases share: `2`, `0.3`. */
function branchOf(version: string): string {
  return /^(?:\d{1,16}!)?(0\.\d{1,16}|\d{1,16})(?!\d)/.exec(version)?.[1] ?? '';
}
