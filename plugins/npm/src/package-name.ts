/** The media type of abbreviated packuments. pnpm normalises a packument again when it is not exactly this. */
export const ABBREVIATED_TYPE = 'application/vnd.npm.install-v1+json';
/** The longest name that is taken. npm's own limit of 214 does not hold for the oldest packages; some are a little longer. */
const NAME_LIMIT = 512;
/** Characters that `encodeURIComponent` leaves as they are: npm's "URL-friendly" rule. */
const PART = /^[A-Za-z0-9!~*'()._-]+$/;
const RESERVED = new Set(['node_modules', 'favicon.ico', '-']);

/**
 * Whether `name` can be a package: `lodash`, `@babel/core`. Names are case-sensitive; `JSONStream` and `jsonstream` are two packages.
 * Source: validate-npm-package-name, the rules for old packages of any of its releases.
 */
export function isPackageName(name: string): boolean {
  if (name.length > NAME_LIMIT) return false;
  if (!name.startsWith('@')) return PART.test(name) && !/^[._]/.test(name) && !RESERVED.has(name.toLowerCase());
  const [scope = '', unscopedName = '', ...others] = name.slice(1).split('/');
  return others.length === 0 && [scope, unscopedName].every((part) => PART.test(part) && !/^\.{1,2}$/.test(part));
}

/** The scope of `name` with its `@`; `undefined` when it has none. */
export function scopeOf(name: string): string | undefined {
  return name.startsWith('@') ? name.slice(0, name.indexOf('/')) : undefined;
}

/** `name` without its scope. */
export function unscoped(name: string): string {
  return name.slice(name.indexOf('/') + 1);
}

/** `name` as one path segment, spelled as npm spells it: `@babel%2fcore`. */
export function escapedName(name: string): string {
  return name.replace('/', '%2f');
}

/** The file name under which this proxy serves the tarball of a version. */
export function tarballFile(name: string, version: string): string {
  return `${unscoped(name)}-${version}.tgz`;
}

/** The key of a tarball. Injective: a name holds no `/-/`. */
export function tarballKey(name: string, file: string): string {
  return `tarball/${name}/-/${file}`;
}

/** The key of the attestations of a version. */
export function attestationsKey(name: string, version: string): string {
  return `attestations/${name}@${version}`;
}

/** The path of a tarball below a registry, percent-encoded, the `/` of a scope left as it is. */
export function tarballPath(name: string, file: string): string {
  return `${name}/-/${encodeSegment(file)}`;
}

/** `text` as a path segment; `+` and `@` stay, as npm's own URLs have them. Lone surrogates become U+FFFD. */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
    .replaceAll('%2B', '+')
    .replaceAll('%40', '@');
}
