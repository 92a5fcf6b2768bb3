import type { Content } from '@entrepot/core';
import { eachOf, isRecord, readJsonObject, SKIP } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { readFile, type PageFile } from './page-file.js';
import { minorOf, type PageHead } from './page-head.js';
import { normalise } from './names.js';
import type { ReadFiles } from './project-page.js';

/** More than any project has. */
const VERSION_LIMIT = 100_000;

/** Members that are read whole. */
const READ: ReadonlySet<string> = new Set(['meta', 'name', 'project-status']);

/** Reads a project page in JSON (PEP 691). Unknown members, and those that begin with `_`, are passed over. @throws PageFormatError, JsonFormatError */
export async function readJsonPage(content: Content, page: ReadFiles): Promise<PageHead> {
  const members: { versions?: string[]; [key: string]: unknown } = {};
  const files = eachOf((value) => page.add(isRecord(value) ? fileOf(page.project, value) : undefined));
  await readJsonObject(content, (key) => {
    if (key === 'files') return files;
    if (key === 'versions') return versionsInto((members.versions ??= []));
    return READ.has(key) ? (value) => void (members[key] = value) : SKIP;
  });
  const { meta, name, 'project-status': status, versions } = members;
  if (!isRecord(meta)) throw new PageFormatError('it has no "meta": it is no page of the Simple API');
  if (typeof name === 'string' && normalise(name) !== page.project)
    throw new PageFormatError(`it is the page of ${JSON.stringify(name.slice(0, 214))}`);
  return { minor: minorOf(meta['api-version']), status: statusOf(status), versions };
}

function versionsInto(versions: string[]) {
  return eachOf((value) => {
    if (typeof value !== 'string') return;
    if (versions.push(value) > VERSION_LIMIT) throw new PageFormatError(`it has more than ${VERSION_LIMIT} versions`);
  });
}

function fileOf(project: string, value: Record<string, unknown>): PageFile | undefined {
  const { filename, url, hashes, yanked, size, provenance } = value;
  // PEP 714: the new name wins, whatever it says.
  const coreMetadata = value['core-metadata'] ?? value['dist-info-metadata'];
  const [requiresPython, uploadTime] = [value['requires-python'], value['upload-time']];
  const more = { requiresPython, coreMetadata, uploadTime, signed: value['gpg-sig'] };
  return readFile(project, { filename, url, hashes, yanked, size, provenance, ...more });
}

/** PEP 792 says `.state` in its text and `status` in its example. */
function statusOf(value: unknown): PageHead['status'] {
  if (!isRecord(value)) return undefined;
  const status = value['status'] ?? value['state'];
  if (typeof status !== 'string') return undefined;
  return { status, reason: typeof value['reason'] === 'string' ? value['reason'] : undefined };
}
