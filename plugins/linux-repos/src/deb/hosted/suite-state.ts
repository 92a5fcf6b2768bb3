import type { Content, Entry } from '@entrepot/core';
import type { ReplacedFiles } from '../../shared/hosted/replaced-files.js';

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
  /** Those that packages were for so far, and those of the configuration; without `all`. */
  readonly architectures: readonly string[];
  /** Index files by their name below the suite. */
  readonly files: Readonly<Record<string, IndexFile>>;
}

/** The largest state that is read, in bytes: some ten thousand replaced files. */
const LARGEST = 64 * 1024 * 1024;

/** A suite that nothing was published into. */
export const NEW_SUITE: SuiteState = { date: 0, components: [], architectures: [], files: {} };

/** Reads the state that the entry of a suite has. */
export function stateOf({ attributes }: Entry): SuiteState {
  return attributes as unknown as SuiteState;
}

/** Reads the files of earlier states, which are in the bytes of a state alone. */
export async function readReplaced(content: Content): Promise<readonly ReplacedFiles[]> {
  const { replaced } = JSON.parse(Buffer.from(await content.bytes(LARGEST)).toString()) as {
    replaced: readonly ReplacedFiles[];
  };
  return replaced;
}

/** Writes the bytes of a state. They differ from those of every other state of the suite. */
export function printState(state: SuiteState, replaced: readonly ReplacedFiles[]): Buffer {
  return Buffer.from(JSON.stringify({ ...state, replaced }));
}
