import { normalisePythonVersion } from '@entrepot/core/formats';
import { createHash } from 'node:crypto';

/** A name as PEP 508 spells it; 214 characters are more than the public index has ever had. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,212}[A-Za-z0-9])?$/;

/** Whether `text` can be the name of a project, normalised or not. */
export function isProjectName(text: string): boolean {
  return NAME.test(text);
}

/** The one spelling under which a project is kept (PEP 503, "Normalized Names"). */
export function normalise(name: string): string {
  return name.replace(/[-_.]+/g, '-').toLowerCase();
}

/** Extensions of files: those that pip installs, and those that the index once took for upload. */
const EXTENSION = /\.(?:whl|tar\.(?:gz|bz2|xz|lzma|z)|tgz|tbz|txz|tlz|tar|zip|egg|exe|msi|rpm|deb|dmg)$/i;
/** The platform that old binary formats put behind the version. */
const PLATFORM = /\.(?:win32|win-amd64|win-arm64|linux-[a-z0-9_]+|macosx-[\d.]+-[a-z0-9_]+)(?:-py\d[\d.]*)?$/i;
const LONGEST = 255;

/** Whether `name` is the name of a distribution file and can stand in a path. */
export function isFileName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return name.length <= LONGEST && !/[/\\\u0000-\u001f\u007f]/.test(name) && EXTENSION.test(name);
}

/** Whether `name` is that of a wheel: only these have metadata that is sure to be right (PEP 658). */
export function isWheel(name: string): boolean {
  return /\.whl$/i.test(name);
}

/**
 * The version that the file `name` of `project` has, normalised; `undefined` when it is not a file of that project.
 * Sources: PEP 427 for wheels, PEP 625 and the older spellings for sdists; read from the left, as pip does.
 */
export function versionOf(name: string, project: string): string | undefined {
  const stem = name.replace(EXTENSION, '');
  for (let dash = stem.indexOf('-'); dash > 0; dash = stem.indexOf('-', dash + 1)) {
    if (normalise(stem.slice(0, dash)) !== project) continue;
    const rest = stem.slice(dash + 1);
    const version = /\.(?:whl|egg)$/i.test(name) ? rest.split('-', 1)[0] : rest.replace(PLATFORM, '');
    if (version !== undefined && version !== '') return normalisePythonVersion(version.replaceAll('_', '-'));
  }
  return undefined;
}

/** Hash algorithms that a tag is made from, the usual one first. */
const TAG_ALGORITHMS = ['sha256', 'sha512', 'sha384', 'sha1', 'md5'] as const;
const TAG_LENGTH = 16;

/** A segment of file URLs as `tagOf` makes it. */
export function isTag(text: string): boolean {
  return /^(?:u-)?[0-9a-f]{16}$/.test(text);
}

/**
 * Tells files of one name apart: two upstreams publish different bytes under it, and an upstream replaces a file. From
 * the hash that the page promises; from the URL where it promises none.
 * @param hashes by algorithm, in lower-case hex
 * @param url as the page has it; its query may be a signature that changes
 */
export function tagOf(hashes: Readonly<Record<string, string>>, url: string): string {
  const hex = TAG_ALGORITHMS.map((algorithm) => hashes[algorithm]).find((one) => one !== undefined);
  if (hex !== undefined) return hex.slice(0, TAG_LENGTH);
  const place = url.split(/[?#]/, 1)[0] as string;
  return `u-${createHash('sha256').update(place).digest('hex').slice(0, TAG_LENGTH)}`;
}
