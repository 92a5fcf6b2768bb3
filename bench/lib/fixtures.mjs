import { createCipheriv, createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { tarGz } from './archive.mjs';

/**
 * Synthetic packages and files. Everything follows from its name, so that the origin needs no configuration and every
 * run has the same bytes:
 *
 * - `versions-133` has 133 versions, `versions-133-cold7` is another package of the same shape;
 * - `tarball-300` has one version whose tarball has 300 KB;
 * - `package-30-a1` has 30 versions, and the tarball of the last one can be installed: most have a few KB, some 300;
 * - `slow-200-...` as a first part makes the origin wait 200 ms before it answers the document.
 */
const NAME = /^(?:slow-(\d+)-)?(versions|tarball|package)-(\d+)(?:-[a-z0-9]+)?$/;

/** The size of the document in bytes by its number of versions. Other counts have about 1.2 KB a version. */
const DOCUMENT_SIZES = new Map([
  [30, 37_000],
  [133, 165_000],
  [300, 372_000],
  [1500, 9_700_000],
]);

/** Kilobytes of tarballs as they are in a lockfile of a web application: half have less than 8, a tenth more than 300. */
const TARBALL_KILOBYTES = [2, 3, 4, 5, 7, 9, 15, 30, 90, 350];

const BASE_TIME = Date.UTC(2020, 0, 1);

/** Bytes that look random, always the same for a seed. */
export function seededBytes(seed, size) {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** The package that a name stands for; `undefined` for other names. */
export function parsePackageName(name) {
  const match = NAME.exec(name);
  if (!match) return undefined;
  const count = Number(match[3]);
  const isTarball = match[2] === 'tarball';
  return {
    isPackage: match[2] === 'package',
    delay: Number(match[1] ?? 0),
    versions: isTarball ? 1 : count,
    tarballBytes: isTarball ? count * 1000 : 1000,
    documentBytes: isTarball ? 0 : (DOCUMENT_SIZES.get(count) ?? count * 1240),
  };
}

/** The tarball of one version. Not a real archive but for a `package`: no server under test looks inside. */
export function tarball(name, version) {
  const shape = parsePackageName(name);
  const seed = `${name}@${version}`;
  if (!shape.isPackage || version !== lastVersion(shape)) return seededBytes(seed, shape.tarballBytes);
  const kilobytes = TARBALL_KILOBYTES[seededBytes(name, 1)[0] % TARBALL_KILOBYTES.length];
  return tarGz({
    'package/package.json': Buffer.from(JSON.stringify({ name, version, license: 'MIT' })),
    'package/index.js': seededBytes(seed, kilobytes * 1000),
  });
}

/** The newest version of a package of this shape. */
export function lastVersion({ versions }) {
  return `1.${versions - 1}.0`;
}

/** Makes the document of one version alone. */
export function versionOf(name, version, tarballBase) {
  return packument(name, tarballBase).versions[version];
}

function dependencies(seed, count) {
  const bytes = seededBytes(seed, count * 4);
  const result = {};
  for (let index = 0; index < count; index++) {
    const at = index * 4;
    result[`@scope-${bytes[at] % 40}/dependency-${bytes[at + 1]}-${index}`] =
      `^${bytes[at + 2] % 20}.${bytes[at + 3]}.0`;
  }
  return result;
}

function versionDocument(name, version, tarballBase, dependencyCount) {
  const bytes = tarball(name, version);
  return {
    name,
    version,
    description: 'A package that exists for measurements only.',
    license: 'MIT',
    main: 'index.js',
    repository: { type: 'git', url: `git+https://code.example.com/bench/${name}.git` },
    scripts: { test: 'node --test', build: 'node build.mjs' },
    engines: { node: '>=18' },
    dependencies: dependencies(`${name}@${version}`, dependencyCount),
    _id: `${name}@${version}`,
    _nodeVersion: '20.0.0',
    _npmVersion: '10.0.0',
    _npmUser: { name: 'bench', email: 'bench@example.com' },
    maintainers: [{ name: 'bench', email: 'bench@example.com' }],
    dist: {
      integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
      shasum: createHash('sha1').update(bytes).digest('hex'),
      tarball: `${tarballBase}/${name}/-/${name}-${version}.tgz`,
      fileCount: 12,
      unpackedSize: bytes.length * 3,
      signatures: [{ keyid: 'SHA256:bench', sig: seededBytes(`sig ${name}@${version}`, 70).toString('base64') }],
    },
  };
}

/** The full document of a package; `tarballBase` is the URL under which the origin serves packages. */
export function packument(name, tarballBase) {
  const shape = parsePackageName(name);
  const bare = Buffer.byteLength(JSON.stringify(versionDocument(name, '1.0.0', tarballBase, 0)));
  const perVersion = shape.documentBytes / shape.versions;
  const dependencyCount = Math.max(1, Math.round((perVersion - bare - 60) / 40));
  const versions = {};
  const time = { created: new Date(BASE_TIME).toISOString(), modified: '' };
  for (let index = 0; index < shape.versions; index++) {
    const version = `1.${index}.0`;
    versions[version] = versionDocument(name, version, tarballBase, dependencyCount);
    time[version] = new Date(BASE_TIME + index * 86_400_000).toISOString();
  }
  const latest = lastVersion(shape);
  time.modified = time[latest];
  return {
    _id: name,
    name,
    'dist-tags': { latest },
    versions,
    time,
    maintainers: [{ name: 'bench', email: 'bench@example.com' }],
    description: 'A package that exists for measurements only.',
    license: 'MIT',
    readme: '',
  };
}

/** npm's abbreviated form of a packument, for installations. */
export function abbreviate(document) {
  const versions = {};
  for (const [version, full] of Object.entries(document.versions)) {
    const { name, dependencies, dist, engines } = full;
    versions[version] = { name, version, dependencies, dist, engines };
  }
  return { name: document.name, modified: document.time.modified, 'dist-tags': document['dist-tags'], versions };
}

/** A body as the origin sends it: plain and, for documents, also compressed. */
export function representation(bytes, mediaType, compressed) {
  return {
    bytes,
    gzip: compressed ? gzipSync(bytes) : undefined,
    mediaType,
    etag: `"${createHash('sha1').update(bytes).digest('hex')}"`,
  };
}

/** The digest of what an installation depends on. Equal for every proxy, however it rewrites URLs and drops fields. */
export function packumentDigest(body) {
  const document = JSON.parse(body);
  const versions = Object.entries(document.versions).map(([version, { name, dependencies, dist }]) => [
    version,
    name,
    dependencies,
    dist.integrity,
    dist.shasum,
    new URL(dist.tarball).pathname.split('/').at(-1),
  ]);
  return sha256(JSON.stringify([document.name, document['dist-tags'], versions]));
}

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
