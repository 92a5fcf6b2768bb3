/** Media types that browsers show, play or save, and never run. What is not among them may be a page. */
const INERT: ReadonlySet<string> = new Set([
  'application/gzip',
  'application/java-archive',
  'application/json',
  'application/octet-stream',
  'application/pgp-keys',
  'application/pgp-signature',
  'application/vnd.debian.binary-package',
  'application/wasm',
  'application/x-bzip2',
  'application/x-debian-package',
  'application/x-gzip',
  'application/x-rpm',
  'application/x-tar',
  'application/x-tgz',
  'application/x-xz',
  'application/x-yaml',
  'application/yaml',
  'application/zip',
  'application/zstd',
  'image/gif',
  'image/jpeg',
  'image/png',
  'image/webp',
  'text/css',
  'text/csv',
  'text/markdown',
  'text/plain',
  'text/yaml',
]);
/** Endings of types of their own kind that say what they are written in (RFC 6838 §4.2.8), and do so of nothing that runs. */
const INERT_SUFFIX = /^application\/[\w!#$&.+^-]+\+(?:gzip|json|yaml|zip|zstd)$/;
/** A media type with its parameters, and nothing else (RFC 9110 §8.3.1). Browsers make more of what is not one than a server can guess. */
const WELL_FORMED =
  /^([\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+)(?:[ \t]?;[ \t]?[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\,]*"))*$/;
const LONGEST = 1024;

const SANDBOX = { 'Content-Security-Policy': 'sandbox' };
const NO_HEADERS = {};

/** The headers that keep a page that others wrote from acting in the name of this server. */
export function sandboxFor(mediaType: string): Readonly<Record<string, string>> {
  if (mediaType.length > LONGEST) return SANDBOX;
  const type = WELL_FORMED.exec(mediaType)?.[1]?.toLowerCase();
  return type !== undefined && (INERT.has(type) || INERT_SUFFIX.test(type)) ? NO_HEADERS : SANDBOX;
}
