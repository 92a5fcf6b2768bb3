import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { pushSet } from '@entrepot/fixtures/push-images';
import { provideTool } from '@entrepot/fixtures/tools';
import { freePort } from './entrepot.mjs';
import { FaultProxy } from './fault-proxy.mjs';
import { TokenIssuer } from './token-issuer.mjs';

/** @import { ChildProcess } from 'node:child_process' */
/** @import { ImageSet } from '@entrepot/fixtures/oci-images' */

/** Users of the registry: one may read, the other may do everything. */
export const USERS = {
  reader: { password: 'reader-secret', actions: ['pull'] },
  writer: { password: 'writer-secret', actions: ['pull', 'push', 'delete', '*'] },
};

/**
 * A real registry (Debian's, or one built from the distribution project) behind a proxy that can make it look broken.
 * Every request needs a token of an issuer that is reached through the same proxy.
 */
export class UpstreamRegistry {
  #folder;
  #binary;
  #port = 0;
  #log = '';
  /** @type {ChildProcess | undefined} */
  #process;
  /** The proxy that clients connect to. @type {FaultProxy} */
  proxy;
  /** @type {TokenIssuer | undefined} */
  issuer;
  #hasTokens;

  /**
   * @param {string} folder
   * @param {{ binary: string, tokens?: boolean }} options `tokens: false`: everybody may do everything
   */
  constructor(folder, { binary, tokens = true }) {
    this.#folder = folder;
    this.#binary = binary;
    this.#hasTokens = tokens;
    this.proxy = new FaultProxy('');
  }

  /** The registry program of this machine. @returns {Promise<string | undefined>} */
  static async program() {
    return (await provideTool('docker-registry')) ?? (await provideTool('distribution'));
  }

  get url() {
    return this.proxy.url;
  }

  get host() {
    return `127.0.0.1:${this.proxy.port}`;
  }

  async start() {
    this.#port = await freePort();
    await mkdir(this.#folder, { recursive: true });
    const issuer = await TokenIssuer.create(this.#folder, USERS);
    this.issuer = issuer;
    this.proxy = new FaultProxy(`http://127.0.0.1:${this.#port}`, (request, response) => {
      if (!request.url?.startsWith('/token')) return false;
      issuer.answer(request, response);
      return true;
    });
    await this.proxy.start();
    const auth = {
      token: {
        realm: `${this.proxy.url}/token`,
        service: TokenIssuer.service,
        issuer: TokenIssuer.issuer,
        rootcertbundle: join(this.#folder, 'certificate.pem'),
      },
    };
    const configuration = {
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: {
        filesystem: { rootdirectory: join(this.#folder, 'registry') },
        delete: { enabled: true },
        // What is pushed is there at once, whatever was asked for before.
        maintenance: { uploadpurging: { enabled: false } },
      },
      http: { addr: `127.0.0.1:${this.#port}`, relativeurls: true },
      // What says where a foreign layer is may say anything.
      validation: { manifests: { urls: { allow: ['^http://127\\.0\\.0\\.1:9/'] } } },
      ...(this.#hasTokens && { auth }),
    };
    const file = join(this.#folder, 'registry.yml');
    await writeFile(file, JSON.stringify(configuration));
    const child = spawn(this.#binary, ['serve', file], { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#log = (this.#log + text).slice(-20_000)));
    }
    await once(child, 'spawn');
    for (let attempt = 0; ; attempt += 1) {
      const answer = await get(`http://127.0.0.1:${this.#port}/v2/`).catch(() => undefined);
      if (answer?.status === (this.#hasTokens ? 401 : 200)) return this;
      if (attempt === 300 || child.exitCode !== null) throw new Error(`the registry did not start: ${this.#log}`);
      await delay(20);
    }
  }

  /** Ends the registry, its proxy, and what it keeps in memory. */
  async stop() {
    await this.proxy.stop();
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** Puts everything of a set into the registry, past the proxy. @param {ImageSet} set */
  async preload(set) {
    const authorization = this.#hasTokens ? `Bearer ${this.issuer?.tokenFor(set.name)}` : undefined;
    await pushSet(`http://127.0.0.1:${this.#port}`, set, authorization);
  }
}
