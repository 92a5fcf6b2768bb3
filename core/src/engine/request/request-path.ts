import { isUtf8 } from 'node:buffer';
import { EntrepotError } from '../../api/errors.js';
import type { DotSegments, OtherBytes } from '../../api/protocol.js';

/** A request path that is safe to look at: split, decoded once, without tricks. */
export interface RequestPath {
  readonly segments: readonly string[];
  readonly trailingSlash: boolean;
}

/** Rules of a protocol for paths. */
export interface PathRules {
  /** Handling of empty and `.` segments: an error, or left out. */
  readonly dotSegments?: DotSegments | undefined;
  readonly otherBytes?: OtherBytes | undefined;
}

/** NUL, other control characters (a decoded CR LF would split a header) and `\`, which some file systems take for `/`. */
// oxlint-disable-next-line no-control-regex -- these are what it is about
const UNSAFE = /[\u0000-\u001f\u007f\\]/;

/** A character in more bytes than it needs, which some servers take for that character: `%C0%AE` for `.` (RFC 3629 §10). */
const OVERLONG = /[\u{DCC0}\u{DCC1}][\u{DC80}-\u{DCBF}]|\u{DCE0}[\u{DC80}-\u{DC9F}]|\u{DCF0}[\u{DC80}-\u{DC8F}]/u;

/** `rawPath` without empty segments; `undefined` where it has none. */
export function withoutEmptySegments(rawPath: string): string | undefined {
  return rawPath.includes('//') ? rawPath.replace(/\/{2,}/g, '/') : undefined;
}

/**
 * Splits and decodes the raw path of a request. Routing works on this alone: a router's decoded parameters turn
 * `a/%2e%2e/b` into `a/../b`, and cannot tell `@scope%2fname` from `@scope/name`.
 * @param rawPath as it was sent; begins with `/`
 * @throws EntrepotError `bad-request` for a path that is not safe
 */
export function parseRequestPath(rawPath: string, { dotSegments, otherBytes }: PathRules = {}): RequestPath {
  const raw = rawPath.split('/');
  raw.shift();
  const trailingSlash = raw.length > 0 && raw.at(-1) === '';
  if (trailingSlash) raw.pop();
  const segments: string[] = [];
  for (const part of raw) {
    const segment = decodeSegment(part, otherBytes);
    if (segment === '' || segment === '.') {
      if (dotSegments === 'collapse') continue;
      throw unsafe('an empty or "." segment');
    }
    if (segment === '..' || (segment.includes('/') && hasDotParts(segment))) throw unsafe('a ".." segment');
    if (otherBytes === 'escape' && OVERLONG.test(segment)) throw unsafe('an overlong form of UTF-8');
    if (UNSAFE.test(segment)) throw unsafe('a control character or a backslash');
    segments.push(otherBytes === 'escape' && part.includes('%') ? escapeBytes(segment) : segment);
  }
  return { segments, trailingSlash };
}

function decodeSegment(part: string, otherBytes: OtherBytes | undefined): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    if (otherBytes === 'escape' && !/%(?![0-9A-Fa-f]{2})/.test(part)) {
      return part.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => decodeBytes(Buffer.from(run.replaceAll('%', ''), 'hex')));
    }
    throw unsafe('a malformed percent-encoding');
  }
}

/** `bytes` as UTF-8, with half a surrogate pair for each byte that is none: no UTF-8 holds one (RFC 3629 §3). */
function decodeBytes(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] as number;
    const length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const sequence = bytes.subarray(at, at + length);
    const isCharacter = isUtf8(sequence);
    text += isCharacter ? sequence.toString('utf8') : String.fromCharCode(0xdc00 + first);
    at += isCharacter ? length : 1;
  }
  return text;
}

/** Makes what stands for a byte readable, once nothing else in the segment can look like it. */
function escapeBytes(segment: string): string {
  return segment.replace(/[\u{DC80}-\u{DCFF}]/gu, (half) => {
    return `\\x${(half.charCodeAt(0) - 0xdc00).toString(16).toUpperCase()}`;
  });
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
