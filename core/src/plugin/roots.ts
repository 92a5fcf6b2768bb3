import type { ReadingContext } from './alias.js';

/**
 * - `pending`: asked for, and not published yet.
 * - `active`: what the upstream has was published.
 * - `suspect`: the upstream fails, or has what is not to be trusted; what was published last is served.
 * - `blocked`: the same, for so long or so clearly that the upstream is asked less often.
 * - `frozen`: kept as it is by the configuration; no upstream is asked.
 * - `removed`: no upstream has it any more.
 */
export type RootState = 'pending' | 'active' | 'suspect' | 'blocked' | 'frozen' | 'removed';

/** All states. */
export const ROOT_STATES: readonly RootState[] = ['pending', 'active', 'suspect', 'blocked', 'frozen', 'removed'];

/** A part of an upstream that is published here as a whole: a suite of an archive. */
export interface Root {
  /** Its path below the repository. Empty: the repository itself. */
  readonly name: string;
  readonly state: RootState;
  /** Time at which it came into this state; milliseconds since the epoch. Absent: not known. */
  readonly since?: number | undefined;
  /** Names what was published last. Absent: nothing was. */
  readonly generation?: string | undefined;
  /** Time at which that was published here; milliseconds since the epoch. */
  readonly publishedAt?: number | undefined;
  /** The date that the upstream gives it; milliseconds since the epoch. */
  readonly date?: number | undefined;
  /** Time at which the upstream was asked last; milliseconds since the epoch. */
  readonly triedAt?: number | undefined;
  /** Time, about, at which a client asked last; milliseconds since the epoch. */
  readonly usedAt?: number | undefined;
  /** Reason for not being `active`. */
  readonly error?: string | undefined;
  /** Time at which it is refreshed by itself; milliseconds since the epoch. Absent: it is not. */
  readonly dueAt?: number | undefined;
}

/** The roots of a proxy. Core refreshes those that are due, one process of a cluster at a time, and shows all to administrators. */
export interface Roots<Self = unknown> {
  /** Lists the roots. No upstream is asked. */
  list(context: ReadingContext, self: Self): Promise<readonly Root[]>;
  /**
   * Asks the upstream for what it has of a root now, and publishes it.
   * @returns how the root is after that
   * @throws EntrepotError `not-found` for a root that is not known, `conflict` for a frozen one; as the upstream answers where nothing was
   * ever published
   */
  refresh(name: string, context: ReadingContext, self: Self): Promise<Root>;
  /** Lists the keys of what must not be evicted, since what is published names it. No upstream is asked. Absent: none. */
  heldKeys?(context: ReadingContext, self: Self): Promise<ReadonlySet<string>>;
}
