import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Origin } from '@entrepot/fixtures/origin';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { FixturePackage } from '@entrepot/fixtures/npm-application' */

const PUBLISHED = Date.parse('2024-03-01T12:00:00.000Z');

/**
 * An npm registry on loopback that holds one application's packages. It answers every document in full, whatever
 * `Accept` says, with `time`, a strong `ETag`, 304 and gzip.
 */
export class FixtureRegistry extends Origin {
  #application;
  /** @type {Map<string, { etag: string, plain: Buffer, gzipped: Buffer }>} */
  #documents = new Map();
  /** @type {Map<string, Buffer>} */
  #tarballs = new Map();
  /** Names that the last audit asked about. */
  audited = /** @type {string[]} */ ([]);

  /** @param {{ packages: ReadonlyMap<string, FixturePackage> }} application */
  constructor(application) {
    super((request, response) => this.#answer(request, response));
    this.#application = application;
  }

  /** @override */
  async start() {
    await super.start();
    for (const found of this.#application.packages.values()) {
      const plain = Buffer.from(JSON.stringify(this.#packument(found)));
      const etag = `"${createHash('sha1').update(plain).digest('hex')}"`;
      this.#documents.set(`/${found.name}`, { etag, plain, gzipped: gzipSync(plain) });
      for (const version of found.versions.values()) this.#tarballs.set(`/${version.tarballPath}`, version.tarball());
    }
    return this;
  }

  /**
   * Whether `path` of a request is a tarball; documents and everything else are not.
   * @param {string} path
   */
  isTarball(path) {
    return this.#tarballs.has(path) || this.#tarballs.has(decodeURIComponent(path));
  }

  /** @param {string} path */
  isDocument(path) {
    return this.#documents.has(decodeURIComponent(path));
  }

  /** @param {FixturePackage} found */
  #packument({ name, versions, tags }) {
    /** @type {Record<string, string>} */
    const time = { created: date(0), modified: date(versions.size) };
    /** @type {Record<string, unknown>} */
    const listed = {};
    let index = 0;
    for (const [version, { manifest, tarballPath, integrity, shasum, published }] of versions) {
      index += 1;
      time[version] = published ?? date(index);
      const promised = integrity === undefined ? {} : { integrity };
      listed[version] = {
        ...manifest,
        _id: `${name}@${version}`,
        dist: { shasum, tarball: `${this.url}/${tarballPath}`, fileCount: 4, ...promised },
      };
    }
    return {
      _id: name,
      _rev: '3-abc',
      name,
      'dist-tags': tags,
      versions: listed,
      time,
      maintainers: [{ name: 'fixture' }],
      readme: `# ${name}`,
    };
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #answer(request, response) {
    const url = new URL(request.url ?? '/', 'http://fixture.invalid');
    const tarball =
      this.#tarballs.get(url.pathname + url.search) ?? this.#tarballs.get(decodeURIComponent(url.pathname));
    if (tarball !== undefined) return sendTarball(request, response, tarball);
    const document = this.#documents.get(decodeURIComponent(url.pathname));
    if (document !== undefined) return sendDocument(request, response, document);
    if (request.method === 'POST' && url.pathname === '/-/npm/v1/security/advisories/bulk') {
      return this.#audit(request, response);
    }
    if (url.pathname === '/-/ping') return sendJson(response, 200, {});
    if (url.pathname === '/-/v1/search') return this.#search(response, url.searchParams);
    const tags = /^\/-\/package\/(?<name>[^/]+(?:\/[^/]+)?)\/dist-tags$/.exec(decodeURIComponent(url.pathname));
    const tagged = this.#application.packages.get(tags?.groups?.name ?? '');
    if (tagged !== undefined) return sendJson(response, 200, tagged.tags);
    return sendJson(response, 404, { error: 'Not found' });
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #audit(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const received = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(received) : received;
    this.audited = Object.keys(JSON.parse(body.toString('utf8')));
    const advisory = {
      id: 4711,
      url: 'https://advisories.example.com/4711',
      title: 'Fixture advisory',
      severity: 'high',
      vulnerable_versions: '<1.0.0',
      cwe: ['CWE-1'],
      cvss: { score: 7.5, vectorString: null },
    };
    return sendJson(response, 200, this.audited.includes('legacy-sum') ? { 'legacy-sum': [advisory] } : {});
  }

  /** @param {ServerResponse} response @param {URLSearchParams} query */
  #search(response, query) {
    const text = query.get('text') ?? '';
    const objects = [];
    for (const { name, tags } of this.#application.packages.values()) {
      if (!name.includes(text)) continue;
      const found = {
        name,
        version: tags.latest,
        description: `Fixture ${name}`,
        date: date(1),
        links: {},
        keywords: [],
      };
      const publisher = { username: 'fixture', email: 'fixture@example.com' };
      objects.push({
        package: { ...found, publisher, maintainers: [publisher] },
        score: { final: 1, detail: {} },
        searchScore: 1,
      });
    }
    const size = Number(query.get('size') ?? 20);
    return sendJson(response, 200, { objects: objects.slice(0, size), total: objects.length, time: date(1) });
  }
}

/** @param {IncomingMessage} request @param {ServerResponse} response @param {Buffer} bytes */
function sendTarball(request, response, bytes) {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': bytes.length,
    etag: `"${createHash('md5').update(bytes).digest('hex')}"`,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/**
 * @param {IncomingMessage} request
 * @param {ServerResponse} response
 * @param {{ etag: string, plain: Buffer, gzipped: Buffer }} document
 */
function sendDocument(request, response, { etag, plain, gzipped }) {
  const headers = {
    etag,
    'last-modified': new Date(PUBLISHED).toUTCString(),
    'cache-control': 'public, max-age=300',
    vary: 'accept-encoding, accept',
  };
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  const compressed = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  const body = compressed ? gzipped : plain;
  response.writeHead(200, {
    ...headers,
    'content-type': 'application/json',
    'content-length': body.length,
    ...(compressed ? { 'content-encoding': 'gzip' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** @param {ServerResponse} response @param {number} status @param {unknown} value */
function sendJson(response, status, value) {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

/** @param {number} days */
function date(days) {
  return new Date(PUBLISHED + days * 3_600_000).toISOString();
}
