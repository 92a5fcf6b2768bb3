import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './entrepot.mjs';
import { isListening } from './redis.mjs';

/** @import { ChildProcess } from 'node:child_process' */

const TOKEN = 'only-for-this-test';
const STARTS_WITHIN = 120_000;

/**
 * The API of a Kubernetes cluster, over a database of its own: it takes, checks and keeps manifests as every cluster does. There are no
 * controllers and no nodes, so that nothing acts on them. On loopback only.
 */
export class Kubernetes {
  #programs;
  #folder;
  #port = 0;
  /** @type {ChildProcess[]} */
  #processes = [];
  #log = '';
  #authority = '';

  /** @param {{ etcd: string, apiServer: string }} programs @param {string} folder of its own */
  constructor(programs, folder) {
    this.#programs = programs;
    this.#folder = folder;
  }

  /** The file by which clients find it. */
  get kubeconfig() {
    return join(this.#folder, 'kubeconfig');
  }

  async start() {
    const [client, peer] = [await freePort(), await freePort()];
    const etcd = `http://127.0.0.1:${client}`;
    const listen = `http://127.0.0.1:${peer}`;
    this.#run(this.#programs.etcd, {
      'data-dir': join(this.#folder, 'etcd'),
      'unsafe-no-fsync': 'true',
      'log-level': 'error',
      'listen-client-urls': etcd,
      'advertise-client-urls': etcd,
      'listen-peer-urls': listen,
      'initial-advertise-peer-urls': listen,
      'initial-cluster': `default=${listen}`,
    });
    await this.#until('etcd', () => isListening(client));
    this.#port = await freePort();
    const certificates = join(this.#folder, 'certificates');
    await mkdir(certificates, { recursive: true });
    const key = join(certificates, 'accounts.pem');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const tokens = join(certificates, 'tokens.csv');
    await writeFile(tokens, `${TOKEN},admin,1,system:masters\n`, { mode: 0o600 });
    this.#run(this.#programs.apiServer, {
      'etcd-servers': etcd,
      'bind-address': '127.0.0.1',
      'advertise-address': '127.0.0.1',
      'secure-port': `${this.#port}`,
      'cert-dir': certificates,
      'token-auth-file': tokens,
      'authorization-mode': 'AlwaysAllow',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': key,
      'service-account-signing-key-file': key,
      'service-cluster-ip-range': '10.96.0.0/16',
      // Nobody makes the accounts that it would wait for.
      'disable-admission-plugins': 'ServiceAccount',
    });
    await this.#until('kube-apiserver', async () => {
      this.#authority = await readFile(join(certificates, 'apiserver.crt'), 'utf8').catch(() => '');
      return this.#authority !== '' && (await this.ask('/readyz').catch(() => ({ status: 0 }))).status === 200;
    });
    const server = { server: `https://127.0.0.1:${this.#port}`, 'certificate-authority-data': btoa(this.#authority) };
    const configuration = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: server }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
      users: [{ name: 'admin', user: { token: TOKEN } }],
      'current-context': 'test',
    };
    await writeFile(this.kubeconfig, JSON.stringify(configuration), { mode: 0o600 });
  }

  /**
   * Asks the API.
   * @param {string} path
   * @param {{ method?: string, type?: string, body?: string }} [sent] `type`: the media type of `body`
   * @returns {Promise<{ status: number, body: any }>}
   */
  ask(path, { method = 'GET', type = 'application/json', body = '' } = {}) {
    const headers = { authorization: `Bearer ${TOKEN}`, ...(body === '' ? {} : { 'content-type': type }) };
    const options = { ca: this.#authority, method, headers, agent: false };
    return new Promise((resolve, reject) => {
      const sent = request(`https://127.0.0.1:${this.#port}${path}`, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('error', reject);
        response.on('end', () => {
          const isJson = response.headers['content-type']?.includes('json') === true;
          resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
        });
      });
      sent.on('error', reject).end(body);
    });
  }

  /**
   * Applies a manifest, as `kubectl apply --server-side` does; an unknown field is refused.
   * @param {{ apiVersion?: string, kind: string, metadata: { name: string, namespace?: string } }} manifest
   * @param {{ isTried?: boolean }} [options] `isTried`: it is checked in every way, and not kept
   */
  async apply(manifest, { isTried = false } = {}) {
    const { apiVersion = '', kind, metadata } = manifest;
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { resources = [] } = (await this.ask(root)).body;
    const found = resources.find((/** @type {any} */ { kind: other, name }) => other === kind && !name.includes('/'));
    if (found === undefined) throw new Error(`the cluster knows no ${kind} of ${apiVersion}`);
    const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
    const path = `${root}${place}/${found.name}/${metadata.name}?fieldManager=test&fieldValidation=Strict${isTried ? '&dryRun=All' : ''}`;
    const type = 'application/apply-patch+yaml';
    const { status, body } = await this.ask(path, { method: 'PATCH', type, body: JSON.stringify(manifest) });
    if (status !== 200 && status !== 201)
      throw new Error(`${kind} ${metadata.name}: ${status} ${body.message ?? body}`);
  }

  /** Ends both processes at once. */
  async kill() {
    for (const child of this.#processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }

  /** @param {string} program @param {Record<string, string>} flags */
  #run(program, flags) {
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(program, args, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#log = (this.#log + text).slice(-8000)));
    }
    this.#processes.push(child);
  }

  /** @param {string} name @param {() => Promise<boolean>} isUp */
  async #until(name, isUp) {
    const end = performance.now() + STARTS_WITHIN;
    while (!(await isUp())) {
      const ended = this.#processes.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
      if (ended !== undefined || performance.now() > end) throw new Error(`${name} did not start:\n${this.#log}`);
      await delay(50);
    }
  }
}
