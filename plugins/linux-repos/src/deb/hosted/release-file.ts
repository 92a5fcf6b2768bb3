import type { SuiteState } from './suite-state.js';

/** Settings of Release files. */
export interface ReleaseSettings {
  readonly origin: string;
  readonly label: string;
  /** Milliseconds for which a Release file is valid at the least half, and at the most the whole. Absent: for ever. */
  readonly validFor?: number | undefined;
}

/** A Release file. */
export interface ReleaseFile {
  readonly text: string;
  /** Time at which another one takes its place although nothing was published; milliseconds since the epoch. Absent: never. */
  readonly until: number | undefined;
}

/** Writes the Release file of a suite: the same on all replicas, at the same time. @param now milliseconds since the epoch */
export function printRelease(suite: string, state: SuiteState, settings: ReleaseSettings, now: number): ReleaseFile {
  const { architectures, components, files } = state;
  const { origin, label, validFor } = settings;
  // Made anew when half of its time has passed, so that no client is given one that is about to expire.
  const half = validFor === undefined ? undefined : Math.ceil(validFor / 2);
  const begun = half === undefined ? 0 : now - (now % half);
  const fields = {
    Origin: origin,
    Label: label,
    Suite: suite,
    Codename: suite,
    Date: printTime(Math.max(state.date, begun)),
    ...(half !== undefined && { 'Valid-Until': printTime(begun + 2 * half) }),
    Architectures: ['all', ...architectures].join(' '),
    Components: components.join(' '),
    'Acquire-By-Hash': 'yes',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  // The packages for all are in the list of each architecture. While there is none, apt reads those for all alone.
  if (architectures.length > 0) lines.push('No-Support-for-Architecture-all: Packages');
  const sums = Object.entries(files).map(([name, { sha256, size }]) => ` ${sha256} ${size} ${name}`);
  const text = `${[...lines, 'SHA256:', ...sums].join('\n')}\n`;
  return { text, until: half === undefined ? undefined : begun + half };
}

function printTime(time: number): string {
  return new Date(time).toUTCString().replace('GMT', 'UTC');
}
