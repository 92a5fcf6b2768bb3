import { createHash } from 'node:crypto';
import { makeZip } from '@entrepot/fixtures/go-database';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { Origin } from '@entrepot/fixtures/origin';
import { wheel } from '@entrepot/fixtures/python-files';
import { tarball } from '@entrepot/fixtures/tar';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

/**
 * @typedef {object} Fixture
 * @property {string} type
 * @property {Buffer} body
 * @property {Record<string, string>} [headers]
 */

/**
 * Ways in which a sick upstream answers a request.
 * @satisfies {Readonly<Record<string, (response: ServerResponse, fixture: Fixture) => unknown>>}
 */
export const TOXICS = {
  refuse: (response) => response.socket?.destroy(),
  'hang-head': () => {},
  'hang-body': (response, fixture) => begin(response, fixture, fixture.body.length >> 1),
  drip(response, fixture) {
    begin(response, fixture, 0);
    let sent = 0;
    const timer = setInterval(() => response.write(fixture.body.subarray(sent, (sent += 1))), 1000);
    response.on('close', () => clearInterval(timer));
  },
  reset(response, fixture) {
    begin(response, fixture, fixture.body.length >> 1);
    setTimeout(() => response.socket?.resetAndDestroy(), 20);
  },
  short(response, fixture) {
    begin(response, fixture, Math.max(0, fixture.body.length - 10));
    setTimeout(() => response.socket?.end(), 20);
  },
  '5xx': (response) => response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>Internal Server Error</h1>'),
  portal: (response) =>
    response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end('<!DOCTYPE html>\n<html><body>Please log in</body></html>'),
};

/** @typedef {keyof typeof TOXICS} ToxicName */

/** An upstream of every set-up, which is well until `isSick`. */
export class ToxicOrigin {
  #toxic;
  #origin = new Origin((request, response) => this.#answer(request, response));
  isSick = false;
  /** The URL that its documents name. @type {string | undefined} */
  publicUrl;

  /** @param {ToxicName} toxic */
  constructor(toxic) {
    this.#toxic = toxic;
  }

  get url() {
    return this.#origin.url;
  }

  async start() {
    await this.#origin.start();
  }

  async stop() {
    await this.#origin.stop();
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  #answer(request, response) {
    const path = decodeURIComponent(request.url ?? '');
    const isCold = path.startsWith('/files/cold/');
    const fixture = isCold
      ? { type: 'application/octet-stream', body: COLD_FILE }
      : fixtures(this.publicUrl ?? this.url).get(path);
    if (fixture === undefined) return response.writeHead(404).end();
    if (this.isSick) return TOXICS[this.#toxic](response, fixture);
    return response.writeHead(200, headersOf(fixture)).end(request.method === 'HEAD' ? undefined : fixture.body);
  }
}

/** @param {Fixture} fixture */
function headersOf({ type, body, headers }) {
  return { 'content-type': type, 'content-length': body.length, etag: `"${body.length}"`, ...headers };
}

/** @param {ServerResponse} response @param {Fixture} fixture @param {number} bytes of the body that come */
function begin(response, fixture, bytes) {
  response.writeHead(200, { ...headersOf(fixture), etag: '"other"' });
  response.flushHeaders();
  response.write(fixture.body.subarray(0, bytes));
}

/**
 * A repository over the upstream at `url`, and what is asked of it.
 * @typedef {object} SetUp
 * @property {(url: string) => Record<string, unknown>} repository
 * @property {(mount: string) => string} document its path
 * @property {(mount: string, document: Buffer) => string} artifact its path
 * @property {Record<string, string>} [headers]
 */

const STALE = { freshFor: '1ms', staleWhileRevalidate: 0 };
const CHART = chartArchive({ name: 'chart', version: '1.0.0' });
const TARBALL = tarball({ 'package/package.json': { body: '{"name":"thing","version":"1.0.0"}' } });
const WHEEL = wheel('thing', '1.0', { hasSidecar: false }).bytes;
const ZIP = makeZip([['ex.test/thing@v1.0.0/go.mod', Buffer.from('module ex.test/thing\n')]]);
const FILE = Buffer.alloc(300_000, 'file');
/** The content of every file below `/files/cold`. */
export const COLD_FILE = Buffer.alloc(400_000, 'cold');
const LAYER = Buffer.alloc(100_000, 'layer');
const CONFIG = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const MANIFEST = json({
  schemaVersion: 2,
  mediaType: MANIFEST_TYPE,
  config: part('application/vnd.oci.image.config.v1+json', CONFIG),
  layers: [part('application/vnd.oci.image.layer.v1.tar+gzip', LAYER)],
});

/** @typedef {'npm' | 'pypi' | 'go' | 'oci' | 'helm' | 'files' | 'sums'} SetUpName */

/** The seven set-ups. @type {Readonly<Record<SetUpName, SetUp>>} */
export const SET_UPS = {
  npm: {
    repository: (url) => ({ type: 'npm', upstream: `${url}/npm`, cache: { packument: STALE } }),
    document: (mount) => `/${mount}/thing`,
    artifact: (mount) => `/${mount}/thing/-/thing-1.0.0.tgz`,
  },
  pypi: {
    repository: (url) => ({ type: 'pypi', upstream: `${url}/pypi`, cache: { simple: STALE } }),
    document: (mount) => `/${mount}/simple/thing/`,
    artifact(mount, document) {
      const [{ url }] = JSON.parse(document.toString()).files;
      return new URL(url, `http://localhost/${mount}/simple/thing/`).pathname;
    },
    headers: { accept: 'application/vnd.pypi.simple.v1+json' },
  },
  go: {
    repository: (url) => ({ type: 'go', upstream: `${url}/go`, sumdb: 'off', cache: { list: STALE } }),
    document: (mount) => `/${mount}/ex.test/thing/@v/list`,
    artifact: (mount) => `/${mount}/ex.test/thing/@v/v1.0.0.zip`,
  },
  oci: {
    repository: (url) => ({ type: 'oci', upstream: url, cache: { tag: STALE } }),
    document: (mount) => `/v2/${mount}/thing/manifests/latest`,
    artifact: (mount) => `/v2/${mount}/thing/blobs/${digestOf(LAYER)}`,
    headers: { accept: MANIFEST_TYPE },
  },
  helm: {
    repository: (url) => ({ type: 'helm', upstream: `${url}/helm`, cache: { index: STALE } }),
    document: (mount) => `/${mount}/index.yaml`,
    artifact: (mount) => `/${mount}/charts/chart-1.0.0.tgz`,
  },
  files: {
    repository: (url) => ({
      type: 'files',
      upstream: `${url}/files`,
      rules: [
        { match: 'kept/**', policy: 'immutable' },
        { match: '**', policy: 'revalidate', ...STALE },
      ],
    }),
    document: (mount) => `/${mount}/changing/file.bin`,
    artifact: (mount) => `/${mount}/kept/file.bin`,
  },
  sums: {
    repository: (url) => ({
      type: 'files',
      upstream: `${url}/files`,
      rules: [
        { match: 'kept/*.sha256', policy: 'revalidate', ...STALE },
        { match: 'kept/**', policy: 'immutable', checksum: { sidecar: '.sha256' } },
      ],
    }),
    document: (mount) => `/${mount}/kept/file.bin.sha256`,
    artifact: (mount) => `/${mount}/kept/file.bin`,
  },
};

/** Lists the resources of the upstream at `url`, by path. @param {string} url @returns {ReadonlyMap<string, Fixture>} */
function fixtures(url) {
  const octets = 'application/octet-stream';
  const integrity = `sha512-${createHash('sha512').update(TARBALL).digest('base64')}`;
  const dist = { tarball: `${url}/npm/thing/-/thing-1.0.0.tgz`, integrity };
  const versions = { '1.0.0': { name: 'thing', version: '1.0.0', dist } };
  const filename = 'thing-1.0-py3-none-any.whl';
  const file = { filename, url: `${url}/pypi/files/${filename}`, hashes: { sha256: hexOf(WHEEL) } };
  const project = { meta: { 'api-version': '1.1' }, name: 'thing', versions: ['1.0'], files: [file] };
  const digest = hexOf(CHART);
  const entry = { apiVersion: 'v2', name: 'chart', version: '1.0.0', digest, urls: ['chart-1.0.0.tgz'] };
  const manifest = { type: MANIFEST_TYPE, body: MANIFEST, headers: { 'docker-content-digest': digestOf(MANIFEST) } };
  return new Map(
    /** @type {[string, Fixture][]} */ ([
      [
        '/npm/thing',
        { type: 'application/json', body: json({ name: 'thing', 'dist-tags': { latest: '1.0.0' }, versions }) },
      ],
      ['/npm/thing/1.0.0', { type: 'application/json', body: json(versions['1.0.0']) }],
      ['/npm/thing/-/thing-1.0.0.tgz', { type: octets, body: TARBALL }],
      ['/pypi/simple/thing/', { type: 'application/vnd.pypi.simple.v1+json', body: json(project) }],
      [`/pypi/files/${filename}`, { type: octets, body: WHEEL }],
      ['/go/ex.test/thing/@v/list', { type: 'text/plain', body: Buffer.from('v1.0.0\n') }],
      [
        '/go/ex.test/thing/@v/v1.0.0.info',
        { type: 'application/json', body: json({ Version: 'v1.0.0', Time: '2024-01-01T00:00:00Z' }) },
      ],
      ['/go/ex.test/thing/@v/v1.0.0.mod', { type: 'text/plain', body: Buffer.from('module ex.test/thing\n') }],
      ['/go/ex.test/thing/@v/v1.0.0.zip', { type: 'application/zip', body: ZIP }],
      ['/v2/', { type: 'application/json', body: json({}) }],
      ['/v2/thing/manifests/latest', manifest],
      [`/v2/thing/manifests/${digestOf(MANIFEST)}`, manifest],
      [`/v2/thing/blobs/${digestOf(CONFIG)}`, { type: octets, body: CONFIG }],
      [`/v2/thing/blobs/${digestOf(LAYER)}`, { type: octets, body: LAYER }],
      ['/helm/index.yaml', { type: 'text/yaml', body: json({ apiVersion: 'v1', entries: { chart: [entry] } }) }],
      ['/helm/chart-1.0.0.tgz', { type: 'application/gzip', body: CHART }],
      ['/files/changing/file.bin', { type: octets, body: FILE }],
      ['/files/kept/file.bin', { type: octets, body: FILE }],
      ['/files/kept/file.bin.sha256', { type: 'text/plain', body: Buffer.from(`${hexOf(FILE)}  file.bin\n`) }],
    ]),
  );
}

/** @param {unknown} value */
function json(value) {
  return Buffer.from(JSON.stringify(value));
}

/** @param {Buffer} bytes */
function hexOf(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/** @param {Buffer} bytes */
function digestOf(bytes) {
  return `sha256:${hexOf(bytes)}`;
}

/** @param {string} mediaType @param {Buffer} bytes */
function part(mediaType, bytes) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}
