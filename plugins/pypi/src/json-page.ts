import type { Content } from '@entrepot/core';
import { type Reading, WorkTurns } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { readJsonMembers } from './json-members.js';
import { FILE_LIMIT, minorOf } from './page.js';
import { readFile, type PageFile } from './page-file.js';
import { normalise } from './project-name.js';
import type { ProjectPage } from './project-page.js';

/** More than any project has. */
const VERSION_LIMIT = 100_000;
/** A page up to this size is parsed in one go, which holds the event loop for a few milliseconds. Bytes. */
const SMALL_PAGE = 1024 * 1024;

/** Reads a project page in JSON (PEP 691). Unknown members, and those that begin with `_`, are passed over. @throws PageFormatError */
export async function readJsonPage(content: Content, page: ProjectPage): Promise<ProjectPage> {
  const reader = new JsonPageReader(page);
  const whole = content.size > SMALL_PAGE ? undefined : await parseWhole(content);
  if (whole !== undefined) {
    await reader.readWhole(whole);
    return reader.end();
  }
  for await (const members of readJsonMembers(content, (key) => reader.begin(key)))
    for (const { key, value, isElement } of members) reader.read(key, value, isElement);
  return reader.end();
}

/** The object that `content` is; `undefined` where it is none: the reader of members says why, and forgives more. */
async function parseWhole(content: Content): Promise<Record<string, unknown> | undefined> {
  const bytes = await content.bytes(SMALL_PAGE);
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Puts a page together from its members. */
class JsonPageReader {
  readonly #page: ProjectPage;
  #versions: string[] | undefined;
  #meta: Record<string, unknown> | undefined;
  #status: unknown;
  #name: unknown;
  #count = 0;

  constructor(page: ProjectPage) {
    this.#page = page;
  }

  async readWhole(members: Record<string, unknown>): Promise<void> {
    const turns = new WorkTurns();
    for (const [key, value] of Object.entries(members)) {
      const reading = this.begin(key);
      if (reading === 'whole') this.read(key, value, false);
      if (reading !== 'elements' || typeof value !== 'object' || value === null) continue;
      for (const element of Object.values(value)) {
        this.read(key, element, true);
        if (turns.over) await turns.next();
      }
    }
  }

  /** Says what becomes of the member `key`, which comes next. */
  begin(key: string): Reading {
    if (key === 'versions') this.#versions ??= [];
    if (key === 'files' || key === 'versions') return 'elements';
    return key === 'meta' || key === 'name' || key === 'project-status' ? 'whole' : 'skip';
  }

  /** Takes a member of the page, or an element of one. */
  read(key: string, value: unknown, isElement: boolean): void {
    switch (key) {
      case 'files':
        if (isElement) this.#addFile(value);
        break;
      case 'versions':
        if (isElement && typeof value === 'string') this.#addVersion(value);
        break;
      case 'meta':
        if (isRecord(value)) this.#meta = value;
        break;
      case 'name':
        this.#name = value;
        break;
      case 'project-status':
        this.#status = value;
    }
  }

  #addFile(value: unknown): void {
    if (++this.#count > FILE_LIMIT) throw new PageFormatError(`it has more than ${FILE_LIMIT} files`);
    const file = isRecord(value) ? fileOf(this.#page.project, value) : undefined;
    if (file !== undefined) this.#page.add(file);
  }

  #addVersion(version: string): void {
    const versions = (this.#versions ??= []);
    if (versions.length >= VERSION_LIMIT) throw new PageFormatError(`it has more than ${VERSION_LIMIT} versions`);
    versions.push(version);
  }

  /** The page, when all was read. */
  end(): ProjectPage {
    const { project } = this.#page;
    if (this.#meta === undefined) throw new PageFormatError('it has no "meta": it is no page of the Simple API');
    if (typeof this.#name === 'string' && normalise(this.#name) !== project)
      throw new PageFormatError(`it is the page of ${JSON.stringify(this.#name.slice(0, 214))}`);
    return this.#page.settle({
      minor: minorOf(this.#meta['api-version']),
      isHtml: false,
      status: statusOf(this.#status),
      versions: this.#versions,
    });
  }
}

function fileOf(project: string, value: Record<string, unknown>): PageFile | undefined {
  return readFile(project, {
    filename: value['filename'],
    url: value['url'],
    hashes: isRecord(value['hashes']) ? Object.entries(value['hashes']) : [],
    requiresPython: value['requires-python'],
    // PEP 714: the new name wins, whatever it says.
    coreMetadata: value['core-metadata'] ?? value['dist-info-metadata'],
    yanked: value['yanked'],
    size: value['size'],
    uploadTime: value['upload-time'],
    signed: value['gpg-sig'],
    provenance: value['provenance'],
  });
}

/** PEP 792 says `.state` in its text and `status` in its example. */
function statusOf(value: unknown): { status: string; reason: string | undefined } | undefined {
  if (!isRecord(value)) return undefined;
  const status = value['status'] ?? value['state'];
  if (typeof status !== 'string') return undefined;
  return { status, reason: typeof value['reason'] === 'string' ? value['reason'] : undefined };
}

/** Whether `value` is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
