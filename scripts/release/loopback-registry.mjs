import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { run } from './run.mjs';

/**
 * A published package, as `npm publish` sends it.
 * @typedef {object} Packument
 * @property {string} name
 * @property {Record<string, string>} dist-tags
 * @property {Record<string, { dist: { tarball: string } }>} versions
 * @property {Record<string, { data: string }>} [_attachments]
 */

/**
 * An npm registry on loopback that keeps what is published to it. Everything of others it leaves to the registry of the
 * machine; what is ours never comes from there.
 */
export class LoopbackRegistry {
  /** @type {Map<string, Packument>} */
  #packuments = new Map();
  /** @type {Map<string, Buffer>} */
  #tarballs = new Map();
  #elsewhere = '';
  #server = createServer((request, response) => {
    this.#answer(request, response).catch((/** @type {Error} */ error) => {
      response.statusCode = 500;
      response.end(error.message);
    });
  });
  /** The paths of the tarballs that were fetched from here. @type {string[]} */
  fetched = [];

  get url() {
    const address = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${address.port}/`;
  }

  /** @param {string} scratch a folder outside of every project */
  async start(scratch) {
    this.#elsewhere = (await run(scratch, ['npm', 'config', 'get', 'registry'])).stdout.trim();
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /**
   * The settings of an npm that installs from here and publishes here.
   * @param {string} folder for its cache: programs that `npx` has run before are in none, the packages of others are
   */
  async settings(folder) {
    const shared = join((await run(folder, ['npm', 'config', 'get', 'cache'])).stdout.trim(), '_cacache');
    const cache = join(folder, 'npm-cache');
    await mkdir(shared, { recursive: true });
    await mkdir(cache);
    await symlink(shared, join(cache, '_cacache'), 'junction');
    return {
      npm_config_registry: this.url,
      npm_config_cache: cache,
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_prefer_offline: 'true',
      npm_config_update_notifier: 'false',
      npm_config_omit_lockfile_registry_resolved: 'false',
      [`npm_config_${this.url.replace('http:', '')}:_authToken`]: 'rehearsal',
    };
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async #answer(request, response) {
    const path = decodeURIComponent((request.url ?? '/').replace(/\?.*$/, ''));
    if (request.method === 'PUT') {
      response.statusCode = this.#publish(/** @type {Packument} */ (await json(request))) ? 201 : 409;
      response.end('{}');
      return;
    }
    const tarball = this.#tarballs.get(path);
    const packument = this.#packuments.get(path.slice(1));
    if (tarball !== undefined) {
      this.fetched.push(path);
      response.setHeader('Content-Type', 'application/octet-stream');
      response.end(tarball);
    } else if (packument !== undefined) {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(packument));
    } else if (/^\/(@entrepot\/|entrepot(\/|$))/.test(path)) {
      response.statusCode = 404;
      response.end('{"error":"not published"}');
    } else {
      response.statusCode = 307;
      response.setHeader('Location', new URL((request.url ?? '/').slice(1), this.#elsewhere).href);
      response.end();
    }
  }

  /** @param {Packument} sent @returns {boolean} whether its versions are new */
  #publish({ _attachments = {}, ...sent }) {
    const kept = this.#packuments.get(sent.name);
    if (Object.keys(sent.versions).some((version) => kept?.versions[version] !== undefined)) return false;
    const [attachment] = Object.values(_attachments);
    for (const { dist } of Object.values(sent.versions)) {
      const path = `/${sent.name}/-/${dist.tarball.replace(/^.*\//, '')}`;
      dist.tarball = new URL(path, this.url).href;
      this.#tarballs.set(path, Buffer.from(attachment?.data ?? '', 'base64'));
    }
    this.#packuments.set(sent.name, {
      ...sent,
      'dist-tags': { ...kept?.['dist-tags'], ...sent['dist-tags'] },
      versions: { ...kept?.versions, ...sent.versions },
    });
    return true;
  }
}
