import type { ByteRange } from '../../api/blob-store.js';

/**
 * Parses a `Range` header for a representation of `size` bytes (RFC 9110 §14.1.2, §14.2).
 * @returns the one range asked for; `unsatisfiable` for a valid one that lies outside; `undefined` where the header is to
 * be ignored: another unit, malformed, or several ranges (a server may always answer with the whole).
 */
export function parseRange(header: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header.trim());
  if (match === null) return undefined;
  const [first, last] = [match[1] as string, match[2] as string];
  if (first === '') {
    if (last === '') return undefined;
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end };
}

/**
 * Whether `If-Range` lets a range be served (RFC 9110 §13.1.5): a strong tag that is equal, or a date that is the very
 * `Last-Modified`.
 */
export function ifRangeMatches(header: string, etag: string | undefined, lastModified: string | undefined): boolean {
  if (header.startsWith('"')) return header === etag;
  if (header.startsWith('W/')) return false;
  return lastModified !== undefined && header === lastModified;
}

/** Whether an `If-None-Match` list names `etag`, by weak comparison (RFC 9110 §13.1.2). */
export function noneMatch(header: string, etag: string): boolean {
  if (header.trim() === '*') return true;
  const wanted = opaque(etag);
  // The quick way for the one tag that nearly every client sends.
  if (header === wanted) return true;
  for (const tag of header.match(/(?:W\/)?"[^"]*"/g) ?? []) if (opaque(tag) === wanted) return true;
  return false;
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}
