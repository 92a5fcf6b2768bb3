import { createHash } from 'node:crypto';
import { indexPath } from '@entrepot/fixtures/cargo-crates';
import { Origin } from '@entrepot/fixtures/origin';

/** @import { FixtureCrate } from '@entrepot/fixtures/cargo-crates' */

/** A registry of crates with a sparse index, on loopback. */
export class CargoIndex extends Origin {
  /** @type {readonly FixtureCrate[]} */
  crates = [];
  /** Changes what is sent, by its path. @type {(path: string, body: Buffer) => Buffer} */
  tamper = (_path, body) => body;

  constructor() {
    super((request, response) => {
      const path = decodeURIComponent((request.url ?? '').slice(1));
      const found = this.#find(path);
      if (found === undefined) return void response.writeHead(404).end();
      const body = this.tamper(path, found);
      const etag = `"${createHash('sha256').update(body).digest('hex')}"`;
      if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
      response.writeHead(200, { etag, 'content-type': 'text/plain' }).end(body);
    });
  }

  /** @param {string} path @returns {Buffer | undefined} */
  #find(path) {
    if (path === 'config.json') return Buffer.from(JSON.stringify({ dl: `${this.url}/dl`, api: this.url }));
    const lines = this.crates.filter(({ name }) => indexPath(name) === path).map(({ line }) => `${line}\n`);
    if (lines.length > 0) return Buffer.from(lines.join(''));
    const told = this.crates.filter(({ name }) => path === `api/v1/crates/${name}`);
    if (told.length > 0)
      return Buffer.from(JSON.stringify({ versions: told.map(({ version, license }) => ({ num: version, license })) }));
    return this.crates.find(({ name, version }) => path === `dl/${name}/${version}/download`)?.archive;
  }
}
