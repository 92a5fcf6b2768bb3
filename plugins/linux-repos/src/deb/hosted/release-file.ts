import type { SuiteState } from './suite-state.js';

/** Texts that a Release file has besides its suite. */
export interface ReleaseFields {
  readonly origin: string;
  readonly label: string;
}

/** Writes the Release file of a suite. */
export function printRelease(suite: string, state: SuiteState, { origin, label }: ReleaseFields): string {
  const { architectures, components, date, files } = state;
  const fields = {
    Origin: origin,
    Label: label,
    Suite: suite,
    Codename: suite,
    Date: new Date(date).toUTCString().replace('GMT', 'UTC'),
    Architectures: ['all', ...architectures].join(' '),
    Components: components.join(' '),
    'Acquire-By-Hash': 'yes',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  // The packages for all are in the list of each architecture. While there is none, apt reads those for all alone.
  if (architectures.length > 0) lines.push('No-Support-for-Architecture-all: Packages');
  const sums = Object.entries(files).map(([name, { sha256, size }]) => ` ${sha256} ${size} ${name}`);
  return `${[...lines, 'SHA256:', ...sums].join('\n')}\n`;
}
