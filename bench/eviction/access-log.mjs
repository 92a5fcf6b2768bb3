/** Accesses to what a server keeps, from its access log. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

/** Answers from what is kept or has been kept with them. */
const OUTCOMES = new Set(['hit', 'revalidated', 'miss', 'stale']);
const STATUSES = new Set([200, 206, 304]);

/**
 * Reads the lines of access logs in their order; files whose name ends in `.gz` are unpacked.
 * @param {readonly string[]} files
 */
export async function* linesOf(files) {
  for (const file of files) {
    const bytes = createReadStream(file);
    const input = file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes;
    yield* createInterface({ input, crlfDelay: Infinity });
  }
}

/** The record of a request for something kept; `undefined` for any other line. */
export function recordOf(line) {
  if (!line.startsWith('{')) return undefined;
  const record = JSON.parse(line);
  if (record.msg !== 'request' || record.repository === undefined) return undefined;
  return OUTCOMES.has(record.outcome) && STATUSES.has(record.status) ? record : undefined;
}

/**
 * The accesses of records. Without an entry, an object is a path, and its size is the most that was sent of it; what was never sent whole is
 * left out.
 * @param {readonly object[]} records
 * @param {(record: object) => { digest: string, size: number } | undefined} entryOf what the server has for a record
 */
export function accessesOf(records, entryOf) {
  const sent = new Map();
  for (const { path, status, bytes, aborted } of records) {
    if (status === 200 && bytes > 0 && !aborted) sent.set(path, Math.max(bytes, sent.get(path) ?? 0));
  }
  return records.flatMap((record) => {
    const entry = entryOf(record);
    const size = entry?.size ?? sent.get(record.path);
    if (size === undefined) return [];
    return [{ object: entry?.digest ?? record.path, kind: record.resource, size }];
  });
}

/** The keys that the entry of a record may have: the path below the mount, or the class and a part of the path. */
export function keysOf({ path, resource }) {
  const segments = path.split('/').filter(Boolean).map(decodeURIComponent).slice(1);
  const rest = segments.join('/');
  return [rest, `${resource}/${rest}`, `${resource}/${segments.slice(1).join('/')}`];
}
