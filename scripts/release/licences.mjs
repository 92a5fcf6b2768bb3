import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The licences that packages of others may have: those that ask for no more than their text. */
const ALLOWED = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC-BY-3.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'PSF-2.0',
]);

/**
 * Packages that are allowed under another licence, each by itself. openpgp is used as it is published, and can be replaced: LGPL asks for
 * no more of who uses it so.
 * @type {Readonly<Record<string, string>>}
 */
const ALONE = { 'node_modules/openpgp': 'LGPL-3.0+' };

/**
 * Counts the licences of everything that is installed for production, by the lockfile.
 * @param {string} root
 * @throws Error with every package whose licence is not allowed or not known
 */
export function checkLicences(root) {
  /** @type {Record<string, { license?: string, link?: boolean, dev?: boolean }>} */
  const packages = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  /** @type {string[]} */
  const faults = [];
  /** @type {Record<string, number>} */
  const counts = {};
  for (const [path, { license = 'none', link, dev }] of Object.entries(packages)) {
    if (path === '' || link || dev) continue;
    counts[license] = (counts[license] ?? 0) + 1;
    if (ALONE[path] !== license && !isAllowed(license)) faults.push(`${path}: ${license}`);
  }
  if (faults.length > 0)
    throw new Error(
      `expected one of the licences ${[...ALLOWED].join(', ')}; read the licence, then allow it in scripts/release/licences.mjs or drop the package:\n${faults.join('\n')}`,
    );
  return counts;
}

/**
 * Whether an SPDX expression (SPDX 2.3, annex D) allows us to go on: all of an AND, one of an OR. Parentheses only around the whole.
 * @param {string} expression
 */
export function isAllowed(expression) {
  const plain = expression.replace(/^\((.*)\)$/, '$1');
  return plain.split(' OR ').some((one) => one.split(' AND ').every((licence) => ALLOWED.has(licence)));
}
