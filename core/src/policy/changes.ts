import type { ArtifactFacts, VersionBefore } from '../api/facts.js';
import { truth, type Truth } from './truth.js';

const LEVELS = ['none', 'attested', 'trusted-publisher'] as const;

/** Changes from the versions before. */
export const CHANGES = ['newInstallScripts', 'provenanceDowngraded', 'publisherChanged'] as const;

/** One of `CHANGES`. */
export type Change = (typeof CHANGES)[number];

export function isChange(name: string): name is Change {
  return (CHANGES as readonly string[]).includes(name);
}

type Traits = Pick<ArtifactFacts, 'installScripts' | 'provenance' | 'publisher'>;

/** Whether a version differs from one before it; `undefined` where either says nothing. */
const DIFFERS: Readonly<Record<Change, (now: Traits, before: Traits) => boolean | undefined>> = {
  newInstallScripts({ installScripts: now }, { installScripts: before }) {
    if (now !== true) return now;
    return before === undefined ? undefined : !before;
  },
  provenanceDowngraded({ provenance: now }, { provenance: before }) {
    if (now === undefined || before === undefined) return undefined;
    return LEVELS.indexOf(now) < LEVELS.indexOf(before);
  },
  publisherChanged({ publisher: now }, { publisher: before }) {
    return now === undefined || before === undefined ? undefined : now !== before;
  },
};

/** Conditions under which earlier versions are compared. */
export interface Watch {
  readonly now: number;
  /** The time for which a rule watches a version, in milliseconds: what is younger is no measure for others. */
  readonly window: number;
  /** Whether policy lets a version in that was there before. */
  isAdmitted(at: number): boolean;
  /** Told when the answer may be another one. */
  note(at: number): void;
}

/**
 * Whether a version differs from an earlier one: from the newest that is older than the rule's window and allowed, on
 * its branch or over all. Where there is none, the oldest one counts, so that publishing twice gains nothing.
 */
export function changeFrom(
  facts: ArtifactFacts & { readonly before: readonly VersionBefore[] },
  change: Change,
  watch: Watch,
): Truth {
  const { before } = facts;
  let found: Truth = truth.unknown;
  for (const onBranch of [true, false]) {
    const measure = measureOf(before, onBranch, watch);
    if (measure === undefined) continue;
    const differs = DIFFERS[change](facts, measure);
    if (differs === true) return truth.yes;
    if (differs === false) found = truth.no;
  }
  return found;
}

function measureOf(before: readonly VersionBefore[], onBranch: boolean, watch: Watch): VersionBefore | undefined {
  let oldest: VersionBefore | undefined;
  for (const [at, version] of before.entries()) {
    if (onBranch && !version.sameBranch) continue;
    oldest = version;
    const ripe = version.publishedAt + watch.window;
    if (ripe > watch.now) watch.note(ripe);
    else if (watch.isAdmitted(at)) return version;
  }
  return oldest;
}

/** Collects the facts about an earlier version: its own, and those of the versions before it. */
export function factsBefore(before: readonly VersionBefore[], at: number): ArtifactFacts {
  const { publishedAt, installScripts, provenance, publisher, sameBranch } = before[at] as VersionBefore;
  // Of one on another branch, it is not known which of the others are on that one.
  const older = before.slice(at + 1).map((version) => (sameBranch ? version : { ...version, sameBranch: false }));
  return { publishedAt, installScripts, provenance, publisher, before: older };
}
