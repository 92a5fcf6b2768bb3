import type { Content } from '@entrepot/core';
import { eachOf, isRecord, readJsonObject, SKIP } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { readFile, type PageFile } from './page-file.js';
import { minorOf, type PageHead } from './page-head.js';
import { normalise } from './project-name.js';
import type { ProjectPage } from './project-page.js';

/** More than any project has. */
const VERSION_LIMIT = 100_000;

interface Members {
  meta?: unknown;
  name?: unknown;
  'project-status'?: unknown;
  versions?: string[];
}

/** Reads a project page in JSON (PEP 691). Unknown members, and those that begin with `_`, are passed over. @throws PageFormatError, JsonFormatError */
export async function readJsonPage(content: Content, page: ProjectPage): Promise<PageHead> {
  const members: Members = {};
  const files = eachOf((value) => page.add(isRecord(value) ? fileOf(page.project, value) : undefined));
  await readJsonObject(content, (key) => {
    if (key === 'files') return files;
    if (key === 'versions') return versionsInto((members.versions ??= []));
    if (key !== 'meta' && key !== 'name' && key !== 'project-status') return SKIP;
    return (value) => void (members[key] = value);
  });
  const { meta, name, versions } = members;
  if (!isRecord(meta)) throw new PageFormatError('it has no "meta": it is no page of the Simple API');
  if (typeof name === 'string' && normalise(name) !== page.project)
    throw new PageFormatError(`it is the page of ${JSON.stringify(name.slice(0, 214))}`);
  return { minor: minorOf(meta['api-version']), status: statusOf(members['project-status']), versions };
}

function versionsInto(versions: string[]) {
  return eachOf((value) => {
    if (typeof value !== 'string') return;
    if (versions.push(value) > VERSION_LIMIT) throw new PageFormatError(`it has more than ${VERSION_LIMIT} versions`);
  });
}

function fileOf(project: string, value: Record<string, unknown>): PageFile | undefined {
  return readFile(project, {
    filename: value['filename'],
    url: value['url'],
    hashes: value['hashes'],
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
function statusOf(value: unknown): PageHead['status'] {
  if (!isRecord(value)) return undefined;
  const status = value['status'] ?? value['state'];
  if (typeof status !== 'string') return undefined;
  return { status, reason: typeof value['reason'] === 'string' ? value['reason'] : undefined };
}
