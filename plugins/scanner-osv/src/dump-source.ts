/** A file with records of one dump. */
export interface DumpFile {
  /** The ecosystem of the dump; absent: those of its records. */
  readonly ecosystem?: string | undefined;
  /** A ZIP archive of `<ID>.json`, or one such file. */
  readonly path: string;
}

/** By dump: how far its list of changes was read, or what it looked like. */
export type Origin = Readonly<Record<string, string>>;

/** The current state of a source. */
export interface SourceState {
  readonly origin: Origin;
  /** When it was last changed, as far as it says so; milliseconds since the epoch. */
  readonly date: number;
}

/** Dumps with everything. */
export interface FullChanges extends SourceState {
  readonly kind: 'full';
  readonly dumps: readonly DumpFile[];
}

/** New, changed and removed records. */
export interface DeltaChanges extends SourceState {
  readonly kind: 'delta';
  /** Files with one record each. */
  readonly changed: readonly string[];
  /** Ids of removed records. */
  readonly removed: readonly string[];
}

/** The difference between a source and the database. */
export type SourceChanges = ({ readonly kind: 'none' } & SourceState) | FullChanges | DeltaChanges;

/** The state of the database in use. */
export interface KnownState {
  /** The source's origin when it was last read; `undefined`: there is no database. */
  readonly origin: Origin | undefined;
  /** Whether a full import is due, whatever has changed. */
  readonly isFullDue: boolean;
  /** `modified` of the stored record `id`. */
  modified(id: string): string | undefined;
}

/** A source of dumps. */
export interface DumpSource {
  /**
   * Downloads the changes as files.
   * @param staging an empty folder for them
   * @throws EntrepotError `scan-unavailable` or `upstream-unavailable`
   */
  changes(known: KnownState, staging: string, signal: AbortSignal): Promise<SourceChanges>;
}
