import SemVer from 'semver/classes/semver.js';
import type { VersionOrder } from './version-order.js';

const PARTIAL = /^[vV=]?\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/s;
const SUFFIX = /^(?:[-+].*)?$/s;

/**
 * Precedence of Semantic Versioning 2.0.0 §11: prereleases count, build metadata (and Go's `+incompatible`) does not. A
 * leading `v` is Go's spelling; missing parts are zero.
 */
export const semverOrder: VersionOrder<SemVer> = {
  parse(text) {
    const match = PARTIAL.exec(text);
    if (match === null) return undefined;
    const [, major, minor = '0', patch = '0', suffix = ''] = match;
    try {
      // What stands behind three numbers without a `-` is a prerelease in the loose reading (`1.2.3beta`).
      if (!SUFFIX.test(suffix) && match[3] === undefined) return undefined;
      return new SemVer(`${major}.${minor}.${patch}${suffix}`, { loose: true });
    } catch {
      return undefined;
    }
  },
  compare: (one, other) => one.compare(other),
};
