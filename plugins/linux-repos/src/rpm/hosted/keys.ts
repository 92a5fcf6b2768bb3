import { isAddition, type AdditionName } from './additions.js';

/** A package in its place. */
export interface PackagePlace {
  /** The folder that has the `repodata` folder: `el9/x86_64`, or nothing. */
  readonly tree: string;
  /** The name of its file: `hello-1.0-1.x86_64.rpm`. */
  readonly file: string;
}

/** The documents of `repodata` that list packages. */
export const LISTS = ['primary', 'filelists', 'other'] as const;

export type ListName = (typeof LISTS)[number];

/**
 * The keys of entries. A tree is segments with one `/` between them: so `//` ends it, and no two things have one key.
 */
export const KEY = {
  packages: 'package/',
  /** All packages of a tree. */
  packagesOf: (tree: string) => `package/${tree}//`,
  /** A package. The files of one name stand together. */
  package({ tree, file }: PackagePlace): string {
    const { name, rest } = partsOf(file);
    return `package/${tree}//${name}/${rest}`;
  },
  /** The state of a tree. */
  state: (tree: string) => `state/${tree}//`,
  /** A list of packages as it is kept: elements, without what is around them. */
  list: (tree: string, list: ListName) => `list/${tree}//${list}`,
  /** A list of packages, or other metadata, as clients read it. */
  document: (tree: string, name: DocumentName, sha256: string) => `repodata/${tree}//${documentName(name, sha256)}`,
  /** Other metadata, as it was put. */
  addition: (tree: string, name: AdditionName) => `addition/${tree}//${name}`,
};

/** A document that repomd.xml lists. */
export type DocumentName = ListName | AdditionName;

/** Names a document below `repodata`. */
export function documentName(name: DocumentName, sha256: string): string {
  return `${sha256}-${isAddition(name) ? name : `${name}.xml`}.gz`;
}

/** Reads the name of a document. `undefined`: there is no such document. */
export function documentOfName(file: string): { readonly name: DocumentName; readonly sha256: string } | undefined {
  const [, sha256 = '', name = ''] = /^([0-9a-f]{64})-([a-z]+\.(?:xml|yaml))\.gz$/.exec(file) ?? [];
  const list = LISTS.find((one) => name === `${one}.xml`);
  if (list !== undefined) return { name: list, sha256 };
  return isAddition(name) ? { name, sha256 } : undefined;
}

/** Reads the key of a package. */
export function packagePlace(key: string): PackagePlace {
  const end = key.indexOf('//', KEY.packages.length);
  const [name = '', rest = ''] = key.slice(end + 2).split('/');
  return { tree: key.slice(KEY.packages.length, end), file: `${name}-${rest}` };
}

/** The path of a package below its repository. */
export function pathOf({ tree, file }: PackagePlace): string {
  return `${tree === '' ? '' : `${tree}/`}Packages/${file}`;
}

/** The name and the architecture in the name of a file. */
export function partsOf(file: string): { readonly name: string; readonly architecture: string; readonly rest: string } {
  const stem = file.slice(0, -'.rpm'.length);
  const name = stem.slice(0, stem.lastIndexOf('-', stem.lastIndexOf('-') - 1));
  return { name, architecture: stem.slice(stem.lastIndexOf('.') + 1), rest: file.slice(name.length + 1) };
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$/;
const VERSION = /^[A-Za-z0-9][A-Za-z0-9._+~^]{0,63}$/;
const ARCHITECTURE = /^[a-z0-9_]{1,32}$/;

/** The facts that a name of a file is made of. */
export interface Nevra {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  /** `src` and `nosrc` for sources. */
  readonly architecture: string;
}

/** Finds what is not as rpm has it. `undefined`: all is. */
export function wrongPart({ name, version, release, architecture }: Nevra): string | undefined {
  if (!NAME.test(name)) return `the name ${JSON.stringify(name)}`;
  if (!VERSION.test(version)) return `the version ${JSON.stringify(version)}`;
  if (!VERSION.test(release)) return `the release ${JSON.stringify(release)}`;
  return ARCHITECTURE.test(architecture) ? undefined : `the architecture ${JSON.stringify(architecture)}`;
}

/** The name of the file of a package: an epoch is no part of it, as rpmbuild names it. */
export function fileName({ name, version, release, architecture }: Nevra): string {
  return `${name}-${version}-${release}.${architecture}.rpm`;
}

/** Whether a package can have a file of that name. */
export function isFileName(file: string): boolean {
  if (!file.endsWith('.rpm')) return false;
  const { name, architecture, rest } = partsOf(file);
  const [version = '', ...more] = rest.slice(0, -`.${architecture}.rpm`.length).split('-');
  const release = more.join('-');
  return (
    fileName({ name, version, release, architecture }) === file &&
    wrongPart({ name, version, release, architecture }) === undefined
  );
}
