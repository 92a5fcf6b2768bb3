import { EntrepotError, type PackageCoordinates } from '@entrepot/core';

/** A path below the mount: one value for rules, keys and the upstream, so that they cannot disagree. */
export interface FilePath {
  /**
   * Decoded, each segment once. Never empty, never with `.`, `..` or control characters. A byte that is not UTF-8 is `\xE9`.
   */
  readonly segments: readonly string[];
  /** Whether it names a directory: it ended in `/`, or is the root. */
  readonly directory: boolean;
  /** The path that rules match: decoded, without a leading slash, with the trailing one. The root is empty. */
  readonly text: string;
  /** The key of the stored bytes, without a query. Different paths have different keys. */
  readonly key: string;
  /** Percent-encoded for the upstream, without a leading slash. */
  readonly upstreamPath: string;
}

/**
 * Characters that no path may hold: control characters, since sum files and headers are made of lines, and `\`, which some
 * servers take for `/`. A `\` that stands for a byte is allowed.
 */
// oxlint-disable-next-line no-control-regex
const REFUSED = /[\u0000-\u001f\u007f]|\\(?!x[89A-F][0-9A-F])/;

/**
 * The path that `segments` name.
 * @throws EntrepotError `bad-request` for a path that an upstream could read as another one than the rules saw.
 */
export function readPath(segments: readonly string[], trailingSlash: boolean): FilePath {
  for (const segment of segments) checkSegment(segment);
  const directory = trailingSlash || segments.length === 0;
  const tail = directory && segments.length > 0 ? '/' : '';
  return {
    segments,
    directory,
    text: segments.join('/') + tail,
    key: segments.length === 0 ? '/' : segments.map(keySegment).join('/') + tail,
    upstreamPath: segments.map(encodeSegment).join('/') + tail,
  };
}

/** A segment of a key back as a name. */
export function nameOfKeySegment(segment: string): string {
  return segment.replace(/%(25|2F|3F)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/**
 * `%`, `/` and `?` are escaped, so that segments and query cannot run into each other, and bytes that are not UTF-8; all else stays
 * readable.
 */
export function keySegment(segment: string): string {
  return segment
    .replace(/[%/?]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/\\x(?=[89A-F][0-9A-F])/g, '%');
}

/**
 * `segment` for a URL path (RFC 3986 §3.3). `+` and `;` are escaped although a path may hold them: object stores read a
 * bare `+` as a space, and servlet containers cut a segment at a bare `;`.
 */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment)
    .replace(/%(?:24|26|2C|3A|3D|40)/g, (code) => decodeURIComponent(code))
    .replace(/%5Cx(?=[89A-F][0-9A-F])/g, '%');
}

function checkSegment(segment: string): void {
  if (REFUSED.test(segment)) {
    throw new EntrepotError('bad-request', 'the path holds a control character or a backslash');
  }
  if (!isWellFormed(segment)) throw new EntrepotError('bad-request', 'the path is not well-formed Unicode');
  // An escaped slash is one more level to many servers: what is refused as a segment is refused behind `%2F` too.
  for (const part of segment.split('/')) {
    if (part === '' || part === '.' || part === '..') {
      throw new EntrepotError('bad-request', 'the path holds an empty, "." or ".." segment');
    }
  }
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Gives the name of a file for policy. A path does not say which part of it is a version. */
export function coordinatesOf({ text }: FilePath): PackageCoordinates {
  return { ecosystem: 'generic', name: text };
}
