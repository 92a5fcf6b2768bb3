import type { Entry } from '@entrepot/core';

/** An index file of a suite. */
export interface IndexFile {
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** A suite as it was published last: the attributes of its state. */
export interface SuiteState {
  /** The date of its Release file; milliseconds since the epoch. */
  readonly date: number;
  readonly components: readonly string[];
  /** Architectures of packages so far, and those of the configuration; without `all`. */
  readonly architectures: readonly string[];
  /** Index files by their name below the suite. */
  readonly files: Readonly<Record<string, IndexFile>>;
}

/** A suite that nothing was published into. */
export const NEW_SUITE: SuiteState = { date: 0, components: [], architectures: [], files: {} };

/** Reads the state that the entry of a suite has. */
export function stateOf({ attributes }: Entry): SuiteState {
  return attributes as unknown as SuiteState;
}
