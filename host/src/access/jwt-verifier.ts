import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { EntrepotError, type Clock, type Transport } from '@entrepot/core';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { unreadable } from '../config/files.js';
import type { IssuerConfig } from '../config/schema.js';

/** A set of keys that is larger is none, in bytes. */
const MAX_KEYS_BYTES = 1024 * 1024;
/** The time for which fetched keys are used, and the wait before an unknown key has them fetched again; milliseconds. */
const KEYS_MAX_AGE = 600_000;
const KEYS_COOL_DOWN = 30_000;
const KEYS_TIMEOUT = 10_000;

/** Whose token it is, and what it says. */
export interface VerifiedToken {
  readonly subject: string;
  readonly claims: JWTPayload;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Checks tokens that an identity provider made. */
export interface JwtVerifier {
  /**
   * @throws EntrepotError `unauthorized` for a token that is wrong in any way; `upstream-unavailable` when the keys cannot
   * be fetched
   */
  verify(token: string): Promise<VerifiedToken>;
}

/**
 * @param transport fetches the keys where they are at a URL
 * @throws EntrepotError `configuration` for a key file that cannot be used
 */
export async function openJwtVerifier(config: IssuerConfig, clock: Clock, transport: Transport): Promise<JwtVerifier> {
  const { issuer, audience, clockTolerance, keyFile } = config;
  const { keyOf, algorithms } = keyFile === undefined ? remoteKeys(config, transport) : await fileKeys(keyFile, config);
  const checks = {
    // RFC 9864 names the curve where RFC 8037 did not.
    algorithms: algorithms.flatMap((one) => (one === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [one])),
    ...(issuer !== false && { issuer }),
    ...(audience !== false && { audience }),
    requiredClaims: ['exp'],
    clockTolerance: clockTolerance / 1000,
  };
  return {
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, keyOf, { ...checks, currentDate: new Date(clock.now()) });
        const expiresAt = (payload.exp as number) * 1000 + clockTolerance;
        return { subject: payload.sub ?? 'a token without a subject', claims: payload, expiresAt };
      } catch (error) {
        throw refusal(error);
      }
    },
  };
}

/** The keys that tokens are checked with, and the algorithms that these are for. */
interface Keys {
  readonly keyOf: JWTVerifyGetKey;
  readonly algorithms: readonly string[];
}

function remoteKeys({ keysUrl, algorithms }: IssuerConfig, transport: Transport): Keys {
  const url = new URL(keysUrl as string);
  const keyOf = createRemoteJWKSet(url, {
    cacheMaxAge: KEYS_MAX_AGE,
    cooldownDuration: KEYS_COOL_DOWN,
    timeoutDuration: KEYS_TIMEOUT,
    [customFetch]: keysFetch(url, transport),
  });
  return { keyOf, algorithms };
}

async function fileKeys(file: string, { algorithms }: IssuerConfig): Promise<Keys> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  if (/^\s*\{/.test(text)) return { keyOf: localKeys(text, file), algorithms };
  const key = publicKey(text, file);
  // A key is of one algorithm: what a token says of it does not matter.
  const pinned = algorithms.filter((one) => one === algorithmOf(key));
  if (pinned.length > 0) return { keyOf: async () => key, algorithms: pinned };
  const message = `${file} holds no key for ${algorithms.join(', ')} (RSA of at least 2048 bits, P-256 or Ed25519)`;
  throw new EntrepotError('configuration', message);
}

function refusal(error: unknown): EntrepotError {
  const said = error instanceof errors.JOSEError && error.code !== 'ERR_JOSE_GENERIC' ? error.code : undefined;
  if (said === undefined || said === 'ERR_JWKS_TIMEOUT' || said === 'ERR_JWKS_INVALID') {
    return new EntrepotError('upstream-unavailable', 'The keys that tokens are checked with cannot be fetched now', {
      status: 503,
      cause: error,
    });
  }
  const lacking =
    error instanceof errors.JWTClaimValidationFailed && error.reason === 'missing' ? error.claim : undefined;
  const reason =
    said === 'ERR_JWT_EXPIRED'
      ? 'it has expired'
      : (LACKING[lacking ?? ''] ?? REASONS[said] ?? 'it is not one that is taken here');
  return new EntrepotError('unauthorized', `The token is refused: ${reason}`, { code: 'TOKEN_REFUSED' });
}

const LACKING: Readonly<Record<string, string>> = {
  iss: 'it names no issuer (`iss`); `access.jwt.issuer: false` of the repository takes such tokens',
  aud: 'it names no audience (`aud`); `access.jwt.audience: false` of the repository takes such tokens',
  exp: 'it does not say when it ends (`exp`)',
};

const REASONS: Readonly<Record<string, string>> = {
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'its issuer, audience or times are not those that are expected',
  ERR_JOSE_ALG_NOT_ALLOWED: 'its algorithm is not one that is taken here',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'its signature is wrong',
  ERR_JWKS_NO_MATCHING_KEY: 'it is signed with an unknown key',
};

function publicKey(pem: string, file: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch {
    throw new EntrepotError('configuration', `${file} is no public key: expected PEM, a JWK or a JWK set`);
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined {
  if (asymmetricKeyType === 'rsa') return (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 ? 'RS256' : undefined;
  if (asymmetricKeyType === 'ed25519') return 'EdDSA';
  return asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'ES256' : undefined;
}

function localKeys(text: string, file: string): JWTVerifyGetKey {
  try {
    const parsed = JSON.parse(text) as object;
    return createLocalJWKSet(('keys' in parsed ? parsed : { keys: [parsed] }) as JSONWebKeySet);
  } catch {
    throw new EntrepotError('configuration', `${file} is no JWK and no JWK set`);
  }
}

/** Fetches keys by the transport of the repository, whole and bounded; those that were had before stand in for a failure. */
function keysFetch(
  url: URL,
  transport: Transport,
): (url: string, options: { signal: AbortSignal }) => Promise<Response> {
  let last: Buffer | undefined;
  return async (_url, { signal }) => {
    try {
      last = await fetchKeys(url, transport, signal);
    } catch (error) {
      if (last === undefined) throw error;
    }
    return new Response(last, { status: 200 });
  };
}

async function fetchKeys(url: URL, transport: Transport, signal: AbortSignal): Promise<Buffer> {
  // The operator named this host, as upstreams are named. A redirect is no answer.
  const headers = { accept: 'application/jwk-set+json, application/json' };
  const { status, body } = await transport.send({ method: 'GET', url, headers, allowPrivate: true, signal });
  const parts: Buffer[] = [];
  let size = 0;
  try {
    if (status !== 200) throw new EntrepotError('upstream-unavailable', `Keys: expected status 200, found ${status}`);
    for await (const part of body as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > MAX_KEYS_BYTES) throw new EntrepotError('upstream-unavailable', 'Keys: expected at most 1 MiB');
      parts.push(part);
    }
  } finally {
    body.destroy();
  }
  const bytes = Buffer.concat(parts);
  JSON.parse(bytes.toString());
  return bytes;
}
