import { VersionHistory } from '@entrepot/core';
import type { ArtifactDescription, DatedVersion, Integrity, Parsed, VersionBefore } from '@entrepot/core';
import { PageFormatError } from './errors.js';
import { isWheel } from './names.js';
import { coordinatesOf, derivedKey, fileKey, METADATA_SUFFIX, provenanceKey, readKey, type KeyParts } from './keys.js';
import { instantOf, integrityOf, type PageFile } from './page-file.js';
import type { PageHead } from './page-head.js';

/** More files than any project has; a bound for the memory that one page can take. */
const FILE_LIMIT = 200_000;
/** So many more places of one file are tried. */
const MOST_MIRRORS = 3;
/** Memory that a file of a page takes, about. */
const FILE_BYTES = 1100;
/** Memory that a version of the list of a page takes, about. */
const VERSION_BYTES = 40;

/** A file of a page, and what the page says of it by its other lines. */
export interface ListedFile {
  readonly file: PageFile;
  /** More places of it, where it is listed more than once. */
  readonly mirrors?: readonly string[] | undefined;
  /** More places of its metadata. */
  readonly metadataMirrors?: readonly string[] | undefined;
  /** The versions before its own. */
  readonly before?: readonly VersionBefore[] | undefined;
}

/** The files of a page. */
export interface PageFiles {
  readonly weight: number;
  /** Finds a file by its key. */
  get(key: string): ListedFile | undefined;
  /** Finds a file by the key of its provenance. */
  ofProvenance(key: string): ListedFile | undefined;
  /** Yields all of them by key, in the order of the page. */
  all(): Iterable<readonly [key: string, listed: ListedFile]>;
}

/** The files of a page that is being read, or was read into memory. */
export class ReadFiles implements PageFiles {
  readonly project: string;
  readonly #files = new Map<string, PageFile>();
  #listed = 0;
  /** More places of what is listed more than once, by its key. */
  readonly #mirrors = new Map<string, string[]>();
  #before: Before | undefined;
  /** Keys of files by the key of their provenance. */
  #attested: ReadonlyMap<string, string> | undefined;

  constructor(project: string) {
    this.project = project;
  }

  get weight(): number {
    return FILE_BYTES * this.#files.size;
  }

  /** The keys of files by the key of their provenance. */
  get attested(): ReadonlyMap<string, string> {
    this.#attested ??= new Map(Array.from(this.#files, ([key, file]) => [provenanceKey(this.project, file), key]));
    return this.#attested;
  }

  /** Adds what the page lists. Of a file that is listed twice clients see the first one, and its bytes are in both places. */
  add(file: PageFile | undefined): void {
    if (++this.#listed > FILE_LIMIT) throw new PageFormatError(`it has more than ${FILE_LIMIT} files`);
    if (file === undefined) return;
    const key = fileKey(this.project, file);
    const first = this.#files.get(key);
    if (first === undefined) return void this.#files.set(key, file);
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

  get(key: string): ListedFile | undefined {
    const file = this.#files.get(key);
    return file && this.#withOthers(key, file);
  }

  ofProvenance(key: string): ListedFile | undefined {
    return this.get(this.attested.get(key) ?? '');
  }

  *all(): Generator<readonly [string, ListedFile], void> {
    for (const [key, file] of this.#files) yield [key, this.#withOthers(key, file)];
  }

  #withOthers(key: string, file: PageFile): ListedFile {
    this.#before ??= historyOf(this.#files.values());
    return {
      file,
      mirrors: this.#mirrors.get(key),
      metadataMirrors: this.#mirrors.get(`${key}${METADATA_SUFFIX}`),
      // A version is attested when one of its files is: of the others, nothing is to be said.
      before: this.#before(file.version, file.provenance !== undefined),
    };
  }
}

/** The project that a page is of, and whether metadata is read out of wheels where the upstream has none. */
export interface PageOf {
  readonly project: string;
  readonly deriveMetadata: boolean;
}

/**
 * A project page that was read once: it describes its files and their sidecars by key, and is rendered. A description is made
 * when it is asked for: a client takes one file of thousands. A signature may be there without being announced (PEP 503), so
 * there is a description for each file but those of which the page says that they have none.
 */
export class ProjectPage implements Parsed {
  readonly project: string;
  readonly deriveMetadata: boolean;
  readonly files: PageFiles;
  /** The rest of the page. */
  readonly head: PageHead;

  constructor({ project, deriveMetadata }: PageOf, files: PageFiles, head: PageHead) {
    this.project = project;
    this.deriveMetadata = deriveMetadata;
    this.files = files;
    this.head = head;
  }

  get weight(): number {
    return this.files.weight + VERSION_BYTES * (this.head.versions?.length ?? 0);
  }

  /** PEP 792: a page of a project in quarantine lists no file. */
  get unlisted(): Parsed['unlisted'] {
    return this.#isQuarantined ? { upstream: 'quarantined' } : undefined;
  }

  get #isQuarantined(): boolean {
    return this.head.status?.status === 'quarantined';
  }

  describe(key: string): ArtifactDescription | undefined {
    const own = this.files.get(key);
    if (own !== undefined) return this.describeFile(own);
    const parts = readKey(key);
    const listed = parts.kind === 'provenance' ? this.files.ofProvenance(key) : this.files.get(parts.file);
    return listed && this.#describeSidecar(listed, parts);
  }

  *descriptions(): Generator<readonly [string, ArtifactDescription], void> {
    for (const [file, listed] of this.files.all()) {
      yield [file, this.describeFile(listed)];
      const metadata = this.#describeSidecar(listed, { kind: 'metadata' });
      if (metadata !== undefined) yield [`${file}${METADATA_SUFFIX}`, metadata];
      const derived = this.#describeSidecar(listed, { kind: 'derived' });
      if (derived !== undefined) yield [derivedKey(file), derived];
    }
  }

  describeFile(listed: ListedFile): ArtifactDescription {
    const { hashes, url } = listed.file;
    return this.#describe(listed, integrityOf(hashes), url, listed.mirrors);
  }

  #describeSidecar(listed: ListedFile, { kind, suffix }: Omit<KeyParts, 'file'>): ArtifactDescription | undefined {
    const { coreMetadata, filename, signed, url } = listed.file;
    if (kind === 'file') return undefined;
    if (kind === 'provenance') return this.#describe(listed);
    if (kind === 'derived') {
      const hasMetadata = this.deriveMetadata && (coreMetadata !== undefined || isWheel(filename));
      return hasMetadata ? this.#describe(listed) : undefined;
    }
    if (kind === 'signature') {
      // PEP 503: `gpg-sig` is about the OpenPGP signature; of others a page says nothing.
      const isDenied = suffix === '.asc' && signed === false;
      return isDenied || this.#isQuarantined ? undefined : this.#describe(listed, [], withSuffix(url, suffix ?? ''));
    }
    if (coreMetadata === undefined) return undefined;
    const integrity = coreMetadata === true ? [] : integrityOf(coreMetadata);
    return this.#describe(listed, integrity, withSuffix(url, METADATA_SUFFIX), listed.metadataMirrors);
  }

  #describe(
    { file, before }: ListedFile,
    integrity: readonly Integrity[] = [],
    location?: string,
    mirrors?: readonly string[],
  ): ArtifactDescription {
    const { version, provenance, uploadTime, yanked } = file;
    const status = this.head.status?.status;
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
