import {
  EntrepotError,
  type Access,
  type AccessNeed,
  type Caller,
  type Clock,
  type NameFacts,
  type Right,
} from '@entrepot/core';
import type { JwtConfig } from '../config/schema.js';
import type { ApiKeys, KnownKey } from './api-keys.js';
import { CallerMemo, type Checked } from './caller-memo.js';
import { checkPassword, parseAuthorization } from './check-password.js';
import type { HtpasswdFile } from './htpasswd.js';
import type { JwtVerifier } from './jwt-verifier.js';
import { KeyCaller, keyOfSubject } from './key-caller.js';
import { rightsAt } from './key-scopes.js';
import { keySecretIn } from './key-secret.js';
import { RepositoryTokens } from './repository-tokens.js';
import { rightsOfClaims, type ClaimRules } from './token-claims.js';

/** A user of the configuration. */
export interface KnownUser {
  readonly hash: string;
  readonly may: Right;
  /** Whether the user may see a name within the repository. */
  readonly fits: (name: string | undefined) => boolean;
}

export interface RepositoryAccessOptions extends Omit<ClaimRules, 'claim' | 'read' | 'write'> {
  /** The right of unauthenticated callers. `write` includes `read`. */
  readonly anonymous: 'none' | Right;
  readonly users: ReadonlyMap<string, KnownUser>;
  readonly htpasswd?: HtpasswdFile | undefined;
  readonly jwt?: { readonly verifier: JwtVerifier; readonly config: JwtConfig } | undefined;
  /** The server's own tokens. Called when the first one has to be checked. */
  readonly tokens: () => RepositoryTokens;
  /** The keys of callers. Called when the first one asks. */
  readonly keys: () => Pick<ApiKeys, 'require' | 'get' | 'size'>;
  /** The language of patterns of names. */
  readonly pattern?: NameFacts['pattern'] | undefined;
  readonly clock: Clock;
}

/** Access control of one repository, by passwords, keys, tokens of an identity provider and the server's own tokens. */
export class RepositoryAccess implements Access {
  readonly knowsCallers = true;
  readonly #options: RepositoryAccessOptions;
  readonly #memo: CallerMemo;
  /** Made once for each key: a changed one is another object. */
  readonly #keyCallers = new WeakMap<KnownKey, KeyCaller>();
  #listed: { readonly file: HtpasswdFile['users'] | undefined; readonly hashes: readonly string[] } | undefined;
  readonly #readsOpen: boolean;
  readonly #writesOpen: boolean;
  readonly #anyone: Caller = { may: (need) => this.isOpen(need) };

  constructor(options: RepositoryAccessOptions) {
    this.#options = options;
    this.#memo = new CallerMemo(options.clock);
    this.#readsOpen = options.anonymous !== 'none';
    this.#writesOpen = options.anonymous === 'write';
  }

  isOpen({ right }: AccessNeed): boolean {
    return right === 'read' ? this.#readsOpen : this.#writesOpen;
  }

  async authenticate(authorization: string | undefined): Promise<Caller> {
    if (authorization === undefined) return this.#anyone;
    const secret = keySecretIn(authorization);
    // Not by the memo, which would know a key after its end.
    if (secret !== undefined) return this.#callerOf(this.#options.keys().require(secret));
    if (await this.#options.htpasswd?.refresh()) this.#memo.clear();
    return await this.#memo.get(authorization, () => this.#check(authorization));
  }

  challenge(): string {
    const { users, htpasswd, jwt, keys } = this.#options;
    // A key may be sent as a password.
    const passwords = users.size > 0 || htpasswd !== undefined || jwt === undefined || keys().size > 0;
    return passwords ? 'Basic realm="Entrepot", charset="UTF-8"' : 'Bearer realm="Entrepot"';
  }

  #callerOf(key: KnownKey): KeyCaller {
    const known = this.#keyCallers.get(key);
    if (known !== undefined) return known;
    const { repository, pattern } = this.#options;
    const allows = rightsAt(key.scopes, { name: repository, pattern });
    const caller = new KeyCaller(key, (need) => this.isOpen(need) || allows(need));
    this.#keyCallers.set(key, caller);
    return caller;
  }

  async #check(authorization: string): Promise<Checked> {
    const { scheme, credentials } = parseAuthorization(authorization);
    switch (scheme) {
      case 'basic':
        return await this.#checkPassword(credentials);
      case 'bearer':
        return RepositoryTokens.areOurs(credentials)
          ? await this.#checkOwn(credentials)
          : await this.#checkJwt(credentials);
      default:
        throw new EntrepotError('unauthorized', 'Authorization: expected Basic or Bearer credentials');
    }
  }

  async #checkPassword(credentials: string): Promise<Checked> {
    const { name, user } = await checkPassword(credentials, (asked) => this.#userOf(asked), this.#hashes());
    return { caller: { name, may: (need) => this.#mayUser(user, need) } };
  }

  async #checkJwt(token: string): Promise<Checked> {
    const { jwt } = this.#options;
    if (jwt === undefined) throw new EntrepotError('unauthorized', 'Bearer tokens are not taken here');
    const { subject, claims, expiresAt } = await jwt.verifier.verify(token);
    const allows = rightsOfClaims(claims, { ...this.#options, ...jwt.config });
    return { caller: { name: subject, may: (need) => this.isOpen(need) || allows(need) }, expiresAt };
  }

  /** A token of ours gives what its user may still do, as far as it was asked for. */
  async #checkOwn(token: string): Promise<Checked> {
    const { subject, access, expiresAt } = await this.#options.tokens().verify(token);
    if (subject === undefined) return { caller: this.#anyone, expiresAt };
    const own = { plainNames: false, types: [], claim: '', read: [], write: [] };
    const allows = rightsOfClaims({ access }, { ...this.#options, ...own });
    const keyId = keyOfSubject(subject);
    if (keyId !== undefined) return this.#checkOwnOfKey(keyId, allows, expiresAt);
    const user = this.#userOf(subject);
    const mayWithNewToken = (need: AccessNeed): boolean => user !== undefined && this.#mayUser(user, need);
    const may = (need: AccessNeed): boolean => this.isOpen(need) || (mayWithNewToken(need) && allows(need));
    return { caller: { name: subject, may, mayWithNewToken }, expiresAt };
  }

  /** A token that was issued for a key ends with the key, and changes with it. */
  #checkOwnOfKey(id: string, allows: (need: AccessNeed) => boolean, expiresAt: number): Checked {
    const keys = this.#options.keys();
    const key = keys.get(id);
    if (key === undefined)
      throw new EntrepotError('unauthorized', 'The token is refused: the key that it was made for is not in force', {
        code: 'TOKEN_REFUSED',
      });
    const mayWithNewToken = this.#callerOf(key).may;
    const may = (need: AccessNeed): boolean => this.isOpen(need) || (mayWithNewToken(need) && allows(need));
    return { caller: new KeyCaller(key, may, mayWithNewToken), expiresAt, holds: () => keys.get(id) === key };
  }

  #mayUser({ may, fits }: KnownUser, need: AccessNeed): boolean {
    return (
      this.isOpen(need) || ((may === 'write' || need.right === 'read') && (need.anyName === true || fits(need.name)))
    );
  }

  #userOf(name: string): KnownUser | undefined {
    const { users, htpasswd } = this.#options;
    const known = users.get(name);
    if (known !== undefined) return known;
    const hash = htpasswd?.users.get(name);
    return hash === undefined ? undefined : { hash, may: 'write', fits: () => true };
  }

  /** Of all users, listed anew when the file has been read anew. */
  #hashes(): readonly string[] {
    const { users, htpasswd } = this.#options;
    if (this.#listed?.file !== htpasswd?.users || this.#listed === undefined) {
      const hashes = [...users.values()].map(({ hash }) => hash);
      this.#listed = { file: htpasswd?.users, hashes: [...hashes, ...(htpasswd?.users.values() ?? [])] };
    }
    return this.#listed.hashes;
  }
}
