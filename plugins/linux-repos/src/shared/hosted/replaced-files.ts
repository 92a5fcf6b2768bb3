import type { Content } from '@entrepot/core';

/** Index files of an earlier state that the next one does not have. */
export interface ReplacedFiles {
  /** Time of the publication of that; milliseconds since the epoch. */
  readonly at: number;
  readonly keys: readonly string[];
}

/** The bound on earlier states. */
const MOST = 10_000;

/**
 * Adds what the newest state does not have any more, and lets go of what nobody can still need.
 * @param current keys of the newest state
 * @param keep the number of earlier states that stay
 * @param since the states that were replaced after that time stay, too: their clients have just begun
 */
export function withReplaced(
  earlier: readonly ReplacedFiles[],
  added: ReplacedFiles,
  current: ReadonlySet<string>,
  { keep, since }: { readonly keep: number; readonly since: number },
): { readonly kept: readonly ReplacedFiles[]; readonly gone: readonly string[] } {
  const all = [added, ...earlier];
  const kept = all.filter(({ at }, index) => index < keep || at >= since).slice(0, MOST);
  // The same bytes may be those of several states.
  const needed = new Set([...current, ...kept.flatMap(({ keys }) => keys)]);
  const gone = new Set(all.slice(kept.length).flatMap(({ keys }) => keys.filter((key) => !needed.has(key))));
  return { kept, gone: [...gone] };
}

/** The largest state that is read, in bytes: some ten thousand replaced files. */
const LARGEST = 64 * 1024 * 1024;

/** Reads the files of earlier states, which are in the bytes of a state alone. */
export async function readReplaced(content: Content): Promise<readonly ReplacedFiles[]> {
  const { replaced } = JSON.parse(Buffer.from(await content.bytes(LARGEST)).toString()) as {
    replaced: readonly ReplacedFiles[];
  };
  return replaced;
}

/** Writes the bytes of a state. They differ from those of every other state of the same index files. */
export function printState(state: object, replaced: readonly ReplacedFiles[]): Buffer {
  return Buffer.from(JSON.stringify({ ...state, replaced }));
}
