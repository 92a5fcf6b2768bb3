import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { get } from '@entrepot/fixtures/get';

/** @typedef {{ path: string, sum: string, size: number }} Listed */

/** Reads a repository as librepo does: `repomd.xml`, what that lists, and packages by their sums. */
export class RpmReader {
  #url;

  /** @param {string} url */
  constructor(url) {
    this.#url = url;
  }

  /** The metadata files of a kind, as `repomd.xml` has them now. @returns {Promise<Map<string, Listed>>} */
  async repomd() {
    const text = (await this.#get('repodata/repomd.xml')).toString();
    const items = [...text.matchAll(/<data type="([^"]+)">([\s\S]*?)<\/data>/g)];
    return new Map(items.map(([, type = '', body = '']) => [type, listed(body)]));
  }

  /** A file, verified. @param {Listed} file @returns {Promise<Buffer>} @throws {Error} for one that is not as it is listed */
  async file({ path, sum, size }) {
    const bytes = await this.#get(path);
    if (bytes.length !== size || createHash('sha256').update(bytes).digest('hex') !== sum)
      throw new Error(`mismatch: ${path} has ${bytes.length} bytes, expected ${size} with ${sum}`);
    return bytes;
  }

  /** Packages by their names, of the list that `repomd.xml` has now. @returns {Promise<Map<string, Listed>>} */
  async packages() {
    const primary = (await this.repomd()).get('primary');
    if (primary === undefined) throw new Error('repomd.xml lists no primary');
    const text = gunzipSync(await this.file(primary)).toString();
    const all = [...text.matchAll(/<package type="rpm">([\s\S]*?)<\/package>/g)];
    return new Map(all.map(([, body = '']) => [/<name>([^<]+)</.exec(body)?.[1] ?? '', listed(body)]));
  }

  /** @param {string} path */
  async #get(path) {
    const { status, body, complete } = await get(`${this.#url}/${path}`);
    if (status !== 200) throw new Error(`${path}: ${status} ${body.toString('utf8', 0, 300)}`);
    if (!complete) throw new Error(`${path}: cut short`);
    return body;
  }

  /**
   * A file in ranges, as librepo asks for the chunks of a zchunk file.
   * @param {string} path @param {readonly (readonly [from: number, to: number])[]} ranges `to` included
   * @returns {Promise<Map<number, Buffer>>} bytes by the place where they begin
   */
  async ranges(path, ranges) {
    const range = `bytes=${ranges.map(([from, to]) => `${from}-${to}`).join(',')}`;
    const { status, headers, body } = await get(`${this.#url}/${path}`, { headers: { range } });
    const boundary = /^multipart\/byteranges; ?boundary="?([^"]+)"?$/.exec(headers['content-type'] ?? '')?.[1];
    if (status !== 206 || boundary === undefined)
      throw new Error(
        `206 multipart/byteranges was expected for ${ranges.length} ranges, found ${status} ${headers['content-type']}`,
      );
    /** @type {Map<number, Buffer>} */
    const found = new Map();
    for (let at = body.indexOf(`--${boundary}`); ;) {
      const start = at + boundary.length + 2;
      if (body.toString('latin1', start, start + 2) === '--') return found;
      const data = body.indexOf('\r\n\r\n', start) + 4;
      const [, from, to] = /content-range: bytes (\d+)-(\d+)\/\d+/i.exec(body.toString('latin1', start, data)) ?? [];
      const end = data + Number(to) - Number(from) + 1;
      found.set(Number(from), body.subarray(data, end));
      at = body.indexOf(`--${boundary}`, end);
      if (at < 0) throw new Error('a boundary was expected behind a part');
    }
  }
}

/** @param {string} body of an element @returns {Listed} */
function listed(body) {
  return {
    path: /<location [^>]*href="([^"]+)"/.exec(body)?.[1] ?? '',
    sum: /<checksum [^>]*>([0-9a-f]+)</.exec(body)?.[1] ?? '',
    size: Number((/<size package="(\d+)"/.exec(body) ?? /<size>(\d+)</.exec(body))?.[1]),
  };
}
