import { VersionHistory } from '@entrepot/core';
import type { ArtifactDescription, DatedVersion, Integrity, Parsed, VersionBefore } from '@entrepot/core';
import { PageFormatError } from './errors.js';
import { isWheel } from './names.js';
import {
  coordinatesOf,
  derivedKey,
  fileKey,
  METADATA_SUFFIX,
  provenanceKey,
  readKey,
  SIGNATURE_SUFFIX,
} from './keys.js';
import { instantOf, integrityOf, type PageFile } from './page-file.js';
import type { PageHead } from './page-head.js';

/** More files than any project has; a bound for the memory that one page can take. */
const FILE_LIMIT = 200_000;
/** So many more places of one file are tried. */
const MOST_MIRRORS = 3;
/** Memory that a file of a page takes, about. */
const FILE_BYTES = 1100;

/**
 * A project page that was read once: it describes its files and their sidecars by key, and is rendered. A description is made
 * when it is asked for: a client takes one file of thousands. A signature may be there without being announced (PEP 503), so
 * there is a description for each file but those of which the page says that they have none.
 */
export class ProjectPage implements Parsed {
  readonly project: string;
  /** Whether metadata is read out of wheels where the upstream has none. */
  readonly deriveMetadata: boolean;
  /** By key, in the order of the page. */
  readonly files = new Map<string, PageFile>();
  /** The rest of the page. */
  head: PageHead = { minor: 0 };
  #listed = 0;
  /** More places of what is listed more than once, by its key. */
  readonly #mirrors = new Map<string, string[]>();
  #before: Before | undefined;
  /** Files by the key of their provenance. */
  #attested: ReadonlyMap<string, PageFile> | undefined;

  constructor(project: string, deriveMetadata: boolean) {
    this.project = project;
    this.deriveMetadata = deriveMetadata;
  }

  get weight(): number {
    return FILE_BYTES * this.files.size;
  }

  /** PEP 792: a page of a project in quarantine lists no file. */
  get unlisted(): Parsed['unlisted'] {
    return this.#isQuarantined ? { upstream: 'quarantined' } : undefined;
  }

  get #isQuarantined(): boolean {
    return this.head.status?.status === 'quarantined';
  }

  /** Adds what the page lists. Of a file that is listed twice clients see the first one, and its bytes are in both places. */
  add(file: PageFile | undefined): void {
    if (++this.#listed > FILE_LIMIT) throw new PageFormatError(`it has more than ${FILE_LIMIT} files`);
    if (file === undefined) return;
    const key = fileKey(this.project, file);
    const first = this.files.get(key);
    if (first === undefined) return void this.files.set(key, file);
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

  describe(key: string): ArtifactDescription | undefined {
    const own = this.files.get(key);
    if (own !== undefined) return this.#describe(own, integrityOf(own.hashes), own.url, this.#mirrors.get(key));
    const { kind, file: described } = readKey(key);
    const file = kind === 'provenance' ? this.#byProvenance.get(key) : this.files.get(described);
    if (file === undefined || kind === 'file') return undefined;
    if (kind === 'provenance') return this.#describe(file);
    const { coreMetadata, filename, signed, url } = file;
    if (kind === 'derived') {
      const hasMetadata = this.deriveMetadata && (coreMetadata !== undefined || isWheel(filename));
      return hasMetadata ? this.#describe(file) : undefined;
    }
    if (kind === 'signature') {
      if (signed === false || this.#isQuarantined) return undefined;
      return this.#describe(file, [], withSuffix(url, SIGNATURE_SUFFIX));
    }
    if (coreMetadata === undefined) return undefined;
    const integrity = coreMetadata === true ? [] : integrityOf(coreMetadata);
    return this.#describe(file, integrity, withSuffix(url, METADATA_SUFFIX), this.#mirrors.get(key));
  }

  *descriptions(): Generator<readonly [string, ArtifactDescription], void> {
    for (const file of this.files.keys()) {
      for (const key of [file, `${file}${METADATA_SUFFIX}`, derivedKey(file)]) {
        const description = this.describe(key);
        if (description !== undefined) yield [key, description];
      }
    }
  }

  get #byProvenance(): ReadonlyMap<string, PageFile> {
    this.#attested ??= new Map(Array.from(this.files.values(), (file) => [provenanceKey(this.project, file), file]));
    return this.#attested;
  }

  #describe(
    { version, provenance, uploadTime, yanked }: PageFile,
    integrity: readonly Integrity[] = [],
    location?: string,
    mirrors?: readonly string[],
  ): ArtifactDescription {
    const status = this.head.status?.status;
    this.#before ??= historyOf(this.files.values());
    // A version is attested when one of its files is: of the others, nothing is to be said.
    const before = this.#before(version, provenance !== undefined);
    return {
      coordinates: coordinatesOf(this.project, version),
      publishedAt: instantOf(uploadTime),
      yanked: yanked !== false,
      provenance: provenance === undefined ? 'none' : 'attested',
      integrity,
      ...(this.#isQuarantined ? { upstream: 'quarantined' as const } : { location, mirrors }),
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

/** Gives the versions before `version`, where that is attested as `isAttested` says. `undefined`: there is none. */
type Before = (version: string, isAttested: boolean) => readonly VersionBefore[] | undefined;

/** Tells of each version with a date what was there before it. */
function historyOf(files: Iterable<PageFile>): Before {
  const versions = new Map<string, DatedVersion>();
  for (const { version, uploadTime, provenance } of files) {
    const publishedAt = instantOf(uploadTime);
    if (publishedAt === undefined) continue;
    const known = versions.get(version);
    versions.set(version, {
      version,
      branch: known?.branch ?? branchOf(version),
      publishedAt: Math.min(publishedAt, known?.publishedAt ?? Infinity),
      provenance: provenance !== undefined || known?.provenance === 'attested' ? 'attested' : 'none',
    });
  }
  const history = new VersionHistory(versions.values());
  const told = new Map<string, readonly VersionBefore[]>();
  return (version, isAttested) => {
    const dated = versions.get(version);
    if (dated === undefined || (dated.provenance === 'attested') !== isAttested) return undefined;
    const before = told.get(version) ?? history.before(dated);
    told.set(version, before);
    return before.length > 0 ? before : undefined;
  };
}

/** Finds the prefix that compatible releases share: `2`, `0.3`. */
function branchOf(version: string): string {
  return /^(?:\d{1,16}!)?(0\.\d{1,16}|\d{1,16})(?!\d)/.exec(version)?.[1] ?? '';
}
