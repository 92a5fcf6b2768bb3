import { EntrepotError, type ArtifactDescription, type Content, type DocumentBytes } from '@entrepot/core';
import { eachOf, readJsonObject, WorkTurns } from '@entrepot/core/formats';
import type { Parsed, RenderRequest } from '@entrepot/core/plugin';
import { PageFormatError } from './errors.js';
import { instantOf } from './instant.js';
import { isRecord } from './json-page.js';
import { coordinatesOf, fileKey, filePath } from './keys.js';
import { inBatches, Listing } from './listing.js';
import { integrityOf, readFile, type PageFile } from './page-file.js';
import { normalise } from './project-name.js';

type Json = Record<string, unknown>;

/** More files than any project has. */
const FILE_LIMIT = 200_000;

/** A file of the legacy JSON, and its object as the upstream has it. */
interface ListedFile {
  readonly key: string;
  readonly file: PageFile;
  readonly value: Json;
}

/** The legacy JSON of a project or of one release, read once. What it says of files is used for policy only. */
export class ProjectDocument implements Parsed {
  readonly project: string;
  info: Json = {};
  /** The members that nobody has to look into, as JSON. */
  readonly others: string[] = [];
  /** By version. `undefined`: it has no such member. */
  releases: Map<string, ListedFile[]> | undefined;
  readonly urls: ListedFile[] = [];
  /** All that it lists, by key. */
  readonly files = new Map<string, PageFile>();
  readonly weight: number;

  /** @param size of its text, in bytes */
  constructor(project: string, size: number) {
    this.project = project;
    this.weight = 4 * size;
  }

  describe(key: string): ArtifactDescription | undefined {
    const file = this.files.get(key);
    return (
      file && {
        integrity: integrityOf(file.hashes),
        coordinates: coordinatesOf(this.project, file.version),
        publishedAt: instantOf(file.uploadTime),
        yanked: file.yanked !== false,
      }
    );
  }

  *descriptions(): Generator<readonly [string, ArtifactDescription], void> {
    for (const key of this.files.keys()) yield [key, this.describe(key) as ArtifactDescription];
  }
}

/** Reads the legacy JSON of a project or of one release. @throws PageFormatError, JsonFormatError */
export async function parseProject(content: Content, project: string): Promise<ProjectDocument> {
  const document = new ProjectDocument(project, content.size);
  const { urls, others, files } = document;
  const releases = new Map<string, ListedFile[]>();
  let count = 0;
  const into = (list: ListedFile[]) =>
    eachOf((value) => {
      if (++count > FILE_LIMIT) throw new PageFormatError(`it has more than ${FILE_LIMIT} files`);
      const file = isRecord(value) ? fileOf(project, value) : undefined;
      if (file === undefined) return;
      const key = fileKey(project, file);
      list.push({ key, file, value: value as Json });
      files.set(key, file);
    });
  let info: unknown;
  await readJsonObject(content, (key) => {
    if (key === 'urls') return into(urls);
    if (key === 'releases') {
      document.releases = releases;
      return {
        member(version) {
          const list: ListedFile[] = [];
          releases.set(version, list);
          return into(list);
        },
      };
    }
    return (value) => {
      if (value === undefined) throw new PageFormatError(`its "${key.slice(0, 100)}" is too long`);
      if (key === 'info') info = value;
      else others.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
    };
  });
  if (!isRecord(info)) throw new PageFormatError('it has no "info"');
  const { name } = info;
  if (typeof name !== 'string' || normalise(name) !== project) throw new PageFormatError('it is of another project');
  document.info = info;
  return document;
}

function fileOf(project: string, value: Json): PageFile | undefined {
  return readFile(project, {
    filename: value['filename'],
    url: value['url'],
    hashes: isRecord(value['digests']) ? Object.entries(value['digests']) : [],
    requiresPython: value['requires_python'],
    yanked: value['yanked'],
    size: value['size'],
    uploadTime: value['upload_time_iso_8601'] ?? value['upload_time'],
  });
}

/**
 * Renders the legacy JSON with file URLs that lead here and without the files that policy refuses. Where policy refuses the version that
 * the document is about, it becomes about the one that was published last of those that are left.
 * @throws EntrepotError `policy-denied` when nothing is left
 */
export async function renderProject(
  document: ProjectDocument | undefined,
  request: RenderRequest,
): Promise<DocumentBytes> {
  if (document === undefined) throw new EntrepotError('not-found', `${request.resource.key} is not here`);
  const { project, info, files } = document;
  const listing = new Listing(project, request);
  const refused = new Set<string>();
  const turns = new WorkTurns();
  for (const [key, { version }] of files) {
    if (!listing.admits(version, document.describe(key))) refused.add(key);
    await turns.pause();
  }
  const isListed = ({ key }: ListedFile): boolean => !refused.has(key);
  const releases = [...(document.releases ?? [])]
    .filter(([version]) => listing.keeps(version))
    .map(([version, listed]) => [version, listed.filter(isListed)] as const);
  const about = String(info['version'] ?? '');
  const isAbout = about === '' || listing.keeps(about);
  const newest = isAbout ? [] : newestOf(releases);
  if (!isAbout && newest[0] === undefined) {
    const why = request.refusal(coordinatesOf(project, about), document.describe([...refused].at(-1) ?? ''));
    const text = `no version of ${project} that is described here may be used`;
    throw new EntrepotError('policy-denied', why === undefined ? text : `${text}: ${why}`);
  }
  return inBatches(
    printProject(project, request.baseUrl, {
      info: isAbout ? info : infoOf(info, newest[0] as ListedFile),
      others: document.others,
      releases: document.releases && releases,
      urls: isAbout ? document.urls.filter(isListed) : newest,
    }),
  );
}

type Releases = readonly (readonly [version: string, files: readonly ListedFile[]])[];

/** Finds the files of the release that was published last, without those that were yanked. */
function newestOf(releases: Releases): readonly ListedFile[] {
  let newest: readonly ListedFile[] = [];
  let newestAt = -Infinity;
  for (const [, listed] of releases) {
    const left = listed.filter(({ file }) => file.yanked === false);
    const at = Math.max(...left.map(({ file }) => instantOf(file.uploadTime) ?? 0));
    if (at <= newestAt) continue;
    newestAt = at;
    newest = left;
  }
  return newest;
}

/** Moves what the document says of its own version to the one that `file` is of. */
function infoOf(info: Json, { file }: ListedFile): Json {
  const own = { version: file.version, requires_python: file.requiresPython ?? null, requires_dist: null };
  return { ...info, ...own, yanked: false, yanked_reason: null };
}

/** The members of the document that clients see. */
interface Shown {
  readonly info: Json;
  readonly others: readonly string[];
  readonly releases: Releases | undefined;
  readonly urls: readonly ListedFile[];
}

function* printProject(
  project: string,
  baseUrl: string,
  { info, others, releases, urls }: Shown,
): Generator<string, void> {
  const printFile = ({ file, value }: ListedFile): string =>
    JSON.stringify({ ...value, url: `${baseUrl}/${filePath(project, file)}` });
  yield `{"info":${JSON.stringify(info)}`;
  for (const other of others) yield `,${other}`;
  if (releases !== undefined) {
    let separator = ',"releases":{';
    for (const [version, files] of releases) {
      yield `${separator}${JSON.stringify(version)}:[${files.map(printFile).join(',')}]`;
      separator = ',';
    }
    yield releases.length === 0 ? ',"releases":{}' : '}';
  }
  yield `,"urls":[${urls.map(printFile).join(',')}]}`;
}
