import { EntrepotError, type Clock } from '@entrepot/core';
import type { AccessEntry } from './token-claims.js';

/** Lifetime of the issued tokens, in seconds. It may be short: a job logs in again by itself. */
const LIFETIME = 300;
/** The largest difference between the clocks of two replicas, in seconds. */
const CLOCK_TOLERANCE = 30;
const NAME = 'entrepot';
const TYPE = 'entrepot-token+jwt';

/** The claims of a token that this server issued. */
export interface RepositoryToken {
  /** Absent for unauthenticated callers. */
  readonly subject?: string | undefined;
  /** Names begin with that of the repository. */
  readonly access: readonly AccessEntry[];
}

/** The token endpoint's reply. */
export interface IssuedToken {
  /** A secret. */
  readonly token: string;
  /** Seconds. */
  readonly expiresIn: number;
  /** RFC 3339. */
  readonly issuedAt: string;
}

/** Loads the library on demand: it takes ten megabytes that only servers with accounts need. */
function jose(): Promise<typeof import('jose')> {
  return import('jose');
}

/** Makes and checks the short-lived tokens of the server's own token endpoint. */
export class RepositoryTokens {
  readonly #key: Uint8Array;
  readonly #clock: Clock;

  /** @param key a secret, the same on all replicas */
  constructor(key: Uint8Array, clock: Clock) {
    this.#key = key;
    this.#clock = clock;
  }

  /** Whether `token` says that it was made here; whether that is true, `verify` says. */
  static areOurs(token: string): boolean {
    try {
      const header = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString()) as unknown;
      return (header as { typ?: unknown } | null)?.typ === TYPE;
    } catch {
      return false;
    }
  }

  async issue({ subject, access }: RepositoryToken): Promise<IssuedToken> {
    const { SignJWT } = await jose();
    const now = Math.floor(this.#clock.now() / 1000);
    const token = new SignJWT({ access })
      .setProtectedHeader({ alg: 'HS256', typ: TYPE })
      .setIssuer(NAME)
      .setAudience(NAME)
      .setIssuedAt(now)
      .setExpirationTime(now + LIFETIME);
    if (subject !== undefined) token.setSubject(subject);
    return {
      token: await token.sign(this.#key),
      expiresIn: LIFETIME,
      issuedAt: new Date(now * 1000).toISOString(),
    };
  }

  /** @throws EntrepotError `unauthorized` for one that was not made here, or has expired */
  async verify(token: string): Promise<RepositoryToken & { readonly expiresAt: number }> {
    const { jwtVerify } = await jose();
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: ['HS256'],
        typ: TYPE,
        issuer: NAME,
        audience: NAME,
        requiredClaims: ['exp'],
        clockTolerance: CLOCK_TOLERANCE,
        currentDate: new Date(this.#clock.now()),
      });
      const { sub, exp, access } = payload;
      const expiresAt = ((exp as number) + CLOCK_TOLERANCE) * 1000;
      return { subject: sub, access: access as readonly AccessEntry[], expiresAt };
    } catch {
      throw new EntrepotError('unauthorized', 'The token is refused: it has expired, or was not made here', {
        code: 'TOKEN_REFUSED',
      });
    }
  }
}
