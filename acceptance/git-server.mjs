import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { runCommand } from './run-command.mjs';

/** @import { IncomingMessage, Server, ServerResponse } from 'node:http' */
/** @import { Socket } from 'node:net' */

/** Repositories, as real git serves them. */
export const GIT_HOST = 'git.example.test';
/** Says where the repositories of the modules below it are, as vanity import paths do. */
export const VANITY_HOST = 'corp.example.test';

/** Whether this machine has what the server and its modules need: git, openssl, and a `go` that asks git for logins. */
export async function hasGitTools() {
  const options = { cwd: '/', env: { ...process.env, GOTOOLCHAIN: 'local' }, timeout: 20_000 };
  const [go, ...others] = await Promise.all(
    [
      ['go', 'version'],
      ['git', '--version'],
      ['openssl', 'version'],
    ].map((command) => runCommand(command, options).catch(() => undefined)),
  );
  const minor = /go1\.(\d+)/.exec(go?.stdout ?? '')?.[1];
  return Number(minor ?? 0) >= 24 && others.every((result) => result !== undefined);
}

/**
 * @typedef {object} GitRequest
 * @property {string} host
 * @property {string} path with its query
 * @property {string | undefined} login `user:password`
 */

/**
 * Git repositories over HTTPS with basic authentication (`git http-backend`), a host of vanity import paths, and the HTTP
 * proxy through which both names are reached: no real name is ever looked up.
 */
export class GitServer {
  #folder;
  /** @type {Server | undefined} */
  #git;
  /** @type {Server | undefined} */
  #proxy;
  #port = 0;
  /** @type {Set<Socket>} */
  #sockets = new Set();
  /** Every request since the start or the last `reset`. @type {GitRequest[]} */
  requests = [];
  /** Who may read what. @type {(login: string | undefined, request: GitRequest) => boolean} */
  accepts = () => true;
  /** Answers instead of git. @type {((request: GitRequest, response: ServerResponse) => boolean) | undefined} */
  intercept;

  /** @param {string} folder for the repositories and the certificate */
  constructor(folder) {
    this.#folder = folder;
  }

  /** What a process needs to reach the hosts. @returns {Record<string, string>} */
  get environment() {
    const certificate = join(this.#folder, 'certificate.pem');
    return {
      HTTPS_PROXY: `http://127.0.0.1:${this.#port}`,
      SSL_CERT_FILE: certificate,
      GIT_SSL_CAINFO: certificate,
    };
  }

  async start() {
    await this.#makeCertificate();
    const [key, cert] = await Promise.all([
      readFile(join(this.#folder, 'key.pem')),
      readFile(join(this.#folder, 'certificate.pem')),
    ]);
    const git = createHttpsServer({ key, cert }, (request, response) => this.#answer(request, response));
    const proxy = createHttpServer((_, response) => void response.writeHead(502).end());
    proxy.on('connect', (request, socket) => this.#tunnel(request, /** @type {Socket} */ (socket)));
    git.listen(0, '127.0.0.1');
    proxy.listen(this.#port, '127.0.0.1');
    await Promise.all([once(git, 'listening'), once(proxy, 'listening')]);
    const address = proxy.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP address was expected');
    this.#port = address.port;
    this.#git = git;
    this.#proxy = proxy;
    return this;
  }

  /** Ends every connection; new ones are refused until the next `start`. */
  async stop() {
    const servers = [this.#git, this.#proxy].filter((server) => server !== undefined);
    this.#git = this.#proxy = undefined;
    const closed = servers.map((server) => once(server, 'close'));
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  reset() {
    this.requests = [];
  }

  /**
   * Commits files to a repository, which is made when it is not there.
   * @param {string} name `team/lib`
   * @param {Record<string, string>} files by path; they replace all that was there
   * @param {{ tags?: readonly string[], branch?: string }} [options]
   * @returns {Promise<string>} the commit
   */
  async commit(name, files, { tags = [], branch = 'main' } = {}) {
    const bare = join(this.#folder, 'repositories', `${name}.git`);
    const tree = join(this.#folder, 'trees', name);
    await mkdir(tree, { recursive: true });
    const exists = (await this.#runGit(['rev-parse', '--git-dir'], bare, true)).code === 0;
    if (!exists) {
      await this.#runGit(['init', '-q', '--bare', '-b', 'main', bare]);
      await this.#runGit(['init', '-q', '-b', 'main', tree]);
    }
    await this.#runGit(['checkout', '-q', '-B', branch], tree);
    await this.#runGit(['rm', '-q', '-r', '--ignore-unmatch', '.'], tree);
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(tree, path)), { recursive: true });
      await writeFile(join(tree, path), text);
    }
    await this.#runGit(['add', '-A'], tree);
    await this.#runGit(['commit', '-q', '--allow-empty', '-m', 'change'], tree);
    for (const tag of tags) await this.#runGit(['tag', '-f', tag], tree);
    await this.#runGit(['push', '-q', '-f', bare, branch, ...tags.map((tag) => `refs/tags/${tag}`)], tree);
    return (await this.#runGit(['rev-parse', 'HEAD'], tree)).stdout.trim();
  }

  /** @param {readonly string[]} args @param {string} [cwd] */
  async #runGit(args, cwd = this.#folder, mayFail = false) {
    const who = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.test' };
    const env = {
      PATH: process.env.PATH,
      HOME: this.#folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_COMMITTER_NAME: 'a',
      GIT_COMMITTER_EMAIL: 'a@example.test',
      ...who,
    };
    const result = await runCommand(['git', ...args], { cwd, env, timeout: 30_000 }).catch((error) => {
      if (mayFail) return { code: 1, stdout: '', stderr: String(error), milliseconds: 0 };
      throw error;
    });
    if (result.code !== 0 && !mayFail) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
    return result;
  }

  async #makeCertificate() {
    await mkdir(join(this.#folder, 'repositories'), { recursive: true });
    const names = [GIT_HOST, VANITY_HOST].map((name) => `DNS:${name}`).join(',');
    const command = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test'];
    command.push('-addext', `subjectAltName=${names}`, '-keyout', 'key.pem', '-out', 'certificate.pem');
    const result = await runCommand(command, { cwd: this.#folder, env: { PATH: process.env.PATH }, timeout: 30_000 });
    if (result.code !== 0) throw new Error(`openssl: ${result.stderr}`);
  }

  /** @param {IncomingMessage} request @param {Socket} client */
  #tunnel(request, client) {
    const host = (request.url ?? '').replace(/:443$/, '');
    const address = this.#git?.address();
    client.on('error', () => {});
    if ((host !== GIT_HOST && host !== VANITY_HOST) || typeof address !== 'object' || address === null) {
      client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const server = connect(address.port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => (client.destroy(), server.destroy()));
    }
  }

  /** @param {IncomingMessage} message @param {ServerResponse} response */
  #answer(message, response) {
    const basic = /^Basic (.+)$/.exec(message.headers.authorization ?? '')?.[1];
    const request = {
      host: message.headers.host ?? '',
      path: message.url ?? '',
      login: basic === undefined ? undefined : Buffer.from(basic, 'base64').toString(),
    };
    this.requests.push(request);
    if (this.intercept?.(request, response) === true) return;
    if (!this.accepts(request.login, request)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('who are you?');
      return;
    }
    if (request.host === VANITY_HOST) answerVanity(request.path, response);
    else runBackend(join(this.#folder, 'repositories'), request, message, response);
  }
}

/** `corp.example.test/team/lib/sub` is in the repository `team/lib`. @param {string} path @param {ServerResponse} response */
function answerVanity(path, response) {
  const [team, name] = new URL(path, 'https://x').pathname.slice(1).split('/');
  if (name === undefined) {
    response.writeHead(404).end('nothing here');
    return;
  }
  const place = `${VANITY_HOST}/${team}/${name} git https://${GIT_HOST}/${team}/${name}`;
  response.writeHead(200, { 'content-type': 'text/html' }).end(`<meta name="go-import" content="${place}">`);
}

/**
 * Runs `git http-backend` as a web server does (RFC 3875).
 * @param {string} root @param {GitRequest} request @param {IncomingMessage} message @param {ServerResponse} response
 */
function runBackend(root, { path, login }, message, response) {
  const { pathname, search } = new URL(path, 'https://x');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      HOME: root,
      PATH_INFO: pathname.replace(/^(\/[^/]+\/[^/.]+)\//, '$1.git/'),
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: message.method,
      REMOTE_USER: login === undefined ? '' : 'somebody',
      CONTENT_TYPE: message.headers['content-type'],
      HTTP_CONTENT_ENCODING: message.headers['content-encoding'],
      GIT_PROTOCOL: /** @type {string | undefined} */ (message.headers['git-protocol']),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  message.pipe(child.stdin);
  child.stdin.on('error', () => {});
  let head = Buffer.alloc(0);
  child.stdout.on('data', (/** @type {Buffer} */ bytes) => {
    if (response.headersSent) return void response.write(bytes);
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    let status = 200;
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(': ');
      if (name === 'Status') status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status);
    response.write(head.subarray(end + 4));
  });
  child.on('close', () => response.end());
}
