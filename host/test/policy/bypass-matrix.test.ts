import { createHash } from 'node:crypto';
import { gunzipSync as gunzip, gzipSync } from 'node:zlib';
import type { AnyDeclaredPlugin, PolicyInput, RequestHead } from '@entrepot/core';
import { FixedPolicy, openTestRepository, packTar, type TestReply, type TestRepository } from '@entrepot/core/testing';
import cargo from '@entrepot/plugin-cargo';
import files from '@entrepot/plugin-files';
import go from '@entrepot/plugin-go';
import helm from '@entrepot/plugin-helm';
import { apk, deb, pacman, rpm } from '@entrepot/plugin-linux-repos';
import maven from '@entrepot/plugin-maven';
import npm from '@entrepot/plugin-npm';
import oci from '@entrepot/plugin-oci';
import pypi from '@entrepot/plugin-pypi';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { DebArchive } from '@entrepot/fixtures/deb-archive';
import { GoDatabase, goModule, proxyAnswer } from '@entrepot/fixtures/go-database';

const BASE = '/upstream/base';
const BAD = 'what nobody may have';
const JSON_TYPE = 'application/json';

/** One way to ask for something of a denied version. */
interface Way {
  /** Its name in the table. */
  readonly form: string;
  /** Below the mount, as it is sent. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For a document: whether a body still offers the denied version. Absent: nothing may come at all. */
  readonly offers?: (body: string) => boolean;
  /** It is served on purpose, unless the version is hostile: other builds need it. */
  readonly exempt?: true;
}

/** An ecosystem with a version that is denied, and all ways to it. */
interface Ecosystem {
  readonly name: string;
  readonly plugin: AnyDeclaredPlugin;
  readonly options?: unknown;
  /** The scope of its upstream. */
  readonly scope?: string;
  readonly isDenied: (input: PolicyInput) => boolean;
  readonly serve?: (repository: TestRepository) => void | Promise<void>;
  /** Replies of its upstream by path, where it answers so. */
  readonly handler?: (path: string) => { body: Buffer | string; mediaType: string } | undefined;
  readonly ways: readonly Way[];
  /** Forms that are known to be of the version only once it is kept. */
  readonly keptOnly?: RegExp;
  /** Classes of the proxy that need no way: they name no version, or no request leads to them. */
  readonly withoutWay?: readonly string[];
}

const METHODS = {
  GET: {},
  HEAD: {},
  'GET with Range': { range: 'bytes=0-1' },
  'GET with If-None-Match': { 'if-none-match': '"sha256:0"' },
  'GET with If-Modified-Since': { 'if-modified-since': 'Thu, 01 Jan 2099 00:00:00 GMT' },
  'GET with gzip': { 'accept-encoding': 'gzip' },
} as const;

const hash = (bytes: string | Buffer, algorithm = 'sha256', encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash(algorithm).update(bytes).digest(encoding);
const is =
  (name: RegExp, version: string) =>
  (input: PolicyInput): boolean =>
    name.test(input.coordinates.name) && input.coordinates.version === version;

const PACKUMENT_TYPE = 'application/vnd.npm.install-v1+json';
const offersNpm = (body: string): boolean => {
  // A range of it, which is no JSON: why the version is gone stands last.
  if (!body.endsWith('}')) return body.split('"policyRestrictions"', 1)[0]?.includes('1.1.0') === true;
  const { policyRestrictions: _reason, ...shown } = JSON.parse(body) as { readonly policyRestrictions?: unknown };
  return JSON.stringify(shown).includes('1.1.0');
};
const npmWays = (name: string): Way[] => {
  const spellings = name.startsWith('@')
    ? [name, name.replace('/', '%2f'), name.replace('@', '%40')]
    : [name, `%${hex(name)}${name.slice(1)}`];
  const bare = name.slice(name.indexOf('/') + 1);
  return spellings.flatMap((path): Way[] => [
    { form: 'packument', path: `/${path}`, offers: offersNpm },
    { form: 'abbreviated packument', path: `/${path}`, headers: { accept: PACKUMENT_TYPE }, offers: offersNpm },
    { form: 'version document', path: `/${path}/1.1.0` },
    { form: 'document of a tag', path: `/${path}/latest`, offers: offersNpm },
    { form: 'document of a tag', path: `/${path}/next`, offers: offersNpm },
    { form: 'dist-tags', path: `/-/package/${path}/dist-tags`, offers: offersNpm },
    { form: 'tarball', path: `/${path}/-/${bare}-1.1.0.tgz` },
    { form: 'tarball', path: `/${path}/-/${bare}-1%2E1.0.tgz` },
    { form: 'tarball by the name of its upstream', path: `/${path}/-/upstream-name.tgz` },
    { form: 'attestations', path: `/-/npm/v1/attestations/${path}@1.1.0` },
    ...(name.startsWith('@') ? [{ form: 'tarball', path: `/${path}/-/${name}-1.1.0.tgz` }] : []),
  ]);
};
const hex = (text: string): string => text.charCodeAt(0).toString(16);

const NPM: Ecosystem = {
  name: 'npm',
  plugin: npm,
  isDenied: is(/tool$/, '1.1.0'),
  serve({ upstream, upstreamUrl }) {
    for (const name of ['tool', '@acme/tool']) {
      const version = (number: string, file: string): object => ({
        name,
        version: number,
        dist: {
          integrity: `sha512-${hash(BAD, 'sha512', 'base64')}`,
          tarball: `${upstreamUrl}/${name}/-/${file}`,
          attestations: { url: `${upstreamUrl}/-/npm/v1/attestations/${name}@${number}` },
        },
      });
      const body = JSON.stringify({
        name,
        'dist-tags': { latest: '1.1.0', next: '1.1.0' },
        versions: { '1.0.0': version('1.0.0', 'tool-1.0.0.tgz'), '1.1.0': version('1.1.0', 'upstream-name.tgz') },
        time: { '1.0.0': '2020-01-01T00:00:00Z', '1.1.0': '2020-02-01T00:00:00Z' },
      });
      upstream.serve(`${BASE}/${name.replace('/', '%2f')}`, { body, mediaType: JSON_TYPE });
      for (const file of ['tool-1.0.0.tgz', 'tool-1.1.0.tgz', 'upstream-name.tgz'])
        upstream.serve(`${BASE}/${name}/-/${file}`, { body: BAD });
      upstream.serve(`${BASE}/-/npm/v1/attestations/${name.replace('/', '%2f')}@1.1.0`, {
        body: JSON.stringify({ attestations: [BAD] }),
        mediaType: JSON_TYPE,
      });
    }
  },
  ways: [...npmWays('tool'), ...npmWays('@acme/tool')],
  // The keys of the registry; and what facts of one version are read from, which is never served.
  withoutWay: ['keys', 'version'],
};

const WHEEL = 'demo-1.1-py3-none-any.whl';
const offersPython = (body: string): boolean => /1\.1/.test(body.replace(/"api-version":"1\.\d"|content="1\.\d"/g, ''));
const fileOf = (name: string): string => `/files/demo/${hash(BAD).slice(0, 16)}/${name}`;
const PYPI: Ecosystem = {
  name: 'pypi',
  plugin: pypi,
  options: { deriveMetadata: false },
  isDenied: is(/^demo$/, '1.1'),
  serve({ upstream, upstreamUrl }) {
    const entry = (filename: string): object => ({
      filename,
      url: `${upstreamUrl}/f/${filename}`,
      hashes: { sha256: hash(BAD) },
      digests: { sha256: hash(BAD) },
      'core-metadata': { sha256: hash(BAD) },
      'upload-time': '2020-01-01T00:00:00Z',
      upload_time_iso_8601: '2020-01-01T00:00:00Z',
      ...(filename === WHEEL && { provenance: `${upstreamUrl}/integrity/demo/1.1/${WHEEL}/provenance` }),
    });
    const names = ['demo-1.0.tar.gz', 'demo-1.1.tar.gz', WHEEL];
    const page = { meta: { 'api-version': '1.1' }, name: 'demo', versions: ['1.0', '1.1'], files: names.map(entry) };
    upstream.serve(`${BASE}/simple/demo/`, {
      body: JSON.stringify(page),
      mediaType: 'application/vnd.pypi.simple.v1+json',
    });
    for (const name of names) {
      for (const suffix of ['', '.metadata']) upstream.serve(`${BASE}/f/${name}${suffix}`, { body: BAD });
      upstream.serve(`${BASE}/f/${name}.asc`, {
        body: `-----BEGIN PGP SIGNATURE-----
${BAD}`,
      });
    }
    const releases = { '1.0': [entry('demo-1.0.tar.gz')], '1.1': [entry('demo-1.1.tar.gz')] };
    const body = JSON.stringify({ info: { name: 'demo', version: '1.1' }, releases, urls: [entry('demo-1.1.tar.gz')] });
    for (const path of ['demo/json', 'demo/1.1/json'])
      upstream.serve(`${BASE}/pypi/${path}`, { body, mediaType: JSON_TYPE });
    upstream.serve(`${BASE}/integrity/demo/1.1/${WHEEL}/provenance`, {
      body: JSON.stringify({ attestation_bundles: [BAD] }),
      mediaType: JSON_TYPE,
    });
  },
  ways: [
    ...['application/vnd.pypi.simple.v1+json', 'application/vnd.pypi.simple.v1+html', 'text/html', '*/*'].map(
      (accept) => ({
        form: `project page (${accept})`,
        path: '/simple/demo/',
        headers: { accept },
        offers: offersPython,
      }),
    ),
    ...['/pypi/demo/json', '/pypi/demo/1.1/json'].map((path) => ({ form: 'legacy JSON', path, offers: offersPython })),
    ...[WHEEL, 'demo-1.1.tar.gz', WHEEL.replace('-py3', '%2Dpy3')].flatMap((name): Way[] => [
      { form: 'file', path: fileOf(name) },
      { form: 'metadata of a file', path: fileOf(`${name}.metadata`) },
      { form: 'signature of a file', path: fileOf(`${name}.asc`) },
    ]),
    { form: 'provenance', path: `/integrity/demo/1.1/${WHEEL}/provenance` },
  ],
  // The names of all projects.
  withoutWay: ['index'],
};

const database = new GoDatabase();
const modules = ['v1.0.0', 'v1.1.0'].map((version) =>
  goModule({ path: 'example.com/Tool', version, files: { 'a.go': `package a // ${BAD}` }, database }),
);
database.fill(20);
const LOOKUP = `/sumdb/${database.name}/lookup/example.com/!tool@v1.1.0`;
const offersGo = (body: string): boolean => body.includes('v1.1.0');
const goEcosystem = (name: string, options: object, more: Partial<Ecosystem> = {}): Ecosystem => ({
  name,
  plugin: go,
  options: { unverified: '', private: '', ...options },
  isDenied: is(/Tool$/, 'v1.1.0'),
  handler(path) {
    const found = proxyAnswer(modules, database, path.replace('@v/main.info', '@v/v1.1.0.info'));
    return found && { body: found.body, mediaType: found.mediaType ?? 'text/plain' };
  },
  ways: ['/example.com/!tool', '/cached-only/example.com/!tool', '/example.com/%21tool'].flatMap((path): Way[] => [
    { form: 'list', path: `${path}/@v/list`, offers: offersGo },
    { form: '@latest', path: `${path}/@latest`, offers: offersGo },
    { form: 'query', path: `${path}/@v/main.info`, offers: offersGo },
    { form: 'zip', path: `${path}/@v/v1.1.0.zip` },
    { form: '.info (exempt)', path: `${path}/@v/v1.1.0.info`, exempt: true },
    { form: '.mod (exempt)', path: `${path}/@v/v1.1.0.mod`, exempt: true },
  ]),
  // Sums of all modules; and what dates of versions are read from, which is never served.
  withoutWay: ['checksum-head', 'checksum-tile', 'date'],
  ...more,
});

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const imageOf = (layer: string): string => {
  const part = (mediaType: string, bytes: string): object => ({
    mediaType,
    digest: `sha256:${hash(bytes)}`,
    size: bytes.length,
  });
  const layers = [part('application/vnd.oci.image.layer.v1.tar+gzip', layer)];
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: part('application/vnd.oci.image.config.v1+json', '{}'),
    layers,
  });
};
const child = imageOf(BAD);
const image = JSON.stringify({
  schemaVersion: 2,
  mediaType: INDEX,
  manifests: [{ mediaType: MANIFEST, digest: `sha256:${hash(child)}`, size: child.length }],
});
const OCI: Ecosystem = {
  name: 'oci',
  plugin: oci,
  isDenied: is(/^team\/app$/, '1.1.0'),
  serve({ upstream }) {
    const at = `${BASE}/v2/team/app`;
    upstream.serve(`${at}/tags/list`, { body: '{"name":"team/app","tags":["1.0.0","1.1.0"]}', mediaType: JSON_TYPE });
    const named = { '1.1.0': image, [`sha256:${hash(image)}`]: image, [`sha256:${hash(child)}`]: child };
    for (const [reference, body] of Object.entries(named))
      upstream.serve(`${at}/manifests/${reference}`, {
        body,
        mediaType: body === image ? INDEX : MANIFEST,
        headers: { 'docker-content-digest': `sha256:${hash(body)}` },
      });
  },
  ways: ['/team/app', '/team%2fapp'].flatMap((path): Way[] => [
    { form: 'list of tags', path: `${path}/tags/list`, offers: (body) => body.includes('1.1.0') },
    { form: 'list of tags, a page', path: `${path}/tags/list?n=10`, offers: (body) => body.includes('1.1.0') },
    { form: 'manifest by tag', path: `${path}/manifests/1.1.0` },
    { form: 'manifest by tag, ?ns=', path: `${path}/manifests/1.1.0?ns=registry.example.com` },
    { form: 'manifest by digest (kept)', path: `${path}/manifests/sha256:${hash(image)}` },
    { form: 'manifest of an index by digest (kept)', path: `${path}/manifests/sha256:${hash(child)}` },
  ]),
  // A tag that was refused was never looked at: nobody here knows what it stands for.
  keptOnly: /by digest/,
  // The names of all images.
  withoutWay: ['catalog'],
};

const FILES: Ecosystem = {
  name: 'files',
  plugin: files,
  options: { rules: [{ match: '**/*.zip', policy: 'immutable', checksum: { sidecar: '.sha256' } }] },
  isDenied: ({ coordinates: { name } }) => /tool-1\.1\.0\.(?:zip|txt)$/.test(name),
  serve({ upstream }) {
    upstream.serve(`${BASE}/dl/tool-1.1.0.zip`, { body: BAD });
    upstream.serve(`${BASE}/dl/tool-1.1.0.txt`, { body: BAD });
    upstream.serve(`${BASE}/dl/tool-1.1.0.zip.sha256`, { body: `${hash(BAD)}  tool-1.1.0.zip\n` });
  },
  ways: [
    { form: 'immutable file', path: '/dl/tool-1.1.0.zip' },
    { form: 'immutable file', path: '/dl/tool-1%2E1.0.zip' },
    { form: 'file that may change', path: '/dl/tool-1.1.0.txt' },
    { form: 'checksum file', path: '/dl/tool-1.1.0.zip.sha256' },
  ],
};

const chart = gzipSync(BAD);
const HELM: Ecosystem = {
  name: 'helm',
  plugin: helm,
  isDenied: is(/^app$/, '1.1.0'),
  serve({ upstream }) {
    const version = (number: string): string =>
      `  - apiVersion: v2\n    name: app\n    version: ${number}\n    urls: ["charts/app-${number}.tgz"]\n    digest: ${hash(chart)}\n`;
    const body = `apiVersion: v1\nentries:\n  app:\n${version('1.1.0')}${version('1.0.0')}generated: "2024-01-01T00:00:00Z"\n`;
    upstream.serve(`${BASE}/index.yaml`, { body, mediaType: 'text/yaml' });
    upstream.serve(`${BASE}/charts/app-1.1.0.tgz`, { body: chart });
    upstream.serve(`${BASE}/charts/app-1.1.0.tgz.prov`, { body: `-----BEGIN PGP SIGNED MESSAGE-----\n${BAD}` });
  },
  ways: [
    { form: 'index', path: '/index.yaml', offers: (body) => body.includes('1.1.0') },
    { form: 'chart', path: '/charts/app-1.1.0.tgz' },
    { form: 'provenance of a chart', path: '/charts/app-1.1.0.tgz.prov' },
  ],
};

const CARGO: Ecosystem = {
  name: 'cargo',
  plugin: cargo,
  isDenied: is(/^My_Tool$/, '1.1.0'),
  serve({ upstream, upstreamUrl }) {
    const line = (vers: string): string =>
      `${JSON.stringify({ name: 'My_Tool', vers, deps: [], cksum: hash(BAD), features: {}, yanked: false })}\n`;
    upstream.serve(`${BASE}/config.json`, { body: JSON.stringify({ dl: `${upstreamUrl}/dl` }), mediaType: JSON_TYPE });
    upstream.serve(`${BASE}/my/_t/my_tool`, { body: line('1.0.0') + line('1.1.0') });
    for (const version of ['1.0.0', '1.1.0']) upstream.serve(`${BASE}/dl/My_Tool/${version}/download`, { body: BAD });
  },
  ways: [
    {
      form: 'index',
      path: '/my/_t/my_tool',
      offers: (body) => /"vers":"1\.1\.0".*"yanked":false/.test(body),
    },
    ...['My_Tool', 'my_tool', 'MY_TOOL', 'My%5FTool'].flatMap((name) =>
      ['1.1.0', '1%2E1.0'].flatMap((version): Way[] => [
        { form: 'crate', path: `/api/v1/crates/${name}/${version}/download` },
        { form: 'crate by its sum', path: `/api/v1/crates/${name}/${version}/${hash(BAD)}/download` },
        { form: 'crate by its sum', path: `/api/v1/crates/${name}/${version}/${hash(BAD).toUpperCase()}/download` },
      ]),
    ),
  ],
  // Where crates are; and what licences are read from, which is never served.
  withoutWay: ['config', 'metadata'],
};

const TOOL = '/org/example/tool';
const toolJar = `PK\u0003\u0004${BAD}`;
const toolPom = `<project><groupId>org.example</groupId><artifactId>tool</artifactId><version>1.1</version><name>${BAD}</name></project>`;
const offersMaven = (body: string): boolean => body.includes('>1.1<');
const MAVEN: Ecosystem = {
  name: 'maven',
  plugin: maven,
  isDenied: is(/^org\.example\/tool$/, '1.1'),
  serve({ upstream }) {
    const list = `<metadata><groupId>org.example</groupId><artifactId>tool</artifactId><versioning><latest>1.1</latest><release>1.1</release><versions><version>1.0</version><version>1.1</version></versions></versioning></metadata>`;
    const files = {
      [`${TOOL}/maven-metadata.xml`]: list,
      [`${TOOL}/1.1/tool-1.1.jar`]: toolJar,
      [`${TOOL}/1.1/tool-1.1.pom`]: toolPom,
    };
    for (const [path, body] of Object.entries({
      ...files,
      [`${TOOL}/1.1/tool-1.1.jar.asc`]: BAD,
      [`${TOOL}/1.1/other.jar`]: toolJar,
    })) {
      upstream.serve(BASE + path, { body });
      upstream.serve(`${BASE}${path}.sha1`, { body: hash(body, 'sha1') });
    }
  },
  ways: [
    { form: 'metadata', path: `${TOOL}/maven-metadata.xml`, offers: offersMaven },
    { form: 'file', path: `${TOOL}/1.1/tool-1.1.jar` },
    { form: 'file', path: `${TOOL}/1%2E1/tool-1.1.jar` },
    { form: 'POM', path: `${TOOL}/1.1/tool-1.1.pom` },
    { form: 'signature', path: `${TOOL}/1.1/tool-1.1.jar.asc` },
    { form: 'file of another name', path: `${TOOL}/1.1/other.jar` },
    { form: 'sum of a file', path: `${TOOL}/1.1/tool-1.1.jar.sha1` },
    { form: 'sum of a POM', path: `${TOOL}/1.1/tool-1.1.pom.sha512` },
    { form: 'sum of a file of another name', path: `${TOOL}/1.1/other.jar.md5` },
  ],
  // Snapshots are of other versions; the others lead to no client.
  withoutWay: ['timestamped', 'snapshot', 'snapshot-metadata', 'source', 'checksum', 'project', 'parent'],
};

const archive = await DebArchive.create();
// The clock of the tests stands there.
archive.age = Date.UTC(2026, 0, 1) - Date.now();
const debPath = 'pool/main/a/app/app_1.1.0_all.deb';
archive.packages = [{ name: 'app-tools', version: '1.1.0', source: 'app', path: debPath, bytes: Buffer.from(BAD) }];
await archive.publish();
/** Classes of repositories of Linux packages: requests are for aliases, which lead to all of these. */
const WITHOUT_WAY = ['auxiliary', 'generations', 'package', 'packages', 'pointer', 'upstream'];

/** The ways to a package of a repository of Linux packages. */
function waysTo(name: string): Way[] {
  return [`/${name}`, `/${name.replace('/app', '/%61pp')}`]
    .flatMap((path) => [path, `/snapshots/20260101T000000Z${path}`])
    .map((path) => ({ form: path.startsWith('/snapshots') ? 'package, as of a day' : 'package', path }));
}

const DEB: Ecosystem = {
  name: 'deb',
  plugin: deb,
  isDenied: is(/^debian-12\/app$/, '1.1.0'),
  async serve({ upstream, ask }) {
    for (const [path, body] of archive.files) upstream.serve(`${BASE}/${path}`, { body });
    // A package of no suite that is known is not there.
    await ask('/dists/stable/InRelease');
  },
  ways: [`/${debPath}`, `/./${debPath}`, `//${debPath}`, `/${debPath.replace('/app/', '/%61pp/')}`]
    .flatMap((path) => [path, `/snapshots/20260101T000000Z${path}`])
    .map((path) => ({ form: path.startsWith('/snapshots') ? 'package, as of a day' : 'package', path })),
  withoutWay: [...WITHOUT_WAY, 'index', 'listing'],
};

const RPM_PATH = 'os/Packages/a/app-1.1.0-1.x86_64.rpm';
const RPM: Ecosystem = {
  name: 'rpm',
  plugin: rpm,
  isDenied: is(/^app$/, '1.1.0-1'),
  async serve({ upstream, ask }) {
    const primary = `<metadata packages="1"><package type="rpm"><name>app</name><arch>x86_64</arch>
<version epoch="0" ver="1.1.0" rel="1"/><checksum type="sha256" pkgid="YES">${hash(BAD)}</checksum>
<location href="${RPM_PATH.slice('os/'.length)}"/></package></metadata>`;
    const repomd = `<repomd><revision>1</revision><data type="primary"><checksum type="sha256">${hash(primary)}</checksum>
<location href="repodata/primary.xml"/></data></repomd>`;
    upstream.serve(`${BASE}/os/repodata/repomd.xml`, { body: repomd });
    upstream.serve(`${BASE}/os/repodata/primary.xml`, { body: primary });
    upstream.serve(`${BASE}/${RPM_PATH}`, { body: BAD });
    await ask('/os/repodata/repomd.xml');
  },
  ways: waysTo(RPM_PATH),
  withoutWay: [...WITHOUT_WAY, 'index', 'listing', 'mirrorList', 'ownMirrors'],
};

const PACMAN_PATH = 'core/os/x86_64/app-1.1.0-1-x86_64.pkg.tar.zst';
const PACMAN: Ecosystem = {
  name: 'pacman',
  plugin: pacman,
  isDenied: is(/^arch\/app$/, '1.1.0-1'),
  async serve({ upstream, ask }) {
    const fields = { FILENAME: PACMAN_PATH.split('/').at(-1), NAME: 'app', VERSION: '1.1.0-1', ARCH: 'x86_64' };
    const text = Object.entries({ ...fields, SHA256SUM: hash(BAD) })
      .map(([name, value]) => `%${name}%\n${value}\n\n`)
      .join('');
    const body = gzipSync(packTar([{ name: 'app-1.1.0-1/desc', content: text }]));
    upstream.serve(`${BASE}/core/os/x86_64/core.db`, { body });
    upstream.serve(`${BASE}/${PACMAN_PATH}`, { body: BAD });
    await ask('/core/os/x86_64/core.db');
  },
  ways: waysTo(PACMAN_PATH),
  withoutWay: [...WITHOUT_WAY, 'upstreamList'],
};

const APK_PATH = 'main/x86_64/app-1.1.0.apk';
const APK: Ecosystem = {
  name: 'apk',
  plugin: apk,
  isDenied: is(/^app$/, '1.1.0'),
  async serve({ upstream, ask }) {
    const data = gzipSync(packTar([{ name: 'app', content: BAD }]));
    const control = gzipSync(packTar([{ name: '.PKGINFO', content: `datahash = ${hash(data)}\n` }], Buffer.alloc(0)));
    const content = `C:Q1${hash(control, 'sha1', 'base64')}\nP:app\nV:1.1.0\n\n`;
    upstream.serve(`${BASE}/main/x86_64/APKINDEX.tar.gz`, { body: gzipSync(packTar([{ name: 'APKINDEX', content }])) });
    upstream.serve(`${BASE}/${APK_PATH}`, { body: Buffer.concat([control, data]) });
    await ask('/main/x86_64/APKINDEX.tar.gz');
  },
  ways: waysTo(APK_PATH),
  withoutWay: [...WITHOUT_WAY, 'upstreamList'],
};

const ECOSYSTEMS = [
  NPM,
  PYPI,
  goEcosystem('go', { sumdb: database.verifierKey }),
  goEcosystem('go without a checksum database', { sumdb: 'off' }),
  goEcosystem('go, private modules', { sumdb: 'off', private: 'example.com' }, { scope: 'example.com' }),
  OCI,
  FILES,
  HELM,
  CARGO,
  MAVEN,
  DEB,
  RPM,
  PACMAN,
  APK,
];

/** The outcomes of the requests of one ecosystem, by form. */
interface Row {
  readonly forms: Map<
    string,
    { requests: number; refused: number; filtered: number; exempt: number; allowed: string[] }
  >;
}

const table = new Map<string, Row['forms']>();

function note(ecosystem: string, form: string, became: 'refused' | 'filtered' | 'exempt' | { allowed: string }): void {
  const forms: Row['forms'] = table.get(ecosystem) ?? new Map();
  const row = forms.get(form) ?? { requests: 0, refused: 0, filtered: 0, exempt: 0, allowed: [] };
  row.requests += 1;
  if (typeof became === 'string') row[became] += 1;
  else row.allowed.push(became.allowed);
  table.set(ecosystem, forms.set(form, row));
}

/** Judges the reply to a request for a denied version. */
function judge(
  { form, path, offers, exempt }: Way,
  reply: TestReply,
  method: string,
  bytes: Buffer,
): 'refused' | 'filtered' | 'exempt' | { allowed: string } {
  // What is not kept is not there for who asks for nothing else.
  if (reply.status === 403 || (reply.status === 404 && path.startsWith('/cached-only/'))) return 'refused';
  if (exempt === true)
    return reply.status < 400 ? 'exempt' : { allowed: `${form}: ${reply.status}, although it is exempt` };
  // A head says nothing of a version, and a part of a filtered document is a part of it.
  if (offers !== undefined && (method === 'HEAD' || reply.status === 304 || !offers(bytes.toString())))
    return 'filtered';
  return { allowed: `${method} ${form}: ${reply.status}` };
}

async function open(ecosystem: Ecosystem, policy: FixedPolicy): Promise<TestRepository> {
  const { plugin, options, scope, handler } = ecosystem;
  const repository = await openTestRepository({
    plugin,
    options: options ?? {},
    scope,
    policy,
    instance(made) {
      const route = made.route.bind(made);
      return Object.assign(made, {
        route(head: RequestHead) {
          const resource = route(head);
          if (resource !== undefined && 'class' in resource) reached.get(plugin)?.add(resource.class);
          return resource;
        },
      });
    },
  });
  onTestFinished(() => repository.close());
  await ecosystem.serve?.(repository);
  if (handler !== undefined) {
    const paths = new Set(ecosystem.ways.map(({ path }) => decodeURIComponent(path).replace('/cached-only', '')));
    for (const path of [...paths, ...sumPaths()]) {
      const found = handler(path.slice(1));
      if (found !== undefined) repository.upstream.serve(BASE + path.replaceAll('!', '%21'), found);
    }
  }
  return repository;
}

/** The classes that the requests of this matrix reached, by plugin. */
const reached = new Map(ECOSYSTEMS.map(({ plugin }) => [plugin, new Set<string>()]));

/** Everything of the checksum database that the few records of these tests need. */
function sumPaths(): string[] {
  const root = `/sumdb/${database.name}`;
  const tiles = ['0', '1', '2'].flatMap((level) =>
    Array.from({ length: 64 }, (_, width) => `${root}/tile/8/${level}/000${width === 0 ? '' : `.p/${width}`}`),
  );
  const data = Array.from({ length: 64 }, (_, width) => `${root}/tile/8/data/000${width === 0 ? '' : `.p/${width}`}`);
  return [
    `${root}/latest`,
    ...modules.map(({ version }) => `${root}/lookup/example.com/!tool@${version}`),
    ...tiles,
    ...data,
  ];
}

/** The requests to the upstream for something of the denied name, in each ecosystem, and ways to it that no version has. */
const NAMES: readonly { readonly ecosystem: Ecosystem; readonly name: RegExp; readonly more?: readonly string[] }[] = [
  { ecosystem: NPM, name: /tool/, more: ['/-/v1/search?text=tool', '/-/v1/search?text=a+scope:acme+b&size=9'] },
  { ecosystem: PYPI, name: /demo/ },
  { ecosystem: goEcosystem('go', { sumdb: database.verifierKey }), name: /tool/i, more: [LOOKUP] },
  {
    ecosystem: OCI,
    name: /team/,
    more: [
      `/team/app/blobs/sha256:${hash(BAD)}`,
      `/team/app/referrers/sha256:${hash(image)}`,
      `/team/app/referrers/sha256:${hash(image)}?artifactType=application/spdx`,
    ],
  },
  { ecosystem: FILES, name: /tool/ },
  { ecosystem: HELM, name: /app/ },
  { ecosystem: MAVEN, name: /tool/ },
  { ecosystem: DEB, name: /app/ },
];

describe('a denied name', () => {
  it.each(NAMES.map((each) => ({ ...each, of: each.ecosystem.name })))(
    'of $of is not told to its upstream',
    async ({ ecosystem, name, more = [] }) => {
      const isOfIt = ({ coordinates }: PolicyInput): boolean =>
        name.test(coordinates.name) || coordinates.name === '@acme/-';
      const policy = new FixedPolicy([{ id: 'private', action: 'deny', reason: 'it is ours', matches: isOfIt }]);
      const repository = await open(ecosystem, policy);
      for (const path of [...ecosystem.ways.map((way) => way.path), ...more])
        for (const method of ['GET', 'HEAD']) await repository.ask({ path, method });
      const told = repository.upstream.requests.map(({ path }) => path).filter((path) => name.test(path));
      expect(told).toEqual([]);
      for (const path of more) expect([path, (await repository.ask(path)).status]).toEqual([path, 403]);
    },
  );
});

describe('a denied version', () => {
  const cases = ECOSYSTEMS.flatMap((ecosystem) =>
    (['cold', 'kept'] as const).map((state) => ({ name: ecosystem.name, state, ecosystem })),
  );

  it.each(cases)('of $name is to be had in no way: $state', async ({ ecosystem, state }) => {
    const rule = { id: 'denied', action: 'deny', reason: 'it is denied', matches: ecosystem.isDenied } as const;
    const policy = new FixedPolicy(state === 'cold' ? [rule] : []);
    const repository = await open(ecosystem, policy);
    const ways = ecosystem.ways.filter(({ form }) => state === 'kept' || ecosystem.keptOnly?.test(form) !== true);
    if (state === 'kept') {
      for (const { path, headers = {}, form } of ecosystem.ways) {
        if (path.startsWith('/cached-only')) continue;
        const { status, body } = await repository.ask({ path, headers });
        expect([form, path, status], body.toString('utf8', 0, 200)).toEqual([form, path, 200]);
      }
      policy.setRules([rule]);
    }
    for (const way of ways)
      for (const [method, headers] of Object.entries(METHODS)) {
        const isHead = method === 'HEAD';
        const reply = await repository.ask({
          method: isHead ? 'HEAD' : 'GET',
          path: way.path,
          headers: { ...headers, ...way.headers },
        });
        const bytes = reply.headers['content-encoding'] === 'gzip' ? gunzip(reply.body) : reply.body;
        const became = judge(way, reply, method, bytes);
        note(ecosystem.name, way.form, became);
        if (way.exempt !== true && way.offers === undefined) expect(bytes.includes(BAD)).toBe(false);
        expect([way.path, became]).not.toEqual([
          way.path,
          expect.objectContaining({ allowed: expect.anything() as string }),
        ]);
      }
  });

  it.each(ECOSYSTEMS)('of $name is asked for through every class that could give it', ({ plugin, withoutWay = [] }) => {
    const { classes } = plugin.proxy as { readonly classes: Readonly<Record<string, { readonly kind: string }>> };
    const stored = Object.entries(classes).filter(([, { kind }]) => kind === 'artifact' || kind === 'document');
    const unreached = stored.map(([name]) => name).filter((name) => reached.get(plugin)?.has(name) !== true);
    expect(unreached.sort()).toEqual([...withoutWay].sort());
  });

  afterAll(() => {
    const lines = [...table].flatMap(([ecosystem, forms]) =>
      [...forms].map(([form, { requests, refused, filtered, exempt, allowed }]) =>
        [ecosystem.padEnd(32), form.padEnd(52), requests, refused, filtered, exempt, allowed.length].join(' | '),
      ),
    );
    const head = [
      'ecosystem'.padEnd(32),
      'form'.padEnd(52),
      'requests',
      'refused',
      'filtered',
      'exempt',
      'allowed',
    ].join(' | ');
    process.stdout.write(`\n${[head, ...lines].join('\n')}\n`);
  });
});
