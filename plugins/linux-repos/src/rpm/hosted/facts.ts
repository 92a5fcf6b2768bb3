import type { Nevra } from './keys.js';

/** Names of the texts of a package. */
export const TEXTS = [
  'summary',
  'description',
  'packager',
  'url',
  'license',
  'vendor',
  'group',
  'buildHost',
  'sourceRpm',
] as const;

/** Facts of a package, as a list of packages says them. */
export interface PackageFacts {
  readonly nevra: Nevra;
  readonly epoch: string;
  readonly sha256: string;
  /** The path below its tree. */
  readonly location: string;
  readonly texts: Readonly<Record<(typeof TEXTS)[number], string>>;
  readonly time: number;
  /** Seconds since the epoch. */
  readonly buildTime: number;
  readonly size: number;
  /** Bytes of its files. */
  readonly installedSize: number;
  readonly archiveSize: number;
  /** The header, in bytes of the file. */
  readonly range: { readonly start: number; readonly end: number };
}

/** A file of a package. */
export interface PackageFile {
  readonly path: string;
  readonly type?: 'dir' | 'ghost' | undefined;
}

/** An entry of a changelog. */
export interface ChangelogEntry {
  readonly author: string;
  /** Seconds since the epoch. */
  readonly time: number;
  readonly text: string;
}
