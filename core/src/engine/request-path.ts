import { EntrepotError } from '../api/errors.js';
import type { DotSegments } from '../api/protocol.js';

/** A request path that is safe to look at: split, decoded once, without tricks. */
export interface RequestPath {
  readonly segments: readonly string[];
  readonly trailingSlash: boolean;
}

/** NUL, other control characters (a decoded CR LF would split a header) and `\`, which some file systems take for `/`. */
// oxlint-disable-next-line no-control-regex -- these are what it is about
const UNSAFE = /[\u0000-\u001f\u007f\\]/;

/** `rawPath` without empty segments; `undefined` where it has none. */
export function withoutEmptySegments(rawPath: string): string | undefined {
  return rawPath.includes('//') ? rawPath.replace(/\/{2,}/g, '/') : undefined;
}

/**
 * Splits and decodes the raw path of a request. Routing works on this alone: a router's decoded parameters turn
 * `a/%2e%2e/b` into `a/../b`, and cannot tell `@scope%2fname` from `@scope/name`.
 * @param rawPath as it was sent; begins with `/`
 * @param dotSegments what empty and `.` segments mean: an error, or nothing (apt asks for `/./InRelease`)
 * @throws EntrepotError `bad-request` for a path that is not safe
 */
export function parseRequestPath(rawPath: string, dotSegments: DotSegments = 'refuse'): RequestPath {
  const raw = rawPath.split('/');
  raw.shift();
  const trailingSlash = raw.length > 0 && raw.at(-1) === '';
  if (trailingSlash) raw.pop();
  const segments: string[] = [];
  for (const part of raw) {
    const segment = decodeSegment(part);
    if (segment === '' || segment === '.') {
      if (dotSegments === 'collapse') continue;
      throw unsafe('an empty or "." segment');
    }
    if (segment === '..' || (segment.includes('/') && hasDotParts(segment))) throw unsafe('a ".." segment');
    if (UNSAFE.test(segment)) throw unsafe('a control character or a backslash');
    segments.push(segment);
  }
  return { segments, trailingSlash };
}

function decodeSegment(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    throw unsafe('a malformed percent-encoding');
  }
}

/** Whether an encoded slash hides a step that a later join would take. */
function hasDotParts(segment: string): boolean {
  return segment.split('/').some((part) => part === '..' || part === '.' || part === '');
}

function unsafe(what: string): EntrepotError {
  return new EntrepotError('bad-request', `The path holds ${what}; expected plain, once-encoded segments`, {
    code: 'UNSAFE_PATH',
  });
}
