import type { DumpFile, Origin } from './import-task.js';

/** The difference between a source and the database: everything, or single records. */
export type SourceChanges =
  | ({ readonly kind: 'none' } & SourceState)
  | ({ readonly kind: 'full'; readonly dumps: readonly DumpFile[] } & SourceState)
  | ({
      readonly kind: 'delta';
      readonly changed: readonly string[];
      readonly removed: readonly string[];
    } & SourceState);

/** The current state of a source. */
export interface SourceState {
  readonly origin: Origin;
  /** When it was last changed; milliseconds since the epoch. */
  readonly date: number;
}

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
