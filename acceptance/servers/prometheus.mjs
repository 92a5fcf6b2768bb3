import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { stringify } from 'yaml';
import { freePort } from './entrepot.mjs';

/** @import { ChildProcess } from 'node:child_process' */

/** An alert as Prometheus tells it. @typedef {{ labels: Record<string, string>, state: string }} Alert */

/** A Prometheus that reads the metrics of one server each second. */
export class PrometheusServer {
  #program;
  #folder;
  #port = 0;
  /** @type {ChildProcess | undefined} */
  #process;
  #log = '';

  /** @param {string} program @param {string} folder for its configuration and its data */
  constructor(program, folder) {
    this.#program = program;
    this.#folder = folder;
  }

  /** @param {{ target: number, rules: string }} options the port that it reads from, and the text of the rules */
  async start({ target, rules }) {
    this.#port = await freePort();
    await mkdir(this.#folder, { recursive: true });
    await writeFile(join(this.#folder, 'rules.yaml'), rules);
    const configuration = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ['rules.yaml'],
      scrape_configs: [{ job_name: 'entrepot', static_configs: [{ targets: [`127.0.0.1:${target}`] }] }],
    };
    await writeFile(join(this.#folder, 'prometheus.yaml'), stringify(configuration));
    const child = spawn(
      this.#program,
      [
        `--config.file=${join(this.#folder, 'prometheus.yaml')}`,
        `--storage.tsdb.path=${join(this.#folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${this.#port}`,
      ],
      { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#process = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (this.#log = (this.#log + text).slice(-20_000)));
    await once(child, 'spawn');
    for (let left = 600; !(await this.#isReady()); left -= 1) {
      if (left === 0 || child.exitCode !== null)
        throw new Error(`prometheus did not start:\n${this.#log.slice(-4000)}`);
      await delay(100);
    }
  }

  async #isReady() {
    const answer = await get(`http://127.0.0.1:${this.#port}/-/ready`).catch(() => undefined);
    return answer?.status === 200;
  }

  /** @param {string} expression @returns {Promise<readonly { metric: Record<string, string>, value: [number, string] }[]>} */
  async query(expression) {
    return (await this.#api(`query?${new URLSearchParams({ query: expression })}`)).result;
  }

  /** Lists the alerts that fire, by their names. @returns {Promise<readonly Alert[]>} */
  async firing() {
    const { alerts } = await this.#api('alerts');
    return alerts.filter((/** @type {Alert} */ { state }) => state === 'firing');
  }

  /** @param {string} path @returns {Promise<any>} */
  async #api(path) {
    const { body } = await get(`http://127.0.0.1:${this.#port}/api/v1/${path}`);
    const { status, data, error } = JSON.parse(body.toString());
    if (status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${error}`);
    return data;
  }

  async stop() {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }
}
