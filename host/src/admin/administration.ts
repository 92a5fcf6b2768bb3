import { EntrepotError, type Caller, type Clock, type Transport } from '@entrepot/core';
import { ConfigurationError } from '../config/configuration-error.js';
import type { AdminConfig } from '../config/schema.js';
import type { ApiKeys, KnownKey } from '../access/api-keys.js';
import { CallerMemo, type Checked } from '../access/caller-memo.js';
import { checkPassword, hashOf, isSameSecret, parseAuthorization } from '../access/check-password.js';
import { administers } from '../access/key-scopes.js';
import { keySecretIn } from '../access/key-secret.js';
import { openVerifier } from '../access/open-access.js';
import { wordsOf } from '../access/token-claims.js';

/** An authenticated administrator. */
export interface Administrator {
  /**
   * The name that decisions are recorded under. Absent for the bearer of the token and for local callers: they name
   * themselves.
   */
  readonly name?: string | undefined;
  /** The key that was sent, whose scopes bound what may be done. Absent: everything may be. */
  readonly key?: KnownKey | undefined;
}

/** @throws EntrepotError `forbidden` for the bearer of a key without any scope of administration */
export function requireAdministrator({ name, key }: Administrator): void {
  if (key === undefined || key.scopes.some(({ may }) => may === 'admin')) return;
  throw new EntrepotError('forbidden', `Administration: ${name} has no scope with admin`, { code: 'KEY_SCOPE' });
}

/** Whether somebody may administer a repository as a whole, or, without one, the server. */
export function mayAdminister({ key }: Administrator, repository?: string): boolean {
  return key === undefined || key.scopes.some((scope) => administers(scope, repository));
}

/** Whether the configuration says who may administer. */
export function isAdministrationNamed({ token, users, jwt }: AdminConfig): boolean {
  return token !== undefined || jwt !== undefined || Object.keys(users).length > 0;
}

const ADMIN: Caller = { may: () => true };

/** Authenticates administrators by the token, the users or the identity provider of the configuration, or by keys. */
export interface Administration {
  /**
   * Whether the configuration names no administrator. Then callers of this machine and bearers of the generated token
   * may administer.
   */
  readonly trustsLocal: boolean;
  /** The `WWW-Authenticate` value for those who must say who they are. */
  readonly challenge: string;
  /**
   * Authenticates the caller of a request. The scopes of a key are another question (`mayAdminister`).
   * @throws EntrepotError `unauthorized` for wrong credentials; `forbidden` for a user without the right to administer;
   * `upstream-unavailable` when the identity provider cannot be reached
   */
  authenticate(authorization: string): Promise<Administrator>;
}

/**
 * @param services `madeToken` returns the generated token. It is called on the first request, where the configuration
 * names no administrator. `keys` is called when the first one is sent.
 * @throws ConfigurationError for a key file that cannot be used
 */
export async function openAdministration(
  config: AdminConfig,
  {
    clock,
    transport,
    madeToken,
    keys,
  }: { clock: Clock; transport: Transport; madeToken: () => string; keys: () => Pick<ApiKeys, 'require'> },
): Promise<Administration> {
  const { jwt } = config;
  const users = new Map<string, { readonly hash: string }>();
  for (const [name, user] of Object.entries(config.users)) users.set(name, { hash: await hashOf(user) });
  const hashes = [...users.values()].map(({ hash }) => hash);
  const verifier = jwt && (await openVerifier(jwt, clock, transport).catch(refuseKeyFile));
  const trustsLocal = !isAdministrationNamed(config);
  const memo = new CallerMemo(clock);
  const bearer = 'Bearer realm="administration"';
  return {
    trustsLocal,
    challenge: users.size > 0 ? `${bearer}, Basic realm="administration", charset="UTF-8"` : bearer,
    async authenticate(authorization) {
      const secret = keySecretIn(authorization);
      if (secret !== undefined) {
        const key = keys().require(secret);
        return { name: key.caller, key };
      }
      const { scheme, credentials } = parseAuthorization(authorization);
      const token = scheme !== 'bearer' ? undefined : trustsLocal ? madeToken() : config.token;
      if (token !== undefined && isSameSecret(credentials, token)) return {};
      return await memo.get(authorization, () => check(scheme, credentials));
    },
  };

  async function check(scheme: string, credentials: string): Promise<Checked> {
    if (scheme === 'basic') {
      const { name } = await checkPassword(credentials, (asked) => users.get(asked), hashes);
      return { caller: { ...ADMIN, name } };
    }
    if (scheme !== 'bearer' || verifier === undefined || jwt === undefined)
      throw new EntrepotError('unauthorized', 'Administration: wrong credentials');
    const { subject: name, claims, expiresAt } = await verifier.verify(credentials);
    const words = wordsOf(claims[jwt.claim]);
    if (jwt.admin.some((word) => words.includes(word))) return { caller: { ...ADMIN, name }, expiresAt };
    throw new EntrepotError('forbidden', `Administration: ${name} may not administer`);
  }
}

function refuseKeyFile(error: unknown): never {
  if (!(error instanceof EntrepotError)) throw error;
  throw new ConfigurationError([{ path: 'admin.jwt.keyFile', message: error.message }]);
}
