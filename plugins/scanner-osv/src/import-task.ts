/** A file with records of one dump. */
export interface DumpFile {
  /** The ecosystem of the dump; absent: those of its records. */
  readonly ecosystem?: string | undefined;
  /** A ZIP archive of `<ID>.json`, or one such file. */
  readonly path: string;
}

/** The source of a stored database; see `Manifest.origin`. */
export type Origin = Readonly<Record<string, string>>;

/** Imports everything anew. */
export interface FullImport {
  readonly kind: 'full';
  readonly directory: string;
  readonly dumps: readonly DumpFile[];
  readonly origin: Origin;
  /** When the source was last changed; milliseconds since the epoch. */
  readonly date: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Imports new, changed and removed records. */
export interface DeltaImport {
  readonly kind: 'delta';
  readonly directory: string;
  /** Files with one record each. */
  readonly changed: readonly string[];
  /** Ids of removed records. */
  readonly removed: readonly string[];
  readonly origin: Origin;
  readonly date: number;
  readonly now: number;
}

export type ImportTask = FullImport | DeltaImport;

/** The result of an import. Its manifest is in use by then. */
export interface ImportResult {
  readonly records: number;
  /** Files that were no records. */
  readonly refused: number;
  /** Package keys whose findings may differ; absent: there was nothing before, or too many. */
  readonly changed?: readonly ChangedPackage[] | undefined;
}

/** A package by its OSV ecosystem. */
export interface ChangedPackage {
  readonly ecosystem: string;
  readonly name: string;
}
