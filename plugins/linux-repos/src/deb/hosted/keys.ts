/** A component of a suite, in one architecture. */
export interface ListPlace {
  readonly suite: string;
  readonly component: string;
  readonly architecture: string;
}

/** A package in its place. */
export interface PackagePlace {
  readonly suite: string;
  readonly component: string;
  /** The name of its file: `hello_1.0_amd64.deb`. */
  readonly file: string;
}

/**
 * The keys of entries. A suite is segments with one `/` between them: so `//` ends it, and no two things have one key.
 */
export const KEY = {
  packages: 'pool/',
  /** A package: its path, too. */
  package: ({ suite, component, file }: PackagePlace) => `pool/${suite}/${component}/${file}`,
  /** The state of a suite. */
  state: (suite: string) => `suite/${suite}//`,
  /** An index file by its sum: its path, too. @param name below the suite: `main/binary-amd64/Packages` */
  index: (suite: string, name: string, sha256: string) =>
    `dists/${suite}/${name.slice(0, name.lastIndexOf('/'))}/by-hash/SHA256/${sha256}`,
};

/** Names a list of packages below its suite. */
export function listName({ component, architecture }: Omit<ListPlace, 'suite'>): string {
  return `${component}/binary-${architecture}/Packages`;
}

/** Reads the key of a package. */
export function packagePlace(key: string): PackagePlace {
  const segments = key.split('/');
  const [component = '', file = ''] = segments.slice(-2);
  return { suite: segments.slice(1, -2).join('/'), component, file };
}

/** The name of the file of a package: an epoch is no part of it, as in every archive. */
export function fileName(name: string, version: string, architecture: string): string {
  return `${name}_${version.slice(version.indexOf(':') + 1)}_${architecture}.deb`;
}

/** The architecture in the name of a file. */
export function architectureOf(file: string): string {
  return file.slice(file.lastIndexOf('_') + 1, -'.deb'.length);
}
