import { hash, randomBytes } from 'node:crypto';
import { parseAuthorization } from './check-password.js';

/** The beginning of each key, by which people and programs that look for secrets recognise one. */
const PREFIX = 'entrepot_';
const BYTES = 32;
/** 256 bits in base64url. */
const FORM = /^entrepot_[A-Za-z0-9_-]{43}$/;

/** Makes the secret of a key. */
export function makeKeySecret(): string {
  return PREFIX + randomBytes(BYTES).toString('base64url');
}

/** The name under which a secret is stored. Without a salt: nobody can guess 256 random bits. */
export function hashOfKey(secret: string): string {
  return hash('sha256', secret);
}

/** Finds a key in `Authorization`: as the bearer token, or as the password of whatever user. */
export function keySecretIn(authorization: string): string | undefined {
  const { scheme, credentials } = parseAuthorization(authorization);
  if (scheme === 'bearer') return FORM.test(credentials) ? credentials : undefined;
  if (scheme !== 'basic') return undefined;
  const text = Buffer.from(credentials, 'base64').toString('latin1');
  const colon = text.indexOf(':');
  const password = text.slice(colon + 1);
  return colon >= 0 && FORM.test(password) ? password : undefined;
}
