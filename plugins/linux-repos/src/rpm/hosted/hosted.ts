import { EntrepotError, requireMethod, type Clock, type RequestHead, type Resource, type Route } from '@entrepot/core';
import type { SigningKey } from '../../shared/hosted/signing-key.js';
import type { RpmOptions } from '../options.js';
import { isAddition, type AdditionName } from './additions.js';
import { documentOfName, isFileName, KEY } from './keys.js';

export const REPODATA = 'repodata';
export const PACKAGES = 'Packages';
export const REPOMD = 'repomd.xml';
const SIGNATURE = `${REPOMD}.asc`;
/** The public key of a repository, where zypper looks for it. */
export const PUBLIC_KEY = `${REPOMD}.key`;
/** A segment of a tree. */
const WORD = /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/;
/** The bound on segments of a tree: `el9/x86_64` has two. */
const MOST_SEGMENTS = 4;

/** Data of a hosted resource. */
export interface HostedAttributes {
  /** Empty: the repository itself. */
  readonly tree: string;
  /** The name of a package's file, or of a document. */
  readonly file: string;
}

/** Reads the data of a hosted resource. */
export function attributesOf({ attributes }: Resource): HostedAttributes {
  return attributes as unknown as HostedAttributes;
}

/** A repository of RPM packages of our own. */
export class RpmHosted {
  readonly options: RpmOptions;
  readonly clock: Clock;
  /** Absent: repomd.xml is not signed. */
  readonly signing: SigningKey | undefined;

  constructor(options: RpmOptions, clock: Clock, signing: SigningKey | undefined) {
    this.options = options;
    this.clock = clock;
    this.signing = signing;
  }

  /** Names a document of a tree, a list, a package or a change. */
  route(head: RequestHead): Route | undefined {
    const segments = head.segments.flatMap((segment) => segment.split('/'));
    const [folder = '', file = ''] = segments.slice(-2);
    const tree = segments.slice(0, -2);
    if (folder !== REPODATA) return routePackage(head, tree, folder, file);
    if (isAddition(file)) return routeAddition(head, tree, file);
    requireMethod(head, ['GET']);
    if (head.trailingSlash || !isTree(tree)) return undefined;
    if (file !== PUBLIC_KEY) return routeDocument(tree.join('/'), file);
    if (this.signing === undefined) return undefined;
    return { status: 200, headers: { 'Content-Type': 'application/pgp-keys' }, body: this.signing.publicKey };
  }
}

const CLASS_OF = { GET: 'rpm', PUT: 'upload', DELETE: 'delete' } as const;

/** Routes `<tree>/Packages/<file>`: where a package is put, it is found. */
function routePackage(
  head: RequestHead,
  segments: readonly string[],
  folder: string,
  file: string,
): Resource | undefined {
  const method = requireMethod(head, ['GET', 'PUT', 'DELETE']);
  const isPlace = folder === PACKAGES && isTree(segments) && isFileName(file) && !head.trailingSlash;
  if (!isPlace && method === 'PUT')
    throw new EntrepotError(
      'bad-request',
      'Expected PUT of a package to Packages/<name>-<version>-<release>.<architecture>.rpm, with up to four folders before it',
    );
  if (!isPlace) return undefined;
  const attributes = { tree: segments.join('/'), file };
  return { class: CLASS_OF[method], key: KEY.package(attributes), path: '', attributes };
}

/** Routes what is in `repodata`. */
function routeDocument(tree: string, file: string): Resource | undefined {
  const attributes = { tree, file };
  if (file === REPOMD || file === SIGNATURE)
    return { class: 'treeDocument', key: `repodata/${tree}//${file}`, path: '', attributes };
  const document = documentOfName(file);
  if (document === undefined) return undefined;
  return { class: 'list', key: KEY.document(tree, document.name, document.sha256), path: '', attributes };
}

const ADDITION_CLASS_OF = { GET: 'addition', PUT: 'putAddition', DELETE: 'deleteAddition' } as const;

/** Routes groups, advisories and modules: where they are put, they are found. */
function routeAddition(head: RequestHead, segments: readonly string[], file: AdditionName): Resource | undefined {
  const method = requireMethod(head, ['GET', 'PUT', 'DELETE']);
  if (head.trailingSlash || !isTree(segments)) return undefined;
  const attributes = { tree: segments.join('/'), file };
  return { class: ADDITION_CLASS_OF[method], key: KEY.addition(attributes.tree, file), path: '', attributes };
}

function isTree(segments: readonly string[]): boolean {
  const isOne = (segment: string) => WORD.test(segment) && segment !== PACKAGES && segment !== REPODATA;
  return segments.length <= MOST_SEGMENTS && segments.every(isOne);
}
