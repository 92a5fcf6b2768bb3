/** What an import starts from: records of one dump. */
export interface DumpFile {
  /** The ecosystem that the dump is of; absent: those of its records. */
  readonly ecosystem?: string | undefined;
  /** A ZIP archive of `<ID>.json`, or one such file. */
  readonly path: string;
}

/** Where a kept database came from; see `Manifest.origin`. */
export type Origin = Readonly<Record<string, string>>;

/** Everything from the beginning. */
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

/** Some records are new, changed or gone. */
export interface DeltaImport {
  readonly kind: 'delta';
  readonly directory: string;
  /** Files with one record each. */
  readonly changed: readonly string[];
  /** Ids of records that are gone. */
  readonly removed: readonly string[];
  readonly origin: Origin;
  readonly date: number;
  readonly now: number;
}

/** What an import is told. */
export type ImportTask = FullImport | DeltaImport;

/** What an import did. The manifest is in force when this is said. */
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
