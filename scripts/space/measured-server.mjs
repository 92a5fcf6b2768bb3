import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** @import { ChildProcess } from 'node:child_process' */

/**
 * Stalls of an event loop since the last report, in milliseconds: the longest, and the longest for which its own thread was running.
 * @typedef {{ stall: number, busy: number | undefined }} Stall
 */

const MAIN = fileURLToPath(new URL('../../deploy/npm/bin/entrepot.js', import.meta.url));
const PROBE = new URL('../house/probe.mjs', import.meta.url).href;
const PATIENCE = 120_000;
/** The kernel counts CPU time in these, in seconds. */
const TICK = 0.01;

/** Starts a command of the program. @param {readonly string[]} words @param {string} folder @param {readonly string[]} [flags] of Node */
export function launch(words, folder, flags = []) {
  const { ENTREPOT_NODE: _node, ...env } = process.env;
  return spawn(process.execPath, [...flags, MAIN, ...words], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** Waits for the end of a command. @param {ChildProcess} child */
export async function ended(child) {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`exit code 0 was expected, found ${child.exitCode ?? child.signalCode}`);
}

/** A server in a process of its own, looked at from outside. */
export class MeasuredServer {
  #child;
  #url;
  #agent = new Agent({ keepAlive: true });

  /** @param {ChildProcess} child @param {string} url */
  constructor(child, url) {
    this.#child = child;
    this.#url = url;
  }

  /**
   * Starts a server, and waits until it is ready.
   * @param {{ folder: string, file: string, url: string, isProbed?: boolean, flags?: readonly string[] }} options
   * @returns {Promise<{ server: MeasuredServer, milliseconds: number }>}
   */
  static async start({ folder, file, url, isProbed = false, flags = [] }) {
    const since = performance.now();
    const server = new MeasuredServer(
      launch(['serve', '-c', file], folder, isProbed ? [...flags, '--import', PROBE] : flags),
      url,
    );
    while (!(await server.isReady())) {
      if (server.#child.exitCode !== null) throw new Error('the server ended before it was ready');
      if (performance.now() - since > PATIENCE) throw new Error('the server did not get ready');
      await delay(2);
    }
    return { server, milliseconds: performance.now() - since };
  }

  async isReady() {
    return (await this.get('/-/readyz').catch(() => undefined))?.status === 200;
  }

  /** @param {string} path @param {Record<string, string>} [headers] @returns {Promise<{ status: number, size: number, milliseconds: number, isHit: boolean }>} */
  get(path, headers = {}) {
    const since = performance.now();
    return new Promise((resolve, reject) => {
      request(this.#url + path, { agent: this.#agent, headers }, (response) => {
        let size = 0;
        response.on('data', (/** @type {Buffer} */ piece) => (size += piece.length));
        response.on('error', reject);
        response.on('end', () => {
          const isHit = /\bhit\b/.test(String(response.headers['cache-status']));
          resolve({ status: response.statusCode ?? 0, size, milliseconds: performance.now() - since, isHit });
        });
      })
        .on('error', reject)
        .end();
    });
  }

  /** CPU time since the start, in seconds. */
  async cpuSeconds() {
    const stat = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK;
  }

  /** Resident memory, in MiB. */
  async residentMib() {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  /** Stalls since the last report, of a probed server. @returns {Promise<Stall>} */
  async stalls() {
    this.#child.send('report');
    const [found] = await once(this.#child, 'message');
    // It forgets the report itself, which is not what is measured.
    await delay(20);
    return found;
  }

  async stop() {
    this.#agent.destroy();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }
}
