import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { Origin } from './origin.mjs';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

/** What GitHub has for apps: installations and their tokens, checked as it does. */
export class GithubServer {
  #appId;
  #key;
  #installed;
  #clock;
  #origin = new Origin((request, response) => this.#answer(request, response));
  /** Tokens by the repository that they are for. @type {Map<string, string>} */
  #valid = new Map();
  /** Those that were given out. @type {string[]} */
  tokens = [];
  /** Answers instead. @type {((response: ServerResponse) => boolean) | undefined} */
  intercept;

  /** @param {{ appId: string, privateKey: string, installed: readonly string[], clock?: () => number }} options */
  constructor({ appId, privateKey, installed, clock = Date.now }) {
    this.#appId = appId;
    this.#key = createPublicKey(privateKey);
    this.#installed = installed;
    this.#clock = clock;
  }

  get url() {
    return this.#origin.url;
  }

  get requests() {
    return this.#origin.requests;
  }

  async start() {
    await this.#origin.start();
    return this;
  }

  async stop() {
    await this.#origin.stop();
  }

  /** No token that was given out is good any more. */
  revoke() {
    this.#valid.clear();
  }

  /** Whether git may read what is at `path` with this login. @param {string | undefined} login @param {string} path */
  mayRead(login, path) {
    const token = /^x-access-token:(.+)$/.exec(login ?? '')?.[1] ?? '';
    const repository = this.#valid.get(token);
    return repository !== undefined && path.startsWith(`/${repository}`);
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async #answer(request, response) {
    const reply = (/** @type {number} */ status, /** @type {unknown} */ body) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (this.intercept?.(response) === true) return;
    if (!this.#isApp(request.headers.authorization)) return reply(401, { message: 'Bad credentials' });
    const lookup = /^\/repos\/(.+)\/installation$/.exec(request.url ?? '')?.[1];
    if (request.method === 'GET' && lookup !== undefined) {
      return this.#installed.includes(lookup) ? reply(200, { id: 17 }) : reply(404, { message: 'Not Found' });
    }
    if (request.method !== 'POST' || request.url !== '/app/installations/17/access_tokens') return reply(404, {});
    let text = '';
    for await (const piece of request) text += piece;
    const { repositories, permissions } = JSON.parse(text);
    const repository = this.#installed.find((name) => name.split('/')[1] === repositories?.[0]);
    if (repository === undefined || permissions?.contents !== 'read') return reply(422, {});
    const token = `ghs_${randomBytes(18).toString('hex')}`;
    this.tokens.push(token);
    this.#valid.set(token, repository);
    reply(201, { token, expires_at: new Date(this.#clock() + 3_600_000).toISOString() });
  }

  /** Checks the JSON Web Token as GitHub does. @param {string | undefined} authorization */
  #isApp(authorization) {
    const [head = '', claims = '', signature = ''] = (authorization ?? '').replace('Bearer ', '').split('.');
    if (!verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), this.#key, Buffer.from(signature, 'base64url'))) {
      return false;
    }
    const { iat, exp, iss } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const now = this.#clock() / 1000;
    return iss === this.#appId && iat <= now && now < exp && exp - iat <= 600;
  }
}
