/** Licences in the order in which they are looked for: words that their names hold, each of them one of several, and the expression. */
const LICENCES: readonly (readonly [words: readonly string[], expression: string])[] = [
  [['apache|asl', '1.1'], 'Apache-1.1'],
  [['apache|asl', '2|2.0'], 'Apache-2.0'],
  [['classpath|cpe'], 'GPL-2.0-only WITH Classpath-exception-2.0'],
  [['affero|agpl', '3|3.0'], 'AGPL-3.0-only'],
  [['lesser|library|lgpl', '2.1'], 'LGPL-2.1-only'],
  [['lesser|lgpl', '3|3.0'], 'LGPL-3.0-only'],
  [['gpl|general', '3|3.0'], 'GPL-3.0-only'],
  [['gpl|general', '2|2.0'], 'GPL-2.0-only'],
  [['eclipse', 'distribution'], 'BSD-3-Clause'],
  [['eclipse|epl', '2|2.0'], 'EPL-2.0'],
  [['eclipse|epl', '1|1.0'], 'EPL-1.0'],
  [['edl'], 'BSD-3-Clause'],
  [['cddl', '1.1'], 'CDDL-1.1'],
  [['cddl'], 'CDDL-1.0'],
  [['mozilla|mpl', '2|2.0'], 'MPL-2.0'],
  [['mozilla|mpl', '1.1'], 'MPL-1.1'],
  [['mit', '0'], 'MIT-0'],
  [['mit'], 'MIT'],
  [['bsd', '2|two|simplified'], 'BSD-2-Clause'],
  [['bsd', '3|three|new|revised'], 'BSD-3-Clause'],
  [['cc0'], 'CC0-1.0'],
  [['isc'], 'ISC'],
];

/** The SPDX expression for the name of a licence as POMs have it; the name itself where it is none that is known. */
export function licenceOf(name: string): string {
  // `v2.0` and `2.0` are the same.
  const words = new Set(
    name
      .toLowerCase()
      .split(/[^a-z0-9.]+/)
      .map((word) => word.replace(/^v(?=\d)|\.$/g, '')),
  );
  const isNamed = (alternatives: string): boolean => alternatives.split('|').some((word) => words.has(word));
  return LICENCES.find(([wanted]) => wanted.every(isNamed))?.[1] ?? name;
}
