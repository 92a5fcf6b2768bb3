import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './entrepot.mjs';

/**
 * Faults of a connection: what `toxiproxy` calls them, with their attributes. `refuse` closes the port.
 * @satisfies {Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>}
 */
export const CONNECTION_FAULTS = {
  refuse: undefined,
  reset: { type: 'reset_peer', attributes: { timeout: 0 } },
  latency: { type: 'latency', attributes: { latency: 1_500, jitter: 500 } },
  bandwidth: { type: 'bandwidth', attributes: { rate: 10 } },
  'slow close': { type: 'slow_close', attributes: { delay: 3_000 } },
  timeout: { type: 'timeout', attributes: { timeout: 1_000 } },
  'black hole': { type: 'timeout', attributes: { timeout: 0 } },
  truncation: { type: 'limit_data', attributes: { bytes: 300 } },
};

/** @typedef {keyof typeof CONNECTION_FAULTS} ConnectionFault */

/** A `toxiproxy`, with proxies in front of servers on this machine. */
export class Toxiproxy {
  #program;
  #port = 0;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;

  /** @param {string} program */
  constructor(program) {
    this.#program = program;
  }

  async start() {
    this.#port = await freePort();
    const args = ['-host', '127.0.0.1', '-port', `${this.#port}`];
    this.#process = spawn(this.#program, args, { stdio: 'ignore' });
    for (let left = 250; ; left -= 1) {
      const isUp = await this.#ask('GET', '/version').then(
        () => true,
        () => false,
      );
      if (isUp) return;
      if (left === 0) throw new Error('toxiproxy did not start');
      await delay(20);
    }
  }

  stop() {
    this.#process?.kill('SIGKILL');
  }

  /** Puts a proxy in front of a port. @param {string} name @param {number} target @returns {Promise<number>} its port */
  async before(name, target) {
    const port = await freePort();
    await this.#ask('POST', '/proxies', { name, listen: `127.0.0.1:${port}`, upstream: `127.0.0.1:${target}` });
    return port;
  }

  /** Lets the connections through a proxy suffer. @param {string} name @param {ConnectionFault} fault */
  async ail(name, fault) {
    const toxic = CONNECTION_FAULTS[fault];
    if (toxic === undefined) await this.#ask('POST', `/proxies/${name}`, { enabled: false });
    else await this.#ask('POST', `/proxies/${name}/toxics`, { name: 'fault', stream: 'downstream', ...toxic });
  }

  /** Lets them be as before: those that are open are closed, since a fault may stay on them. @param {string} name */
  async heal(name) {
    await this.#ask('POST', `/proxies/${name}`, { enabled: false });
    await this.#ask('DELETE', `/proxies/${name}/toxics/fault`).catch(() => {});
    await this.#ask('POST', `/proxies/${name}`, { enabled: true });
  }

  /** @param {string} method @param {string} path @param {unknown} [body] */
  async #ask(method, path, body) {
    const options = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const answer = await fetch(`http://127.0.0.1:${this.#port}${path}`, options);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`toxiproxy: ${method} ${path}: ${answer.status} ${text}`);
  }
}
