import { EntrepotError } from '@entrepot/core';
import type { ArtifactDescription, Content, DocumentBytes, Parsed, RenderRequest } from '@entrepot/core';
import { eachOf, inBatches, isRecord, readJsonObject, WorkTurns } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { coordinatesOf, fileKey, filePath } from './keys.js';
import { Listing } from './listing.js';
import { instantOf, integrityOf, readFile, type PageFile } from './page-file.js';
import { normalise } from './names.js';

type Json = Record<string, unknown>;

/** More files than any project has. */
const FILE_LIMIT = 200_000;

/** A file of the legacy JSON, and its object as the upstream has it. */
interface ListedFile {
  readonly key: string;
  readonly file: PageFile;
  readonly value: Json;
}

/** The legacy JSON of a project or of one release, read once. Its promises are used for policy only. */
export interface ProjectDocument extends Parsed {
  readonly project: string;
  readonly info: Json;
  /** By version. `undefined`: it has no such member. */
  readonly releases: ReadonlyMap<string, readonly ListedFile[]> | undefined;
  readonly urls: readonly ListedFile[];
  /** All other members, as JSON. */
  readonly others: readonly string[];
  /** All that it lists, by key. */
  readonly files: ReadonlyMap<string, PageFile>;
  describe(key: string): ArtifactDescription | undefined;
}

/** Reads the legacy JSON of a project or of one release. @throws PageFormatError, JsonFormatError */
export async function parseProject(content: Content, project: string): Promise<ProjectDocument> {
  const found: { info?: unknown; releases?: Map<string, ListedFile[]> } = {};
  const urls: ListedFile[] = [];
  const others: string[] = [];
  const files = new Map<string, PageFile>();
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
  await readJsonObject(content, (key) => {
    if (key === 'urls') return into(urls);
    if (key === 'releases') {
      const releases = (found.releases = new Map<string, ListedFile[]>());
      return { member: (version) => into(releases.set(version, []).get(version) as ListedFile[]) };
    }
    return (value) => {
      if (value === undefined) throw new PageFormatError(`its "${key.slice(0, 100)}" is too long`);
      if (key === 'info') found.info = value;
      else others.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
    };
  });
  const { info, releases } = found;
  if (!isRecord(info)) throw new PageFormatError('it has no "info"');
  const { name } = info;
  if (typeof name !== 'string' || normalise(name) !== project) throw new PageFormatError('it is of another project');
  const descriptions = new Map(Array.from(files, ([key, file]) => [key, describeFile(project, file)]));
  return {
    project,
    info,
    releases,
    urls,
    others,
    files,
    // Parsed values take a multiple of their text.
    weight: 4 * content.size,
    describe: (key) => descriptions.get(key),
    descriptions: () => descriptions,
  };
}

function describeFile(project: string, { hashes, version, uploadTime, yanked }: PageFile): ArtifactDescription {
  return {
    integrity: integrityOf(hashes),
    coordinates: coordinatesOf(project, version),
    publishedAt: instantOf(uploadTime),
    yanked: yanked !== false,
  };
}

function fileOf(project: string, value: Json): PageFile | undefined {
  const { filename, url, digests: hashes, requires_python: requiresPython, yanked, size } = value;
  const uploadTime = value['upload_time_iso_8601'] ?? value['upload_time'];
  return readFile(project, { filename, url, hashes, requiresPython, yanked, size, uploadTime });
}

/**
 * Renders the legacy JSON with file URLs that lead here and without the files that policy refuses. Where policy refuses the version that
 * the document is about, it becomes about the one that was published last of those that are left.
 * @throws EntrepotError `policy-denied` when nothing is left
 */
export async function renderProject(document: ProjectDocument, request: RenderRequest): Promise<DocumentBytes> {
  const { project, info, files, urls } = document;
  const listing = new Listing(project, request);
  const refused = new Set<string>();
  const turns = new WorkTurns();
  for (const [key, { version }] of files) {
    if (!listing.admits(version, document.describe(key))) refused.add(key);
    await turns.pause();
  }
  const listed = (all: readonly ListedFile[]): ListedFile[] => all.filter(({ key }) => !refused.has(key));
  const kept = [...(document.releases ?? [])].filter(([version]) => listing.keeps(version));
  const releases = new Map(kept.map(([version, all]) => [version, listed(all)]));
  const shown = { ...document, releases: document.releases && releases };
  const about = String(info['version'] ?? '');
  if (about === '' || listing.keeps(about)) {
    return inBatches(printProject({ ...shown, urls: listed(urls) }, request));
  }
  const newest = newestOf([...releases.values()]);
  if (newest[0] === undefined) {
    const why = request.refusal(coordinatesOf(project, about), document.describe([...refused].at(-1) ?? ''));
    const text = `no version of ${project} that is described here may be used`;
    throw new EntrepotError('policy-denied', why === undefined ? text : `${text}: ${why}`);
  }
  return inBatches(printProject({ ...shown, info: infoOf(info, newest[0].file), urls: newest }, request));
}

/** Finds the files of the release that was published last, without those that were yanked. */
function newestOf(releases: readonly (readonly ListedFile[])[]): readonly ListedFile[] {
  const usable = releases.map((files) => files.filter(({ file }) => file.yanked === false));
  const dated = usable
    .filter((files) => files.length > 0)
    .map((files) => ({ files, at: Math.max(...files.map(({ file }) => instantOf(file.uploadTime) ?? 0)) }));
  return dated.sort((one, other) => other.at - one.at)[0]?.files ?? [];
}

/** Moves `info` to the version of a file. */
function infoOf(info: Json, { version, requiresPython }: PageFile): Json {
  const own = { version, requires_python: requiresPython ?? null, requires_dist: null };
  return { ...info, ...own, yanked: false, yanked_reason: null };
}

function* printProject(document: ProjectDocument, { baseUrl }: RenderRequest): Generator<string, void> {
  const { project, info, others, releases, urls } = document;
  const print = (files: readonly ListedFile[]): string =>
    JSON.stringify(files.map(({ file, value }) => ({ ...value, url: `${baseUrl}/${filePath(project, file)}` })));
  yield `{"info":${JSON.stringify(info)}`;
  for (const other of others) yield `,${other}`;
  if (releases !== undefined) {
    yield ',"releases":{';
    let separator = '';
    for (const [version, files] of releases) {
      yield `${separator}${JSON.stringify(version)}:${print(files)}`;
      separator = ',';
    }
    yield '}';
  }
  yield `,"urls":${print(urls)}}`;
}
