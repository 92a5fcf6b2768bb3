import type { Content, Parsed } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import type { Format } from './format.js';
import type { Status } from './status.js';

/** The largest list of generations that is read, in bytes. */
const LARGEST = 16 * 1024 * 1024;

/** Documents of one root that were verified together, and are served together. */
export interface Generation {
  /** Differs when a document does. */
  readonly id: string;
  /** Time of its publication here; milliseconds since the epoch. */
  readonly at: number;
  /** The date that the upstream gives it; milliseconds since the epoch. */
  readonly date?: number | undefined;
  /** The time from which on clients refuse it; milliseconds since the epoch. */
  readonly validUntil?: number | undefined;
  /** Bytes of its main document. Absent: it was published before that was noted. */
  readonly size?: number | undefined;
  /** SHA-256 of its pointer documents, in hex, by their name below the root. */
  readonly pointers: Readonly<Record<string, string>>;
}

/** Generations and state of one root, as they are kept. */
export interface Kept {
  /** Newest first; at least one. */
  readonly list: readonly Generation[];
  readonly status: Status;
}

/** The generations of one root, as they are read. */
export interface Generations extends Parsed, Kept {}

/** Reads the generations that were written by `printGenerations`. */
export async function readGenerations(content: Content): Promise<Generations> {
  const text = Buffer.from(await content.bytes(LARGEST)).toString('utf8');
  const { list, status } = JSON.parse(text) as Kept;
  if (!Array.isArray(list) || list.length === 0) throw malformed('generations', 'there are none');
  return { weight: 4 * text.length, list, status };
}

/** The generations with a new one, without those that nobody can still need. */
export function withGeneration(
  earlier: readonly Generation[],
  added: Generation,
  { keep, since }: { readonly keep: number; readonly since: number },
): readonly Generation[] {
  const others = earlier.filter(({ id }) => id !== added.id);
  // One that was replaced a while ago is that of clients who have begun before.
  const kept = others.filter((_, index) => index < keep - 1 || (others[index - 1] ?? added).at >= since);
  return [added, ...kept.slice(0, MOST)];
}

/** The bound on generations of one root. */
const MOST = 10_000;

/** The generation that was published last at `time`; milliseconds since the epoch. */
export function generationAt(list: readonly Generation[], time: number): Generation | undefined {
  return list.find(({ at }) => at <= time);
}

export function printGenerations({ list, status }: Kept): string {
  return JSON.stringify({ list, status });
}

/** The document that commits to all others, among the pointer documents of a generation. */
export function mainOf(format: Format, root: string, pointers: Generation['pointers']) {
  const name = format.mains(root).find((one) => pointers[one] !== undefined) as string;
  return { name, sha256: pointers[name] as string };
}
