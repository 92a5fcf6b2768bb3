import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fixtureVersion } from './fixture-application.mjs';
import { FixtureRegistry } from './fixture-registry.mjs';
import { GoDatabase, goModule, proxyAnswer } from './go-database.mjs';
import { chartArchive } from './helm-charts.mjs';
import { HelmUpstream } from './helm-upstream.mjs';
import { ImageSet, noise, TYPES } from './oci-images.mjs';
import { UpstreamRegistry } from './oci-registry.mjs';
import { Origin } from './origin.mjs';
import { wheel } from './python-fixtures.mjs';
import { PythonIndex } from './python-index.mjs';
import { tarball } from './tar.mjs';

/** @import { FixturePackage } from './fixture-application.mjs' */
/** @import { GoModule } from './go-database.mjs' */
/** @import { PythonFile } from './python-fixtures.mjs' */

/** The package of every ecosystem that has a version of each kind, and the one that has nothing else than a hostile one. */
export const SUBJECT = 'subject';
export const ROTTEN = 'rotten';
/** Its path where names are paths. */
export const GO_SUBJECT = 'example.test/subject';
export const GO_ROTTEN = 'example.test/rotten';
export const IMAGE = 'team/subject';

/** The versions of the subject, in their order. `good` is what ranges have to find. */
export const VERSIONS = {
  watched: '1.0.0',
  good: '1.1.0',
  hidden: '1.2.0',
  vulnerable: '1.3.0',
  malicious: '1.4.0',
  fresh: '1.5.0',
};
/** Those that nobody may have, with the rule that refuses each. */
export const REFUSED = { vulnerable: 'vulnerable', malicious: 'malware', fresh: 'cooldown' };
export const ADVISORY = 'TEST-2024-0003';
export const MALWARE = 'MAL-2024-0004';
/** Older than what clients themselves wait for (a day), younger than the policy wants. */
const FRESH = new Date(Date.now() - 3 * 86_400_000).toISOString();
const GO_DATE = '2024-01-02T03:04:05Z';

/** @param {string} version */
const publishedAt = (version) => (version === VERSIONS.fresh ? FRESH : undefined);

/**
 * The policy of the scenario. Where no advisory database knows an ecosystem, the same versions are named.
 * @param {{ mode?: string, rules?: readonly object[] }} [more] further rules
 */
export function policyDocument({ mode = 'enforce', rules = [] } = {}) {
  const named = (/** @type {keyof typeof VERSIONS} */ kind) =>
    [`npm/${SUBJECT}`, `pypi/${SUBJECT}`, `golang/${GO_SUBJECT}`, `helm/${SUBJECT}`, `oci/${IMAGE}`].map(
      (name) => `pkg:${name}@${name.startsWith('golang') ? 'v' : ''}${VERSIONS[kind]}`,
    );
  const unscanned = (/** @type {keyof typeof VERSIONS} */ kind) =>
    named(kind).filter((purl) => /:(helm|oci)\//.test(purl));
  return {
    version: 1,
    mode,
    rules: [
      { id: 'malware', when: { malicious: true }, action: 'deny' },
      { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny' },
      {
        id: 'cooldown',
        match: { ecosystems: ['npm', 'pypi', 'golang', 'helm'] },
        when: { age: { lt: '7d' } },
        action: 'hold',
      },
      { id: 'not-offered', match: { purl: named('hidden') }, action: 'hide' },
      { id: 'watched', match: { purl: named('watched') }, action: 'warn' },
      {
        id: 'known-bad',
        match: {
          purl: [
            ...unscanned('vulnerable'),
            ...unscanned('malicious'),
            `pkg:helm/${ROTTEN}`,
            `pkg:oci/${IMAGE}@${VERSIONS.fresh}`,
            'pkg:generic/tools/bad.bin',
          ],
        },
        action: 'deny',
        reason: 'on the list of bad packages',
      },
      ...rules,
    ],
  };
}

/** Upstreams of every format, on loopback. */
export class PolicyUpstreams {
  #folder;
  npm = new FixtureRegistry({ packages: npmPackages() });
  python = new PythonIndex();
  goDatabase = new GoDatabase();
  #modules = goModules(this.goDatabase);
  go = new Origin((request, response) => {
    const answer = proxyAnswer(this.#modules, this.goDatabase, (request.url ?? '').slice(1));
    if (answer === undefined) return void response.writeHead(404).end('not found');
    response.writeHead(200, { 'content-type': answer.mediaType }).end(answer.body);
  });
  helm = new HelmUpstream();
  files = new Origin((request, response) => {
    const isThere = /^\/tools\/(good|bad)\.bin$/.test(request.url ?? '');
    response.writeHead(isThere ? 200 : 404, { 'content-type': 'application/octet-stream' });
    response.end(request.method === 'HEAD' || !isThere ? undefined : `the file ${request.url}`);
  });
  image = imageSet();
  /** Absent: this machine has no registry program. @type {UpstreamRegistry | undefined} */
  oci;

  /** @param {string} folder empty */
  constructor(folder) {
    this.#folder = folder;
    this.python.projects = pythonProjects();
    this.helm.charts = helmCharts();
  }

  async start() {
    for (const origin of [this.npm, this.python, this.go, this.helm, this.files]) await origin.start();
    const binary = await UpstreamRegistry.program();
    if (binary === undefined) return this;
    this.oci = new UpstreamRegistry(this.#folder, { binary, tokens: false });
    await this.oci.start();
    await this.oci.preload(this.image);
    return this;
  }

  async stop() {
    for (const origin of [this.npm, this.python, this.go, this.helm, this.files]) await origin.stop();
    await this.oci?.stop();
  }

  /** The `repositories` of a configuration. */
  repositories() {
    return {
      npm: { type: 'npm', upstream: this.npm.url },
      pypi: this.python.repository(),
      go: { type: 'go', upstream: this.go.url, sumdb: this.goDatabase.verifierKey, unverified: '', private: '' },
      helm: { type: 'helm', upstream: this.helm.url },
      files: { type: 'files', upstream: this.files.url, rules: [{ match: '**', policy: 'immutable' }] },
      ...(this.oci !== undefined && { oci: { type: 'oci', upstream: this.oci.url } }),
    };
  }
}

/** @returns {Map<string, FixturePackage>} */
function npmPackages() {
  /** @type {FixturePackage} */
  const subject = { name: SUBJECT, versions: new Map(), tags: { latest: VERSIONS.fresh, bad: VERSIONS.malicious } };
  for (const version of Object.values(VERSIONS)) {
    const published = publishedAt(version);
    subject.versions.set(version, {
      ...fixtureVersion(SUBJECT, version),
      ...(published !== undefined && { published }),
    });
  }
  const packages = new Map([[SUBJECT, subject]]);
  const rotten = fixtureVersion(ROTTEN, '1.0.0');
  packages.set(ROTTEN, { name: ROTTEN, versions: new Map([['1.0.0', rotten]]), tags: { latest: '1.0.0' } });
  // Clients ask for themselves.
  for (const name of ['npm', 'pnpm', 'yarn', 'bun']) {
    packages.set(name, {
      name,
      versions: new Map([['1.0.0', fixtureVersion(name, '1.0.0')]]),
      tags: { latest: '1.0.0' },
    });
  }
  return packages;
}

function pythonProjects() {
  /** @param {string} project @param {string} version @returns {PythonFile} */
  const file = (project, version) => ({ ...wheel(project, version, {}), uploaded: publishedAt(version) ?? GO_DATE });
  const files = Object.values(VERSIONS).map((version) => file(SUBJECT, version));
  return new Map([
    [SUBJECT, { name: SUBJECT, form: /** @type {const} */ ('json'), files }],
    [ROTTEN, { name: ROTTEN, form: /** @type {const} */ ('json'), files: [file(ROTTEN, '1.0.0')] }],
  ]);
}

/** @param {GoDatabase} database @returns {GoModule[]} */
function goModules(database) {
  const named = [...Object.values(VERSIONS).map((version) => [GO_SUBJECT, version]), [GO_ROTTEN, '1.0.0']];
  return named.map(([path = '', version = '']) => {
    const files = { 'm.go': 'package m\n\nconst Value = 1\n' };
    const module = goModule({ path, version: `v${version}`, files, database });
    const info = JSON.stringify({ Version: `v${version}`, Time: publishedAt(version) ?? GO_DATE });
    return { ...module, info };
  });
}

/** @returns {HelmUpstream['charts']} */
function helmCharts() {
  const named = [...Object.values(VERSIONS).map((version) => [SUBJECT, version]), [ROTTEN, '1.0.0']];
  return named.map(([name = '', version = '']) => {
    const created = publishedAt(version);
    const file = `${name}-${version}.tgz`;
    const common = { name, version, archive: chartArchive({ name, version }), urls: [file], path: `/stable/${file}` };
    return { ...common, host: /** @type {const} */ ('here'), ...(created !== undefined && { created }) };
  });
}

/** An image for each version: an index with one child. */
function imageSet() {
  const set = new ImageSet(IMAGE);
  for (const version of Object.values(VERSIONS)) {
    const layer = tarball({ 'bin/app': { body: noise(version, 2000), executable: true } });
    const config = {
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [] },
      history: [],
    };
    const child = set.manifest(TYPES.manifest, {
      config: set.blob(
        Buffer.from(JSON.stringify({ ...config, created: `2024-01-01T00:00:0${version[2]}Z` })),
        TYPES.config,
      ),
      layers: [set.blob(layer, TYPES.layer)],
    });
    set.manifest(TYPES.index, { manifests: [{ ...child, platform: { architecture: 'amd64', os: 'linux' } }] }, [
      version,
    ]);
  }
  return set;
}

const OSV_PACKAGES = [
  { ecosystem: 'npm', subject: SUBJECT, rotten: ROTTEN },
  { ecosystem: 'PyPI', subject: SUBJECT, rotten: ROTTEN },
  { ecosystem: 'Go', subject: GO_SUBJECT, rotten: GO_ROTTEN },
];

/** A small advisory database: a folder as the OSV scanner takes it. */
export class AdvisoryFolder {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
  }

  async write() {
    await rm(this.path, { recursive: true, force: true });
    for (const { ecosystem, subject, rotten } of OSV_PACKAGES) {
      await this.add(ecosystem, MALWARE, { name: subject, versions: [VERSIONS.malicious] });
      await this.add(ecosystem, 'MAL-2024-0005', { name: rotten, versions: ['1.0.0'] });
      await this.add(ecosystem, ADVISORY, { name: subject, versions: [VERSIONS.vulnerable] });
    }
  }

  /**
   * One record. Without `versions` the package is affected as a whole.
   * @param {string} ecosystem @param {string} id @param {{ name: string, versions: readonly string[] }} affected
   */
  async add(ecosystem, id, { name, versions }) {
    const folder = join(this.path, ecosystem);
    await mkdir(folder, { recursive: true });
    const isMalware = id.startsWith('MAL-');
    const record = {
      schema_version: '1.6.0',
      id: `${id}-${ecosystem}`,
      published: '2024-06-01T00:00:00Z',
      modified: new Date().toISOString(),
      summary: isMalware ? 'It is hostile' : 'A fixture vulnerability',
      ...(!isMalware && { severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N' }] }),
      affected: [{ package: { ecosystem, name }, versions }],
    };
    await writeFile(join(folder, `${record.id}-${name.replaceAll('/', '-')}.json`), JSON.stringify(record));
  }
}
