import { strict as assert } from 'node:assert';
import { gunzipSync } from 'node:zlib';
import { parseOptions, systemClock } from '@entrepot/core';
import { digestOf, ImageSet, TYPES } from '@entrepot/fixtures/oci-images';
import { tarball } from '@entrepot/fixtures/tar';

/** @import { Clock, Content, Digest, Scanner, ScannerPlugin, ScanReport, ScanSubject, Token } from '@entrepot/core' */
/** @import { FixtureAdvisory } from '@entrepot/fixtures/trivy-database' */

/** @type {readonly FixtureAdvisory[]} */
export const ADVISORIES = [
  { id: 'CVE-2026-0001', ecosystem: 'npm', name: 'lodash', vulnerable: '<4.17.21', fixed: '4.17.21' },
  { id: 'CVE-2026-0002', ecosystem: 'pypi', name: 'requests', vulnerable: '<2.31.0', fixed: '2.31.0' },
  { id: 'CVE-2026-0003', ecosystem: 'golang', name: 'github.com/acme/tool', vulnerable: '<1.2.0', fixed: '1.2.0' },
  { id: 'CVE-2026-0004', release: 'debian 12', name: 'openssl', fixed: '3.0.11-1~deb12u2' },
  { id: 'CVE-2026-0005', ecosystem: 'npm', name: '@acme/core', vulnerable: '<8.0.0', fixed: '8.0.0' },
];

const QUALIFIERS = { arch: 'amd64', distro: 'debian-12', upstream: 'openssl' };

/** Subjects, each with the advisory that is expected for it. @type {readonly (readonly [ScanSubject, string?])[]} */
export const CASES = [
  [subject('npm', 'lodash', '4.17.20'), 'CVE-2026-0001'],
  [subject('npm', 'lodash', '4.17.21')],
  [subject('npm', '@acme/core', '7.0.0'), 'CVE-2026-0005'],
  [subject('npm', 'left-pad', '1.3.0')],
  [subject('pypi', 'requests', '2.30.0'), 'CVE-2026-0002'],
  [subject('pypi', 'requests', '2.31.0')],
  [subject('golang', 'github.com/acme/tool', 'v1.1.0'), 'CVE-2026-0003'],
  [subject('golang', 'github.com/acme/tool', 'v1.2.0')],
  [{ ...subject('deb', 'libssl3', '3.0.11-1~deb12u1'), qualifiers: QUALIFIERS }, 'CVE-2026-0004'],
  [{ ...subject('deb', 'libssl3', '3.0.11-1~deb12u2'), qualifiers: QUALIFIERS }],
];

/** Files that silence a scanner which runs beside them. */
export const SILENCERS = {
  '.trivyignore': ADVISORIES.map(({ id }) => `${id}\n`).join(''),
  'trivy.yaml': 'severity: [CRITICAL]\n',
  '.grype.yaml': `ignore:\n${ADVISORIES.map(({ id }) => `  - vulnerability: ${id}\n`).join('')}`,
};

/**
 * @template Options
 * @param {ScannerPlugin<Options, { readonly clock: Token<Clock> }>} plugin
 * @param {Record<string, unknown>} given
 * @returns {Promise<Scanner>}
 */
export async function create(plugin, given) {
  const { options, problems } = await parseOptions(plugin.options, given);
  assert.equal(problems, undefined);
  return plugin.create({ services: { clock: systemClock }, options });
}

/** @param {Scanner} scanner */
export async function judge(scanner) {
  const results =
    (await scanner.scanAll?.(
      CASES.map(([each]) => each),
      live(),
    )) ?? [];
  const found = results.map((result) => (result instanceof Error ? result.message : idsOf(result)));
  assert.deepEqual(
    found,
    CASES.map(([, id]) => (id === undefined ? [] : [id])),
  );
}

/** Images, of which one has findings, and files that would silence a scanner. @param {Scanner} scanner */
export async function judgeImages(scanner) {
  const set = imageSet();
  const report = await scanner.scan(imageOf(set, 'amd64'), live());
  assert.deepEqual(idsOf(report), ['CVE-2026-0001', 'CVE-2026-0004']);
  assert.equal(report.coverage, 'full');
  assert.match(String(report.findings.find(({ id }) => id === 'CVE-2026-0001')?.component), /lodash/);
  assert.deepEqual(idsOf(await scanner.scan(imageOf(set, 'arm64'), live())), []);
  const ofIndex = await scanner.scan(imageOf(set, 'latest'), live());
  assert.deepEqual(idsOf(ofIndex), idsOf(report));
  assert.equal(ofIndex.coverage, 'partial');
}

/** A scanner without a database, which one is there for. @param {Scanner} scanner */
export async function judgeUpdates(scanner) {
  await assert.rejects(scanner.check(), { code: 'SCAN_UNAVAILABLE' });
  assert.equal(await scanner.update?.(live()), undefined);
  await judge(scanner);
  const revision = scanner.revision();
  assert.deepEqual(await scanner.update?.(live()), []);
  assert.equal(scanner.revision(), revision);
}

/** An image of Debian 12 with an application in it, for two platforms. The one for arm64 has no findings. */
export function imageSet() {
  const set = new ImageSet('demo');
  const platforms = ['arm64', 'amd64'].map((architecture) => {
    const isGood = architecture === 'arm64';
    const status = (/** @type {string} */ version) =>
      `Package: libssl3\nStatus: install ok installed\nSource: openssl\nArchitecture: amd64\nVersion: ${version}\n\n`;
    const application = { name: 'lodash', version: isGood ? '4.17.21' : '4.17.20' };
    const layer = tarball({
      'etc/os-release': { body: 'ID=debian\nVERSION_ID="12"\n' },
      'etc/debian_version': { body: '12.5\n' },
      'var/lib/dpkg/status': { body: status(isGood ? '3.0.11-1~deb12u2' : '3.0.11-1~deb12u1') },
      'app/node_modules/lodash/package.json': { body: JSON.stringify(application) },
      ...Object.fromEntries(Object.entries(SILENCERS).map(([file, body]) => [file, { body }])),
    });
    const config = {
      architecture,
      os: 'linux',
      created: '2026-01-01T00:00:00Z',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(gunzipSync(layer))] },
      history: [],
    };
    const content = {
      config: set.blob(Buffer.from(JSON.stringify(config)), TYPES.config),
      layers: [set.blob(layer, TYPES.layer)],
    };
    return { ...set.manifest(TYPES.manifest, content, [architecture]), platform: { architecture, os: 'linux' } };
  });
  set.manifest(TYPES.index, { manifests: platforms }, ['latest']);
  return set;
}

/** @param {ImageSet} set @param {string} tag @returns {ScanSubject} */
function imageOf(set, tag) {
  const { bytes, mediaType, descriptor } = set.tagged(tag);
  const manifests = new Map(set.manifests.map((each) => [each.descriptor.digest, each.bytes]));
  return {
    ...subject('oci', 'demo', tag),
    digest: /** @type {Digest} */ (descriptor.digest),
    content: contentOf(bytes, mediaType),
    async part(digest) {
      const found = set.blobs.get(digest) ?? manifests.get(digest);
      return found && contentOf(found, TYPES.manifest);
    },
  };
}

/** @param {Buffer} bytes @param {string} mediaType @returns {Content} */
function contentOf(bytes, mediaType) {
  return {
    size: bytes.length,
    mediaType,
    async *stream() {
      yield bytes;
    },
    bytes: async () => bytes,
  };
}

/** @param {string} ecosystem @param {string} name @param {string} version @returns {ScanSubject} */
function subject(ecosystem, name, version) {
  return { coordinates: { ecosystem, name, version } };
}

/** @param {ScanReport} report */
export function idsOf({ findings }) {
  return findings.map(({ id }) => id).toSorted();
}

export function live() {
  return new AbortController().signal;
}
