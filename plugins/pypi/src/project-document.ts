import {
  type ArtifactDescription,
  type Content,
  type Descriptions,
  EntrepotError,
  type RewriteContext,
} from '@entrepot/core';
import { type JsonMember, pythonVersionIdentity } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { isRecord } from './json-page.js';
import { readJsonMembers } from './json-members.js';
import { fileKey, filePath } from './keys.js';
import { integrityOf, readFile, type PageFile } from './page-file.js';
import { normalise } from './project-name.js';
import { instantOf } from './instant.js';

type Json = Record<string, unknown>;

/** A file of the legacy JSON, and its object as the upstream has it. */
interface ListedFile {
  readonly file: PageFile;
  readonly value: Json;
}

/**
 * What the legacy JSON of a project says of its files: what policy needs to decide which of them are listed.
 * @throws PageFormatError
 */
export async function describeProject(project: string, content: Content): Promise<Descriptions> {
  const descriptions = new Map<string, ArtifactDescription>();
  let info: unknown;
  for await (const members of readJsonMembers(content, readFilesAndInfo)) {
    for (const member of members) {
      if (member.key === 'info') info = member.value;
      for (const { file } of filesOf(project, member)) {
        descriptions.set(fileKey(project, file), {
          integrity: integrityOf(file.hashes),
          coordinates: { ecosystem: 'pypi', name: project, version: file.version },
          publishedAt: instantOf(file.uploadTime),
          yanked: file.yanked !== false,
        });
      }
    }
  }
  if (!isRecord(info)) throw new PageFormatError('it has no "info"');
  const { name } = info;
  if (typeof name !== 'string' || normalise(name) !== project) throw new PageFormatError('it is of another project');
  return descriptions;
}

/**
 * The legacy JSON of a project or of one release, with file URLs that lead here and without what policy refuses. Where
 * that is the version that the document is about, it becomes about the one that was published last of those that are left.
 * @throws EntrepotError `policy-denied` when nothing is left
 */
export async function* rewriteProject(
  content: Content,
  project: string,
  context: RewriteContext,
): AsyncGenerator<string, void, undefined> {
  const outline = await outlineOf(content, project, context);
  const rewrite = ({ file, value }: ListedFile): Json => ({
    ...value,
    url: `${context.baseUrl}/${filePath(project, file)}`,
  });
  const listed = (member: JsonMember): Json[] =>
    filesOf(project, member)
      .filter(({ file }) => admits(project, file, context))
      .map(rewrite);

  let open = '';
  let separator = '{';
  let hasUrls = false;
  for await (const members of readJsonMembers(content, readAll)) {
    let text = '';
    for (const member of members) {
      const { key, name, value, isElement } = member;
      if (open !== '' && (!isElement || key !== open)) {
        text += open === 'urls' ? ']' : '}';
        open = '';
      }
      if (!isElement) {
        if (key === 'urls') continue;
        const shown = key === 'info' && isRecord(value) ? outline.info(value) : value;
        text += `${separator}${JSON.stringify(key)}:${JSON.stringify(shown)}`;
        separator = ',';
        continue;
      }
      const isUrls = key === 'urls';
      if (isUrls && outline.moved) continue;
      const files = listed(member);
      if (isUrls ? files.length === 0 : !outline.keeps(name)) continue;
      hasUrls ||= isUrls;
      if (open === '') {
        text += `${separator}${JSON.stringify(key)}:${isUrls ? '[' : '{'}`;
        open = key;
      } else text += ',';
      separator = ',';
      text += isUrls ? JSON.stringify(files[0]) : `${JSON.stringify(name)}:${JSON.stringify(files)}`;
    }
    if (text !== '') yield text;
  }
  if (open !== '') yield open === 'urls' ? ']' : '}';
  yield hasUrls ? '}' : `${separator}"urls":${JSON.stringify(outline.urls.map(rewrite))}}`;
}

/** What policy leaves of a document. */
interface Outline {
  /** Whether the version that it is about is refused. */
  readonly moved: boolean;
  /** The files of the version that it is about instead. */
  readonly urls: readonly ListedFile[];
  keeps(version: string): boolean;
  info(info: Json): Json;
}

async function outlineOf(content: Content, project: string, context: RewriteContext): Promise<Outline> {
  const versions = new Map<string, boolean>();
  let about = '';
  let newest: ListedFile[] = [];
  let newestAt = -Infinity;
  let described: ArtifactDescription | undefined;
  for await (const members of readJsonMembers(content, readFilesAndInfo)) {
    for (const member of members) {
      if (member.key === 'info' && isRecord(member.value)) about = String(member.value['version'] ?? '');
      const left = filesOf(project, member).filter(({ file }) => {
        const admitted = admits(project, file, context);
        if (!admitted) described = context.descriptions.get(fileKey(project, file));
        const identity = pythonVersionIdentity(file.version);
        versions.set(identity, admitted || versions.get(identity) === true);
        return admitted && file.yanked === false;
      });
      const at = Math.max(...left.map(({ file }) => instantOf(file.uploadTime) ?? 0));
      if (member.key !== 'releases' || at <= newestAt) continue;
      newestAt = at;
      newest = left;
    }
  }
  const keeps = (version: string): boolean =>
    versions.get(pythonVersionIdentity(version)) ?? context.admits({ ecosystem: 'pypi', name: project, version });
  const moved = about !== '' && !keeps(about);
  if (moved && newest.length === 0) {
    const why = context.refusal({ ecosystem: 'pypi', name: project, version: about }, described);
    const text = `no version of ${project} that is described here may be used`;
    throw new EntrepotError('policy-denied', why === undefined ? text : `${text}: ${why}`);
  }
  const { file } = newest[0] ?? {};
  return {
    moved,
    urls: moved ? newest : [],
    keeps,
    info(info) {
      if (!moved) return info;
      const own = { version: file?.version, requires_python: file?.requiresPython ?? null, requires_dist: null };
      return { ...info, ...own, yanked: false, yanked_reason: null };
    },
  };
}

function admits(project: string, file: PageFile, context: RewriteContext): boolean {
  const description = context.descriptions.get(fileKey(project, file));
  return context.admits({ ecosystem: 'pypi', name: project, version: file.version }, description);
}

/** The files that an element of `urls` or `releases` is. */
function filesOf(project: string, { key, value, isElement }: JsonMember): ListedFile[] {
  if (!isElement || (key !== 'urls' && key !== 'releases')) return [];
  const found: ListedFile[] = [];
  for (const each of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
    const file = isRecord(each) ? fileOf(project, each) : undefined;
    if (file !== undefined) found.push({ file, value: each as Json });
  }
  return found;
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

const ELEMENTS: ReadonlySet<string> = new Set(['urls', 'releases']);

function readFilesAndInfo(key: string): 'elements' | 'whole' | 'skip' {
  return ELEMENTS.has(key) ? 'elements' : key === 'info' ? 'whole' : 'skip';
}

function readAll(key: string): 'elements' | 'whole' {
  return ELEMENTS.has(key) ? 'elements' : 'whole';
}
