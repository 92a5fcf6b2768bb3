import { EntrepotError, type Caller, type Clock, type Transport } from '@entrepot/core';
import { ConfigurationError, type AdminConfig } from '../config/index.js';
import { CallerMemo, type Checked } from '../access/caller-memo.js';
import { checkPassword, hashOf, isSameSecret, parseAuthorization } from '../access/check-password.js';
import type { JwtVerifier } from '../access/jwt-verifier.js';
import { openVerifier } from '../access/open-access.js';
import { wordsOf } from '../access/token-claims.js';

/** An authenticated administrator. */
export interface Administrator {
  /**
   * The name that decisions are recorded under. Absent for the bearer of the token and for local callers: they name
   * themselves.
   */
  readonly name?: string | undefined;
}

/** Whether the configuration says who may administer. */
export function isAdministrationNamed({ token, users, jwt }: AdminConfig): boolean {
  return token !== undefined || jwt !== undefined || Object.keys(users).length > 0;
}

const ADMIN: Caller = { may: () => true };

/** Authenticates administrators by the token, the users or the identity provider of the configuration. */
export class Administration {
  readonly #config: AdminConfig;
  /**
   * Whether the configuration names no administrator. Then callers of this machine and bearers of the generated token
   * may administer.
   */
  readonly trustsLocal: boolean;
  readonly #token: () => string | undefined;
  /** Hashes by user name. */
  readonly #users: ReadonlyMap<string, string>;
  readonly #verifier: JwtVerifier | undefined;
  readonly #memo: CallerMemo;

  /**
   * @param services `madeToken` returns the generated token. It is called on the first request, where the configuration
   * names no administrator.
   * @throws ConfigurationError for a key file that cannot be used
   */
  static async open(
    config: AdminConfig,
    { clock, transport, madeToken }: { clock: Clock; transport: Transport; madeToken: () => string },
  ): Promise<Administration> {
    const users = new Map<string, string>();
    for (const [name, user] of Object.entries(config.users)) users.set(name, await hashOf(user));
    try {
      const verifier = config.jwt && (await openVerifier(config.jwt, clock, transport));
      const token = isAdministrationNamed(config) ? () => config.token : madeToken;
      return new Administration(config, users, verifier, clock, token);
    } catch (error) {
      if (!(error instanceof EntrepotError)) throw error;
      throw new ConfigurationError([{ path: 'admin.jwt.keyFile', message: error.message }]);
    }
  }

  private constructor(
    config: AdminConfig,
    users: ReadonlyMap<string, string>,
    verifier: JwtVerifier | undefined,
    clock: Clock,
    token: () => string | undefined,
  ) {
    this.#config = config;
    this.trustsLocal = !isAdministrationNamed(config);
    this.#token = token;
    this.#users = users;
    this.#verifier = verifier;
    this.#memo = new CallerMemo(clock);
  }

  /** The `WWW-Authenticate` value for those who must say who they are. */
  get challenge(): string {
    const bearer = 'Bearer realm="administration"';
    return this.#users.size > 0 ? `${bearer}, Basic realm="administration", charset="UTF-8"` : bearer;
  }

  /**
   * Authenticates the caller of a request.
   * @throws EntrepotError `unauthorized` for wrong credentials; `forbidden` for a user without the right to administer;
   * `upstream-unavailable` when the identity provider cannot be reached
   */
  async authenticate(authorization: string): Promise<Administrator> {
    const { scheme, credentials } = parseAuthorization(authorization);
    const token = scheme === 'bearer' ? this.#token() : undefined;
    if (token !== undefined && isSameSecret(credentials, token)) return {};
    return await this.#memo.get(authorization, () => this.#check(scheme, credentials));
  }

  async #check(scheme: string, credentials: string): Promise<Checked> {
    if (scheme === 'basic') {
      const userOf = (name: string): { hash: string } | undefined => {
        const hash = this.#users.get(name);
        return hash === undefined ? undefined : { hash };
      };
      const { name } = await checkPassword(credentials, userOf, [...this.#users.values()]);
      return { caller: { ...ADMIN, name } };
    }
    const { jwt } = this.#config;
    if (scheme !== 'bearer' || this.#verifier === undefined || jwt === undefined)
      throw new EntrepotError('unauthorized', 'Administration: wrong credentials');
    const { subject: name, claims, expiresAt } = await this.#verifier.verify(credentials);
    const words = wordsOf(claims[jwt.claim]);
    if (jwt.admin.some((word) => words.includes(word))) return { caller: { ...ADMIN, name }, expiresAt };
    throw new EntrepotError('forbidden', `Administration: ${name} may not administer`);
  }
}
