import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

const LIFETIME = 300;

/**
 * The token endpoint of a registry (the token authentication of the distribution project): Basic credentials in, a signed
 * JWT for the scopes that were asked for out.
 */
export class TokenIssuer {
  #key;
  #chain;
  #users;
  /** The number of tokens that were given out, by scope. @type {Map<string, number>} */
  tokens = new Map();
  /** The number of refused requests. */
  refused = 0;

  static issuer = 'entrepot-acceptance-issuer';
  static service = 'entrepot-acceptance-registry';

  /**
   * @param {string} folder where the key and its certificate (`certificate.pem`, what the registry trusts) are made
   * @param {Readonly<Record<string, { password: string, actions: readonly string[] }>>} users by name
   */
  static async create(folder, users) {
    const key = join(folder, 'key.pem');
    const certificate = join(folder, 'certificate.pem');
    const subject = ['-subj', '/CN=entrepot-acceptance', '-days', '2', '-nodes'];
    const command = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', certificate, ...subject];
    const result = await runCommand(command, { cwd: folder, env: process.env, timeout: 60_000 });
    if (result.code !== 0) throw new Error(`openssl: ${outputOf(result)}`);
    return new TokenIssuer(await readFile(key), await readFile(certificate), users);
  }

  /**
   * @param {Buffer} key
   * @param {Buffer} certificate
   * @param {Readonly<Record<string, { password: string, actions: readonly string[] }>>} users
   */
  constructor(key, certificate, users) {
    this.#key = createPrivateKey(key);
    this.#chain = [new X509Certificate(certificate).raw.toString('base64')];
    this.#users = users;
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  answer(request, response) {
    const { searchParams } = new URL(request.url ?? '/', 'http://issuer');
    const [, encoded = ''] = /^Basic (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const [name = '', ...password] = Buffer.from(encoded, 'base64').toString().split(':');
    const user = this.#users[name];
    if (user === undefined || user.password !== password.join(':')) {
      this.refused += 1;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="issuer"', 'content-type': 'application/json' });
      response.end('{"details":"incorrect username or password"}');
      return;
    }
    const scopes = searchParams.getAll('scope').flatMap((scope) => scope.split(' '));
    for (const scope of scopes) this.tokens.set(scope, (this.tokens.get(scope) ?? 0) + 1);
    const rights = scopes.flatMap((scope) => accessOf(scope, user.actions));
    const token = this.#sign(name, searchParams.get('service') ?? '', rights);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token, expires_in: LIFETIME, issued_at: new Date().toISOString() }));
  }

  /** A token as somebody gets it who may do everything with `name`. @param {string} name */
  tokenFor(name) {
    return this.#sign('preload', TokenIssuer.service, [{ type: 'repository', name, actions: ['pull', 'push'] }]);
  }

  /** @param {string} subject @param {string} audience @param {readonly unknown[]} rights */
  #sign(subject, audience, rights) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: TokenIssuer.issuer,
      sub: subject,
      aud: audience,
      exp: now + LIFETIME,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access: rights,
    };
    const parts = [{ typ: 'JWT', alg: 'RS256', x5c: this.#chain }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    );
    return `${parts.join('.')}.${sign('sha256', Buffer.from(parts.join('.')), this.#key).toString('base64url')}`;
  }
}

/** @param {string} scope @param {readonly string[]} allowed */
function accessOf(scope, allowed) {
  const found = /^(?<type>[a-z]+):(?<name>.+):(?<actions>[a-z,*]*)$/.exec(scope)?.groups;
  if (found === undefined) return [];
  const actions = (found.actions ?? '').split(',').filter((action) => allowed.includes(action));
  return [{ type: found.type, name: found.name, actions }];
}
