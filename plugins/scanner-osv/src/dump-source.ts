import type { DumpFile, Origin } from './import-task.js';

/** What a source has that the database does not: everything, or single records. */
export type SourceChanges =
  | ({ readonly kind: 'none' } & SourceState)
  | ({ readonly kind: 'full'; readonly dumps: readonly DumpFile[] } & SourceState)
  | ({
      readonly kind: 'delta';
      readonly changed: readonly string[];
      readonly removed: readonly string[];
    } & SourceState);

/** A source as it is now. */
export interface SourceState {
  readonly origin: Origin;
  /** When it was last changed; milliseconds since the epoch. */
  readonly date: number;
}

/** What is known of the database in force. */
export interface KnownState {
  /** What the source called itself when it was last read; `undefined`: there is no database. */
  readonly origin: Origin | undefined;
  /** Everything is wanted, whatever the source says of changes. */
  readonly isFullDue: boolean;
  /** `modified` of the record `id` as it is kept. */
  modified(id: string): string | undefined;
}

/** Where dumps come from. */
export interface DumpSource {
  /**
   * Brings what is new as files.
   * @param staging an empty folder for them
   * @throws EntrepotError `scan-unavailable` or `upstream-unavailable`
   */
  changes(known: KnownState, staging: string, signal: AbortSignal): Promise<SourceChanges>;
}
