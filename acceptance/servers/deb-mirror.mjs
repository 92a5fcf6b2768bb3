import { Origin } from '@entrepot/fixtures/origin';
import { sha256 } from '@entrepot/fixtures/deb-archive';

/** A mirror of an archive, over HTTP, with what is wrong with it. */
export class DebMirror extends Origin {
  /** Paths that were asked for. @type {string[]} */
  asked = [];
  /** Changes a file before it is served. @type {(path: string, bytes: Buffer) => Buffer | undefined} */
  spoil = (_path, bytes) => bytes;

  /** @param {() => Map<string, Buffer>} files */
  constructor(files) {
    super((request, response) => {
      const path = decodeURIComponent((request.url ?? '').slice(1));
      this.asked.push(path);
      const found = files().get(path);
      const bytes = found && this.spoil(path, found);
      if (bytes === undefined) return response.writeHead(404, { 'content-length': 0 }).end();
      const etag = `"${bytes.length < 1e6 ? sha256(bytes).slice(0, 32) : bytes.length}"`;
      if (request.headers['if-none-match'] === etag) return response.writeHead(304, { etag }).end();
      response.writeHead(200, { 'content-length': bytes.length, 'content-type': 'application/octet-stream', etag });
      return response.end(bytes);
    });
  }
}
