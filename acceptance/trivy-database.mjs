import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { boltFile } from './bolt-file.mjs';

/** @import { Bucket } from './bolt-file.mjs' */

/** Language ecosystems: the bucket of a source, by the type of their package URLs. */
const SOURCES = /** @type {const} */ ({
  npm: ['npm::GitHub Security Advisory npm', 'ghsa', 'GitHub Security Advisory npm'],
  pypi: ['pip::GitHub Security Advisory pip', 'ghsa', 'GitHub Security Advisory pip'],
  golang: ['go::GitHub Security Advisory Go', 'ghsa', 'GitHub Security Advisory Go'],
});

/**
 * An advisory of a made-up database. Languages have `vulnerable` (a range) and `ecosystem`, Debian's packages `release`.
 * @typedef {object} FixtureAdvisory
 * @property {string} id
 * @property {string} name of the package; for Debian, of the source package
 * @property {string} fixed the version that has it no more
 * @property {keyof typeof SOURCES} [ecosystem]
 * @property {string} [vulnerable]
 * @property {string} [release] as in `debian 12`
 */

/**
 * Writes a database as `trivy` downloads it.
 * @param {string} folder the cache folder of `trivy`
 * @param {readonly FixtureAdvisory[]} advisories
 * @param {{ builtAt?: number }} [options] `builtAt`: milliseconds since the epoch
 */
export async function writeTrivyDatabase(folder, advisories, { builtAt = Date.now() } = {}) {
  /** @type {Bucket} */
  const sources = {};
  /** @type {Bucket} */
  const details = {};
  /** @type {Bucket} */
  const root = { 'data-source': sources, vulnerability: details };
  for (const { id, name, fixed, ecosystem, vulnerable, release } of advisories) {
    details[id] = JSON.stringify({
      Title: `A fault of ${name}`,
      Severity: 'HIGH',
      VendorSeverity: { ghsa: 3, nvd: 3 },
      CVSS: { nvd: { V3Vector: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N', V3Score: 7.5 } },
      PublishedDate: '2026-01-02T03:04:05Z',
    });
    const [bucket, source, title] =
      release === undefined
        ? SOURCES[/** @type {keyof typeof SOURCES} */ (ecosystem)]
        : /** @type {const} */ ([release, 'debian', 'Debian Security Tracker']);
    sources[bucket] = JSON.stringify({ ID: source, Name: title, URL: 'https://advisories.example.com' });
    const advisory =
      release === undefined ? { PatchedVersions: [fixed], VulnerableVersions: [vulnerable] } : { FixedVersion: fixed };
    const packages = /** @type {Bucket} */ (root[bucket] ??= {});
    const ids = /** @type {Bucket} */ (packages[name] ??= {});
    ids[id] = JSON.stringify(advisory);
  }
  const place = join(folder, 'db');
  await mkdir(place, { recursive: true });
  await writeFile(join(place, 'trivy.db'), boltFile(root));
  const time = new Date(builtAt).toISOString();
  const metadata = { Version: 2, NextUpdate: '2099-01-01T00:00:00Z', UpdatedAt: time, DownloadedAt: time };
  await writeFile(join(place, 'metadata.json'), JSON.stringify(metadata));
}
