import { createHash } from 'node:crypto';
import { drained, Origin } from '@entrepot/fixtures/origin';
import { pythonProjects } from '@entrepot/fixtures/python-files';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { PythonFile, PythonProject } from '@entrepot/fixtures/python-files' */

const JSON_TYPE = 'application/vnd.pypi.simple.v1+json';
const UPLOADED = '2020-01-01T00:00:00.000000Z';

/** A Python package index on one host, with its files on another one. */
export class PythonIndex {
  projects = pythonProjects();
  /** The project pages. */
  index = new Origin((request, response) => this.#answerIndex(request, response));
  /** The files. */
  files = new Origin((request, response) => this.#answerFile(request, response));
  /** The name of a file that is sent with other bytes than it should have. @type {string | undefined} */
  poisoned;

  async start() {
    await this.files.start();
    await this.index.start();
    return this;
  }

  async stop() {
    await this.index.stop();
    await this.files.stop();
  }

  /** The configuration of a repository in front of it. @param {Record<string, unknown>} [more] */
  repository(more = {}) {
    return { type: 'pypi', upstream: this.index.url, ...more };
  }

  /** The number of requests on both hosts. */
  count() {
    return this.index.count() + this.files.count();
  }

  /** Number of requests by path, on both hosts. @returns {ReadonlyMap<string, number>} */
  get requests() {
    return new Map([...this.index.requests, ...this.files.requests]);
  }

  reset() {
    this.index.reset();
    this.files.reset();
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  #answerIndex(request, response) {
    const name = /^\/simple\/(?<name>[a-z0-9-]+)\/$/.exec(request.url ?? '')?.groups?.name;
    const project = this.projects.get(name ?? '');
    if (project === undefined) return send(request, response, 404, 'text/plain', 'not found');
    const page = project.form === 'html' ? this.#html(project) : this.#json(project);
    return send(request, response, 200, project.form === 'html' ? 'text/html; charset=utf-8' : JSON_TYPE, page);
  }

  /** @param {PythonProject} project */
  #json({ name, files }) {
    const listed = files.map((file) => ({
      filename: file.filename,
      url: `${this.files.url}/${pathOf(file)}`,
      hashes: { sha256: file.sha256 },
      ...(file.requiresPython !== undefined && { 'requires-python': file.requiresPython }),
      ...(file.metadata !== undefined && { 'core-metadata': { sha256: sha256(file.metadata) } }),
      size: file.bytes.length,
      'upload-time': file.uploaded ?? UPLOADED,
      yanked: file.yanked,
    }));
    const versions = [...new Set(files.map(({ version }) => version))];
    return JSON.stringify({ meta: { 'api-version': '1.1', '_last-serial': 1 }, name, versions, files: listed });
  }

  /** @param {PythonProject} project */
  #html({ name, files }) {
    const links = files.map((file) => {
      const attributes = [`href="${pathOf(file)}#sha256=${file.sha256}"`];
      if (file.requiresPython !== undefined)
        attributes.push(
          `data-requires-python="${file.requiresPython.replaceAll('<', '&lt;').replaceAll('>', '&gt;')}"`,
        );
      if (file.yanked !== false) attributes.push('data-yanked');
      if (file.metadata !== undefined) attributes.push(`data-dist-info-metadata="sha256=${sha256(file.metadata)}"`);
      return `<a ${attributes.join(' ')}>${file.filename}`;
    });
    return `<!-- an old index --><html><head><base href="${this.files.url}/"><title>Links for ${name}</title></head>
      <body>${links.join('<br>\n')}</body>`;
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #answerFile(request, response) {
    const path = decodeURIComponent(request.url ?? '').slice(1);
    for (const { files } of this.projects.values()) {
      for (const file of files) {
        const place = decodeURIComponent(pathOf(file));
        if (path === place) return sendFile(request, response, this.#bytesOf(file));
        if (path === `${place}.metadata` && file.metadata !== undefined)
          return sendFile(request, response, Buffer.from(file.metadata));
      }
    }
    return send(request, response, 404, 'text/plain', 'not found');
  }

  /** @param {PythonFile} file */
  #bytesOf({ filename, bytes }) {
    if (filename !== this.poisoned) return bytes;
    const wrong = Buffer.from(bytes);
    wrong[wrong.length >> 1] = (wrong[wrong.length >> 1] ?? 0) ^ 1;
    return wrong;
  }
}

/** Like the public index: the hash is part of the path. @param {PythonFile} file */
function pathOf({ sha256: sum, filename }) {
  return `packages/${sum.slice(0, 2)}/${encodeURIComponent(filename)}`;
}

/** @param {IncomingMessage} request @param {ServerResponse} response @param {number} status @param {string} type @param {string} text */
function send(request, response, status, type, text) {
  const etag = `"${sha256(text).slice(0, 16)}"`;
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { etag }).end();
    return;
  }
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), etag });
  response.end(request.method === 'HEAD' ? undefined : text);
}

/** With ranges. @param {IncomingMessage} request @param {ServerResponse} response @param {Buffer} bytes */
async function sendFile(request, response, bytes) {
  const range = /^bytes=(?<from>\d+)-(?<to>\d*)$/.exec(request.headers.range ?? '')?.groups;
  const from = Number(range?.from ?? 0);
  const to = range?.to ? Math.min(Number(range.to), bytes.length - 1) : bytes.length - 1;
  response.writeHead(range === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': to - from + 1,
    'accept-ranges': 'bytes',
    etag: `"${bytes.length}"`,
    ...(range !== undefined && { 'content-range': `bytes ${from}-${to}/${bytes.length}` }),
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  for (let at = from; at <= to; at += 256 * 1024) {
    if (response.destroyed) return;
    if (!response.write(bytes.subarray(at, Math.min(at + 256 * 1024, to + 1)))) await drained(response);
  }
  response.end();
}

/** @param {string} text */
function sha256(text) {
  return createHash('sha256').update(text).digest('hex');
}
