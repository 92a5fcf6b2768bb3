import type { PackageCoordinates } from '@entrepot/core';
import { isCanonicalVersion, parseVersion } from './version.js';

/** The longest module path and version that are taken, in characters. */
const LONGEST_PATH = 1024;
const LONGEST_VERSION = 256;

/** Names that Windows takes for devices, whatever follows their first dot (golang.org/x/mod/module, badWindowsNames). */
const DEVICE = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/i;

/** Names a module, or one version of it, for policy. */
export function coordinatesOf(name: string, version?: string): PackageCoordinates {
  return version === undefined ? { ecosystem: 'golang', name } : { ecosystem: 'golang', name, version };
}

/** Gives the module and the version that a resource is of. */
export function moduleOf({ coordinates }: { readonly coordinates?: PackageCoordinates | undefined }) {
  return { path: coordinates?.name ?? '', version: coordinates?.version ?? '' };
}

/** `undefined` for text that is no escaped path: raw upper case, `!` before anything but a-z, beyond ASCII. */
export function unescapeModulePath(escaped: string): string | undefined {
  const path = unescapeCase(escaped);
  return path !== undefined && isModulePath(path) ? path : undefined;
}

/** As `unescapeModulePath`, for a version or a query of one (a branch, a commit, `v1`). */
export function unescapeVersion(escaped: string): string | undefined {
  const version = unescapeCase(escaped);
  return version !== undefined && isVersionText(version) ? version : undefined;
}

/** Case-encoding: `A` becomes `!a` (Go Modules Reference, "Module proxy"), so that stores that ignore case work. */
export function escapeCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
}

/** `text` case-encoded and percent-encoded for a URL, as `go` itself sends it. */
export function urlPath(text: string): string {
  return escapeCase(text)
    .split('/')
    .map((part) =>
      encodeURIComponent(part)
        .replace(/%(?:2B|40|24|26|2C|3D|3A)/g, decodeURIComponent)
        .replaceAll('!', '%21'),
    )
    .join('/');
}

function unescapeCase(escaped: string): string | undefined {
  if (!/^[!-~]*$/.test(escaped) || /[A-Z]/.test(escaped)) return undefined;
  if (/!(?![a-z])/.test(escaped)) return undefined;
  return escaped.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Whether `path` may be the path of a module that is fetched (golang.org/x/mod/module, CheckPath). */
export function isModulePath(path: string): boolean {
  if (path.length > LONGEST_PATH) return false;
  const elements = path.split('/');
  const [first = ''] = elements;
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(first) || !first.includes('.')) return false;
  return elements.every(isPathElement) && splitPathMajor(path) !== undefined;
}

function isPathElement(element: string): boolean {
  if (!/^[A-Za-z0-9_~-](?:[A-Za-z0-9._~-]*[A-Za-z0-9_~-])?$/.test(element)) return false;
  const short = element.split('.', 1)[0] as string;
  // A tail of `~` and digits is a short name on Windows.
  return !DEVICE.test(short) && !/~[0-9]+$/.test(short);
}

/**
 * A version, or what asks for one: a branch, a commit. One element of a file's path, as for golang.org/x/mod/module,
 * UnescapeVersion; those with `/` never reach a proxy.
 */
function isVersionText(version: string): boolean {
  return version.length <= LONGEST_VERSION && isFileElement(version);
}

/**
 * The major version at the end of a path: `/v2`, `.v1` (gopkg.in), or empty; `undefined` where the path cannot be one
 * (golang.org/x/mod/module, SplitPathVersion).
 */
export function splitPathMajor(path: string): string | undefined {
  if (path.startsWith('gopkg.in/')) return /\.(v(?:0|[1-9][0-9]*)(?:-unstable)?)$/.exec(path)?.[0];
  const tail = /\/v[0-9.]+$/.exec(path)?.[0];
  if (tail === undefined) return '';
  return /^\/v(?:[2-9]|[1-9][0-9]+)$/.test(tail) ? tail : undefined;
}

/**
 * Whether `version` is one version of the module for ever: canonical, and with the major version of its path
 * (golang.org/x/mod/module, Check). `v2.0.0` of a path without `/v2` is a query.
 */
export function isVersionOf(path: string, version: string): boolean {
  const parsed = isCanonicalVersion(version) ? parseVersion(version) : undefined;
  const pathMajor = splitPathMajor(path);
  if (parsed === undefined || pathMajor === undefined) return false;
  const [major] = parsed.numbers;
  if (pathMajor === '') return parsed.build === 'incompatible' || major === '0' || major === '1';
  const wanted = pathMajor.slice(2).replace(/-unstable$/, '');
  // gopkg.in has had pseudo-versions of `.v1` below v0.
  if (pathMajor.startsWith('.') && wanted === '1' && version.startsWith('v0.0.0-')) return true;
  return major === wanted;
}

/** Whether `path` may be a file's inside a module (golang.org/x/mod/module, CheckFilePath). */
export function isFilePath(path: string): boolean {
  return path.split('/').every(isFileElement);
}

function isFileElement(element: string): boolean {
  if (/^\.*$/.test(element) || element.endsWith('.')) return false;
  return /^[-!#$%&()+,.=@[\]^_{}~ A-Za-z0-9\p{L}]+$/u.test(element) && !DEVICE.test(element.split('.', 1)[0] as string);
}
