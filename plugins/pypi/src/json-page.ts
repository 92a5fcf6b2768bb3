import type { Content } from '@entrepot/core';
import { PageFormatError } from './errors.js';
import { readJsonMembers, type Reading } from './json-members.js';
import { readFile, type PageFile } from './page-file.js';
import { normalise } from './project-name.js';
import { FILE_LIMIT, minorOf, type PageExtent, type PagePart } from './page.js';

/** More than any project has. */
const VERSION_LIMIT = 100_000;

/** A project page in JSON (PEP 691). Unknown members, and those that begin with `_`, are passed over. */
export async function* readJsonPage(
  content: Content,
  project: string,
  extent: PageExtent,
): AsyncGenerator<PagePart, void, undefined> {
  const versions: string[] = [];
  let hasVersions = false;
  let meta: Record<string, unknown> | undefined;
  let status: unknown;
  let name: unknown;
  let count = 0;

  function readingOf(key: string): Reading {
    if (key === 'files') return extent === 'head' ? 'skip' : 'elements';
    if (key === 'versions') {
      hasVersions = true;
      return extent === 'files' ? 'skip' : 'elements';
    }
    return key === 'meta' || key === 'name' || key === 'project-status' ? 'whole' : 'skip';
  }

  for await (const members of readJsonMembers(content, readingOf)) {
    const files: PageFile[] = [];
    for (const { key, value, isElement } of members) {
      if (key === 'files' && isElement) {
        if (++count > FILE_LIMIT) throw new PageFormatError(`it has more than ${FILE_LIMIT} files`);
        const file = isRecord(value) ? fileOf(project, value) : undefined;
        if (file !== undefined) files.push(file);
      } else if (key === 'versions' && isElement) {
        if (typeof value !== 'string') continue;
        if (versions.length >= VERSION_LIMIT) throw new PageFormatError(`it has more than ${VERSION_LIMIT} versions`);
        versions.push(value);
      } else if (key === 'meta' && isRecord(value)) meta = value;
      else if (key === 'project-status') status = value;
      else if (key === 'name') name = value;
    }
    yield { files };
  }
  if (meta === undefined) throw new PageFormatError('it has no "meta": it is no page of the Simple API');
  if (project !== '' && typeof name === 'string' && normalise(name) !== project) {
    throw new PageFormatError(`it is the page of ${JSON.stringify(name.slice(0, 214))}`);
  }
  const head = { minor: minorOf(meta['api-version']), isHtml: false, status: statusOf(status) };
  yield { files: [], head: { ...head, versions: hasVersions ? versions : undefined } };
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
