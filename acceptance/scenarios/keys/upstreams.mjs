import { createHash } from 'node:crypto';
import { goModule, proxyAnswer, GoDatabase } from '@entrepot/fixtures/go-database';
import { Origin } from '@entrepot/fixtures/origin';
import { wheel } from '@entrepot/fixtures/python-files';
import { tarball } from '@entrepot/fixtures/tar';
import { zip } from '@entrepot/fixtures/zip';
import { pomOf } from '../maven-hermetic.mjs';

const GROUP = '/com/example/lib';
const UTILS = '/org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1';

/** Serves one package of each ecosystem whose repository is a proxy: npm, Python, Go, Maven. */
export class KeyUpstreams {
  #database = new GoDatabase();
  #module = goModule({
    path: 'example.test/tool',
    version: 'v1.0.0',
    files: { 'tool.go': 'package tool\n\nconst Value = 1\n' },
    database: this.#database,
  });
  #tarball = tarball({ 'package/package.json': { body: '{"name":"tool","version":"1.0.0"}' } });
  #wheel = wheel('tool', '1.0.0', { hasSidecar: false });
  #origin = new Origin((request, response) => {
    const answer = this.#answer(request.url ?? '');
    if (answer === undefined) return void response.writeHead(404).end('not found');
    response.writeHead(200, { 'content-type': answer.mediaType }).end(answer.body);
  });

  async start() {
    await this.#origin.start();
    return this;
  }

  async stop() {
    await this.#origin.stop();
  }

  /** The checksum database that `go` asks. */
  get sumdb() {
    return this.#database.verifierKey;
  }

  /** The proxies, which only callers with a key may read. */
  get repositories() {
    const { url } = this.#origin;
    return {
      npm: { type: 'npm', upstream: `${url}/npm`, access: {} },
      pypi: { type: 'pypi', upstream: `${url}/pypi`, access: {} },
      go: { type: 'go', upstream: `${url}/go`, sumdb: this.sumdb, unverified: '', private: '', access: {} },
      maven: { type: 'maven', upstream: `${url}/maven`, access: {} },
    };
  }

  /** @param {string} path @returns {{ mediaType: string, body: Buffer | string } | undefined} */
  #answer(path) {
    const [, place = '', rest = ''] = /^\/([a-z]+)(\/.*)$/.exec(path) ?? [];
    switch (place) {
      case 'npm':
        return this.#npm(rest);
      case 'pypi':
        return this.#python(rest);
      case 'go':
        return proxyAnswer([this.#module], this.#database, rest.slice(1));
      case 'maven': {
        const body = mavenFiles().get(rest);
        return body && { mediaType: 'application/octet-stream', body };
      }
      default:
        return undefined;
    }
  }

  /** @param {string} path */
  #npm(path) {
    if (path === '/tool/-/tool-1.0.0.tgz') return { mediaType: 'application/octet-stream', body: this.#tarball };
    if (path !== '/tool') return undefined;
    const integrity = `sha512-${createHash('sha512').update(this.#tarball).digest('base64')}`;
    const dist = { tarball: `${this.#origin.url}/npm/tool/-/tool-1.0.0.tgz`, integrity };
    const versions = { '1.0.0': { name: 'tool', version: '1.0.0', dist } };
    const body = JSON.stringify({ name: 'tool', 'dist-tags': { latest: '1.0.0' }, versions });
    return { mediaType: 'application/json', body };
  }

  /** @param {string} path */
  #python(path) {
    const { filename, bytes, sha256 } = this.#wheel;
    if (path === `/files/${filename}`) return { mediaType: 'application/octet-stream', body: bytes };
    if (path !== '/simple/tool/') return undefined;
    const link = `<a href="../../files/${filename}#sha256=${sha256}">${filename}</a>`;
    return { mediaType: 'text/html; charset=utf-8', body: `<!DOCTYPE html><html><body>${link}</body></html>` };
  }
}

/** An extension of a build, and what Maven has each extension use: it fetches both without any plugin. */
function mavenFiles() {
  /** @type {Map<string, Buffer>} */
  const files = new Map();
  files.set(`${GROUP}/lib0/1.0/lib0-1.0.pom`, Buffer.from(pomOf('lib0', '1.0')));
  files.set(`${GROUP}/lib0/1.0/lib0-1.0.jar`, zip([{ name: 'value.txt', content: '1' }]));
  files.set(
    `${UTILS}.pom`,
    Buffer.from(pomOf('plexus-utils', '1.1').replace('com.example.lib', 'org.codehaus.plexus')),
  );
  files.set(`${UTILS}.jar`, zip([{ name: 'utils.txt', content: 'utils' }]));
  for (const [path, body] of Array.from(files))
    files.set(`${path}.sha1`, Buffer.from(createHash('sha1').update(body).digest('hex')));
  return files;
}
