import { EntrepotError, requireMethod, type Clock, type RequestHead, type Resource, type Route } from '@entrepot/core';
import type { SigningKey } from '../../shared/hosted/signing-key.js';
import type { DebOptions } from '../options.js';
import { isArchitecture, isPackageName, isVersion } from './control.js';
import { fileName, KEY, listName } from './keys.js';

/** The public key of a repository, for `Signed-By`. */
export const PUBLIC_KEY = 'archive-key.asc';

const POINTERS: ReadonlySet<string> = new Set(['InRelease', 'Release', 'Release.gpg']);
const LISTS: ReadonlySet<string> = new Set(['Packages', 'Packages.gz']);
/** A segment of a suite, or a component. */
const WORD = /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/;
/** The bound on segments of a suite: `bookworm/updates` has two. */
const MOST_SEGMENTS = 4;

/** Whether a document of a suite is what commits to all others. */
export function isPointer(file: string): boolean {
  return POINTERS.has(file);
}

/** Data of a hosted resource; each has those that its class needs. */
export interface HostedAttributes {
  readonly suite: string;
  readonly component: string;
  /** A package by the name of its file, or a document of a suite by its name below that. */
  readonly file: string;
}

/** Reads the data of a hosted resource. */
export function attributesOf({ attributes }: Resource): HostedAttributes {
  return attributes as unknown as HostedAttributes;
}

/** A repository of Debian packages of our own. */
export class DebHosted {
  readonly name: string;
  readonly options: DebOptions;
  readonly clock: Clock;
  /** Absent: Release files are not signed. */
  readonly signing: SigningKey | undefined;

  constructor(name: string, options: DebOptions, clock: Clock, signing: SigningKey | undefined) {
    this.name = name;
    this.options = options;
    this.clock = clock;
    this.signing = signing;
  }

  /** Names a document of a suite, an index file, a package or a change. */
  route(head: RequestHead): Route | undefined {
    const segments = head.segments.flatMap((segment) => segment.split('/'));
    const [first, ...rest] = segments;
    if (first === 'pool') return routePackage(head, rest);
    requireMethod(head, ['GET']);
    if (head.trailingSlash) return undefined;
    if (first === 'dists') return routeIndex(rest);
    if (first !== PUBLIC_KEY || rest.length > 0 || this.signing === undefined) return undefined;
    return { status: 200, headers: { 'Content-Type': 'application/pgp-keys' }, body: this.signing.publicKey };
  }
}

/** Routes `pool/<suite>/<component>/<file>`: where a package is put, it is found. */
function routePackage(head: RequestHead, segments: readonly string[]): Resource | undefined {
  const method = requireMethod(head, ['GET', 'PUT', 'DELETE']);
  const [component = '', written = ''] = segments.slice(-2);
  const suite = segments.slice(0, -2);
  const file = canonicalFile(written);
  const isPlace = isSuite(suite) && WORD.test(component) && file !== undefined && !head.trailingSlash;
  if (!isPlace && method === 'PUT')
    throw new EntrepotError(
      'bad-request',
      'Expected PUT of a package to pool/<suite>/<component>/<name>_<version>_<architecture>.deb',
    );
  if (!isPlace) return undefined;
  const attributes = { suite: suite.join('/'), component, file };
  const key = KEY.package(attributes);
  return { class: CLASS_OF[method], key, path: '', attributes };
}

const CLASS_OF = { GET: 'deb', PUT: 'upload', DELETE: 'delete' } as const;

/** Reads the name of a file. An epoch, which some tools write as `%3a`, is no part of it. `undefined`: no package has that name. */
function canonicalFile(written: string): string | undefined {
  if (!written.endsWith('.deb')) return undefined;
  const [name = '', given = '', architecture = '', ...more] = written.slice(0, -'.deb'.length).split('_');
  const version = given.replace(/^(\d+)%3a/i, '$1:');
  if (more.length > 0 || !isPackageName(name) || !isVersion(version) || !isArchitecture(architecture)) return undefined;
  return fileName(name, version, architecture);
}

/** Routes what is below `dists`. */
function routeIndex(segments: readonly string[]): Resource | undefined {
  const last = segments.at(-1) ?? '';
  if (isPointer(last)) return document(segments.slice(0, -1), last);
  const isByHash = segments.at(-3) === 'by-hash';
  const [component = '', folder = ''] = segments.slice(0, isByHash ? -3 : -1).slice(-2);
  const suite = segments.slice(0, isByHash ? -5 : -3);
  const architecture = folder.slice('binary-'.length);
  const isPlace = folder.startsWith('binary-') && (architecture === 'all' || isArchitecture(architecture));
  if (!isPlace || !WORD.test(component) || !isSuite(suite)) return undefined;
  const list = listName({ component, architecture });
  if (!isByHash) return LISTS.has(last) ? document(suite, `${list}${last.slice('Packages'.length)}`) : undefined;
  if (segments.at(-2) !== 'SHA256' || !/^[0-9a-f]{64}$/.test(last)) return undefined;
  const name = suite.join('/');
  return { class: 'list', key: KEY.index(name, list, last), path: '', attributes: { suite: name } };
}

/** Names a document of the newest state of a suite. */
function document(segments: readonly string[], file: string): Resource | undefined {
  if (!isSuite(segments)) return undefined;
  const suite = segments.join('/');
  return { class: 'suiteDocument', key: `dists/${suite}/${file}`, path: '', attributes: { suite, file } };
}

function isSuite(segments: readonly string[]): boolean {
  return segments.length > 0 && segments.length <= MOST_SEGMENTS && segments.every((segment) => WORD.test(segment));
}
