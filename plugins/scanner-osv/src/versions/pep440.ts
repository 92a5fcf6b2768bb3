import { comparePythonVersions, parsePythonVersion, type PythonVersion } from '@entrepot/core';
import type { VersionOrder } from './version-order.js';

/** Python: PEP 440. */
export const pep440Order: VersionOrder<PythonVersion> = {
  parse: parsePythonVersion,
  compare: comparePythonVersions,
};
