import { get } from '@entrepot/fixtures/get';
import { sha256 } from '@entrepot/fixtures/deb-archive';
import { GO_SUBJECT, IMAGE, MAVEN_GROUP, SUBJECT, VERSIONS } from '@entrepot/fixtures/policy-packages';
import { cargoDoors } from '../clients/cargo-doors.mjs';

/** @import { PolicyUpstreams } from '../servers/policy-upstreams.mjs' */
/** @import { Answer } from '@entrepot/fixtures/get' */

/**
 * A way to something: what a version is served at, or a document that must not name it.
 * @typedef {object} Door
 * @property {string} format
 * @property {string} path below the server
 * @property {'artifact' | 'document'} kind of a document that is of more than one version, only the version must not be in it
 * @property {Record<string, string>} [headers]
 * @property {string} [through] the URL of an upstream, for which the server is asked as its HTTP proxy
 */

const NPM_SHORT = 'application/vnd.npm.install-v1+json';
const SIMPLE_JSON = 'application/vnd.pypi.simple.v1+json';
const SIMPLE_HTML = 'application/vnd.pypi.simple.v1+html';
/** Ways of asking for the same. */
const QUESTIONS = [
  { method: 'GET', headers: {} },
  { method: 'HEAD', headers: {} },
  { method: 'GET', headers: { range: 'bytes=0-0' } },
  { method: 'GET', headers: { range: 'bytes=-1' } },
  { method: 'GET', headers: { 'accept-encoding': 'gzip, br, zstd' } },
  { method: 'GET', headers: { 'cache-control': 'only-if-cached' } },
  { method: 'GET', headers: { 'if-modified-since': 'Fri, 01 Jan 2100 00:00:00 GMT' } },
  { method: 'GET', headers: { 'if-none-match': '*' } },
  { method: 'GET', headers: { 'x-forwarded-host': 'elsewhere.example.com', 'x-forwarded-proto': 'https' } },
];

/**
 * Every door to one version of every format.
 * @param {PolicyUpstreams} upstreams
 * @param {string} version
 * @param {{ isMalicious: boolean }} options of a version that is refused for something else, `go.mod` and `.info` stay readable:
 *   the graphs of other modules need them
 * @returns {Door[]}
 */
function doorsTo(upstreams, version, { isMalicious }) {
  const wheel = upstreams.python.projects.get(SUBJECT)?.files.find((file) => file.version === version);
  const file = `/pypi/files/${SUBJECT}/${wheel?.sha256.slice(0, 16)}/${wheel?.filename}`;
  const crate = upstreams.cargo.crates.find((one) => one.name === SUBJECT && one.version === version);
  const cksum = sha256(crate?.archive ?? Buffer.alloc(0));
  const goFiles = isMalicious ? ['zip', 'info', 'mod'] : ['zip'];
  const npm = `/npm/${SUBJECT}`;
  const go = `/go/${GO_SUBJECT}/@v/v${version}`;
  const image = upstreams.oci === undefined ? undefined : upstreams.image.tagged(version);
  const child = image && JSON.parse(image.bytes.toString()).manifests[0].digest;
  return [
    ...artifacts('npm', [
      `${npm}/-/${SUBJECT}-${version}.tgz`,
      `${npm}/-/${SUBJECT}-${version}.tgz?x=1`,
      `${npm}/-/%73ubject-${version}.tgz`,
      `${npm}/-/${SUBJECT}%2D${version}.tgz`,
      `${npm}/%2D/${SUBJECT}-${version}.tgz`,
      `/%6epm/${SUBJECT}/-/${SUBJECT}-${version}.tgz`,
      `${npm}/${version}`,
      `${npm}/=${version}`,
      `${npm}/v${version}`,
      `${npm}/download/${SUBJECT}-${version}.tgz`,
    ]),
    ...documents(
      'npm',
      [npm, `${npm}?write=true`, `/npm/%73ubject`, `${npm}/latest`, `${npm}/bad`],
      ['application/json', NPM_SHORT, `${NPM_SHORT}; q=1.0, application/json; q=0.8`, '*/*'],
    ),
    ...documents('npm', [`/npm/-/package/${SUBJECT}/dist-tags`], ['application/json']),
    ...artifacts('PyPI', [
      file,
      `${file}.metadata`,
      `${file}.provenance`,
      `${file}.asc`,
      `${file}?x=1`,
      file.replace('-py3', '%2Dpy3'),
      file.replace('/files/subject/', '/files/Subject/'),
      `/pypi/pypi/${SUBJECT}/${version}/json`,
      `/pypi/integrity/${SUBJECT}/${version}/${wheel?.filename}/provenance`,
    ]),
    ...documents(
      'PyPI',
      [`/pypi/simple/${SUBJECT}/`, `/pypi/simple/${SUBJECT}`, '/pypi/simple/SUBJECT/', `/pypi/pypi/${SUBJECT}/json`],
      ['text/html', SIMPLE_JSON, SIMPLE_HTML, 'application/vnd.pypi.simple.latest+json', '*/*'],
    ),
    ...documents('PyPI', [`/pypi/simple/${SUBJECT}/?format=${encodeURIComponent(SIMPLE_JSON)}`], ['*/*']),
    ...artifacts(
      'Go',
      goFiles.flatMap((end) => [
        `${go}.${end}`,
        `${go}.${end}?x=1`,
        `/go/cached-only/${GO_SUBJECT}/@v/v${version}.${end}`,
        `${go.replace('/@v/', '/%40v/')}.${end}`,
        `${go.replace('example.test', 'example%2Etest')}.${end}`,
      ]),
    ),
    ...documents('Go', [`/go/${GO_SUBJECT}/@v/list`, `/go/${GO_SUBJECT}/@latest`], ['*/*']),
    ...artifacts('Helm', [
      `/helm/charts/${SUBJECT}-${version}.tgz`,
      `/helm/charts/${SUBJECT}-${version}.tgz.prov`,
      `/helm/charts/${SUBJECT}-${version}.tgz?x=1`,
      `/helm/charts/%73ubject-${version}.tgz`,
      `/helm/charts/${SUBJECT}%2D${version}.tgz`,
      `/helm/${SUBJECT}-${version}.tgz`,
    ]),
    ...documents('Helm', ['/helm/index.yaml', '/helm/index.json', '/helm/index.yaml?x=1'], ['*/*', 'application/json']),
    ...artifacts(
      'Cargo',
      cargoDoors({ name: SUBJECT, version, cksum }).map((door) => `/cargo${door}`),
    ),
    ...mavenDoors(version),
    ...debDoors(upstreams, version),
    ...artifacts('RPM', linuxWays('/rocky', pathIn(upstreams.rpm?.archive.files, `/${SUBJECT}-${version}-`))),
    ...artifacts('pacman', linuxWays('/arch', pathIn(upstreams.pacman?.files, `/${SUBJECT}-${version}-`))),
    ...(image === undefined
      ? []
      : [
          ...artifacts('OCI', [
            `/v2/oci/${IMAGE}/manifests/${version}`,
            `/v2/oci/${IMAGE}/manifests/${image.descriptor.digest}`,
            `/v2/oci/${IMAGE}/manifests/${child}`,
            `/v2/oci/${IMAGE}/manifests/${version}?ns=example.com`,
            `/v2/oci/${IMAGE}/manifests/${version.replaceAll('.', '%2E')}`,
          ]).flatMap((door) => [
            door,
            { ...door, headers: { accept: 'application/vnd.oci.image.index.v1+json' } },
            { ...door, headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' } },
          ]),
          ...documents('OCI', [`/v2/oci/${IMAGE}/tags/list`, `/v2/oci/${IMAGE}/tags/list?n=100`], ['*/*']),
        ]),
  ];
}

/** Every door to the files of a version, with their sums and signatures. @param {string} version @returns {Door[]} */
function mavenDoors(version) {
  const folder = `/maven/${MAVEN_GROUP.replaceAll('.', '/')}/${SUBJECT}`;
  const stem = `${folder}/${version}/${SUBJECT}-${version}`;
  const files = [
    ...['.pom', '.jar', '-sources.jar', '.jar.asc', '.pom.asc', '.module'].map((end) => stem + end),
    `${folder}/${version}/notes.txt`,
  ];
  const sums = ['', '.md5', '.sha1', '.sha256', '.sha512'].flatMap((end) => files.map((path) => path + end));
  const jar = `${stem}.jar`;
  const others = [
    `${jar}?x=1`,
    `${jar}/`,
    `${jar}.sha1.md5`,
    jar.replace('/maven/', '/%6daven/'),
    jar.replace('org/example', 'org%2Fexample'),
    jar.replace('org/example', 'org.example'),
    jar.replace('/org/', '//org/'),
    jar.replace('/org/', '/./org/'),
    jar.replace('/org/', '/other/../org/'),
    jar.replaceAll(SUBJECT, '%73ubject'),
    jar.replaceAll(SUBJECT, 'Subject'),
    jar.replaceAll(version, version.replace('.', '%2E')),
    jar.replace(`${SUBJECT}-`, `${SUBJECT}%2D`),
    jar.replace(`/${version}/`, `/${VERSIONS.good}/`),
    jar.replace(`/${version}/`, `/${VERSIONS.good}/../${version}/`),
    ...['checksum', 'project', 'parent', 'source'].map((name) => `${stem}.pom`.replace('/maven/', `/maven/${name}/`)),
  ];
  const metadata = ['', '.md5', '.sha1'].map((end) => `${folder}/maven-metadata.xml${end}`);
  return [
    ...artifacts('Maven', [...sums, ...others]),
    // It has no dates: one that is too young is listed, and refused when it is asked for.
    ...(version === VERSIONS.fresh ? [] : documents('Maven', [...metadata, `${metadata[0]}?x=1`], ['*/*', 'text/xml'])),
  ];
}

/**
 * Every door to a package of the archive: its paths, its bytes by their sums, states of the past, and the archive's own URLs.
 * @param {PolicyUpstreams} upstreams
 * @param {string} version
 * @returns {Door[]}
 */
function debDoors({ deb }, version) {
  if (deb === undefined) return [];
  const found = deb.archive.packages.find((one) => one.name === SUBJECT && one.version === version);
  const { path, bytes } = found ?? { path: '', bytes: Buffer.alloc(0) };
  const bySum = (/** @type {string} */ folder, algorithm = 'SHA256') =>
    `${folder}/by-hash/${algorithm}/${sha256(bytes)}`;
  const ways = [
    path,
    `${path}?x=1`,
    path.replace('pool/', '%70ool/'),
    path.replace('_', '%5F'),
    path.replaceAll('/', '%2F'),
    path.replace('pool/', 'pool//'),
    path.replace('pool/', './pool/'),
    path.replace('pool/', 'dists/../pool/'),
    path.replace('pool/', 'dists%2F..%2Fpool/'),
    `${path}/`,
    bySum('dists/stable/main/binary-amd64'),
    bySum('dists/stable/main/binary-amd64')
      .toUpperCase()
      .replace(/^.*BY-HASH/, 'dists/stable/main/binary-amd64/by-hash'),
    bySum('dists/stable'),
    bySum('pool/main'),
    bySum(path.slice(0, path.lastIndexOf('/'))),
    bySum('dists/other/main/binary-amd64'),
    bySum('dists/stable/main/binary-amd64', 'SHA512'),
    `by-hash/SHA256/${sha256(bytes)}`,
  ];
  const now = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const states = [...ways, ...ways.flatMap((way) => [`snapshots/${now}/${way}`, `snapshots/20990101T000000Z/${way}`])];
  const here = artifacts(
    'Debian',
    states.map((way) => `/debian/${way}`),
  );
  const proxied = artifacts(
    'Debian',
    ways.map((way) => `/${way}`),
  );
  return [...here, ...proxied.map((door) => ({ ...door, through: deb.mirror.url }))];
}

/** @param {Map<string, Buffer> | undefined} files @param {string} part */
function pathIn(files, part) {
  return [...(files?.keys() ?? [])].find((path) => path.includes(part));
}

/** Every door to a package of a repository: its path, and states of the past. @param {string} mount @param {string | undefined} path @returns {string[]} */
function linuxWays(mount, path) {
  if (path === undefined) return [];
  const name = path.slice(path.lastIndexOf('/') + 1);
  const folder = path.slice(0, -name.length);
  const ways = [
    path,
    `${path}?x=1`,
    `${folder}${name.replaceAll('-', '%2D')}`,
    path.replaceAll('/', '%2F'),
    `${folder}./${name}`,
    `${folder}/${name}`,
    `${folder}repodata/../${name}`,
    `${folder}repodata%2F..%2F${name}`,
    `${path}/`,
    `${folder}repodata/${name}`,
  ];
  const now = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const states = ways.flatMap((way) => [way, `snapshots/${now}/${way}`, `snapshots/20990101T000000Z/${way}`]);
  return states.map((way) => `${mount}/${way}`);
}

const FILE_DOORS = artifacts('files', [
  '/files/tools/bad.bin',
  '/files/tools/bad.bin?x=1',
  '/files/tools/%62ad.bin',
  '/files/tools/bad%2Ebin',
  '/files/%74ools/bad.bin',
  '/files/tools/./bad.bin',
  '/files/other/../tools/bad.bin',
  '/files//tools/bad.bin',
]);

/** @param {string} format @param {readonly string[]} paths @returns {Door[]} */
function artifacts(format, paths) {
  return paths.map((path) => ({ format, path, kind: 'artifact' }));
}

/** @param {string} format @param {readonly string[]} paths @param {readonly string[]} accepts @returns {Door[]} */
function documents(format, paths, accepts) {
  return paths.flatMap((path) => accepts.map((accept) => ({ format, path, kind: 'document', headers: { accept } })));
}

/**
 * Asks for refused versions in every way.
 * @param {string} url of the server
 * @param {PolicyUpstreams} upstreams
 * @returns {Promise<{ asked: number, allowed: string[], refused: ReadonlyMap<string, number> }>} `allowed`: what came through;
 *   `refused`: how many replies of 403 there were of each format
 */
export async function tryEveryDoor(url, upstreams) {
  const { vulnerable, malicious, fresh } = VERSIONS;
  /** @type {string[]} */
  const allowed = [];
  /** @type {Map<string, number>} */
  const refused = new Map();
  let asked = 0;
  for (const version of [vulnerable, malicious, fresh]) {
    const doors = doorsTo(upstreams, version, { isMalicious: version === malicious });
    for (const door of version === malicious ? [...doors, ...FILE_DOORS] : doors) {
      for (const { method, headers } of QUESTIONS) {
        const answer = await ask(url, door, { method, headers: { ...headers, ...door.headers } });
        asked += 1;
        if (answer.status === 403) refused.set(door.format, (refused.get(door.format) ?? 0) + 1);
        if (!cameThrough(door, answer, version)) continue;
        allowed.push(`${method} ${door.path} ${JSON.stringify({ ...headers, ...door.headers })}: ${answer.status}`);
      }
    }
  }
  return { asked, allowed, refused };
}

/** @param {string} url of the server @param {Door} door @param {{ method?: string, headers: Record<string, string> }} question */
function ask(url, { path, through }, question) {
  return through === undefined ? get(url + path, question) : get(through + path, { ...question, via: url });
}

/** @param {Door} door @param {Answer} answer @param {string} version */
function cameThrough({ kind }, { status, body }, version) {
  const isServed = (status >= 200 && status < 300) || status === 304;
  if (kind === 'artifact') return isServed;
  return isServed && offeredBy(body.toString()).includes(version);
}

/** A document without the member that has npm print why there is no more. @param {string} text */
function offeredBy(text) {
  if (!text.includes('"policyRestrictions"')) return text;
  try {
    return JSON.stringify({ ...JSON.parse(text), policyRestrictions: undefined });
  } catch {
    // A part of it.
    return text;
  }
}

/** The same doors to a version that everybody may have: some of each format have to be open. @param {string} url @param {PolicyUpstreams} upstreams */
export async function openDoors(url, upstreams) {
  /** @type {Map<string, number>} */
  const open = new Map();
  for (const door of doorsTo(upstreams, VERSIONS.good, { isMalicious: true })) {
    const answer = await ask(url, door, { headers: door.headers ?? {} });
    const name = `${door.format} ${door.kind}`;
    if (cameThrough(door, answer, VERSIONS.good)) open.set(name, (open.get(name) ?? 0) + 1);
  }
  return open;
}
