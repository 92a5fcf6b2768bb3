import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { EntrepotError } from '@entrepot/core';
import { hashPassword, verifyPassword } from './password-hash.js';

/** A password of the configuration: exactly one of the two. */
export interface PasswordConfig {
  readonly password?: string | undefined;
  readonly passwordHash?: string | undefined;
}

/** The hash to compare with. A password that is given plainly is kept and compared as the others are. */
export async function hashOf({ password, passwordHash }: PasswordConfig): Promise<string> {
  return passwordHash ?? (await hashPassword(password as string));
}

/**
 * Finds the user of Basic credentials (RFC 7617, section 2).
 * @param credentials the text behind `Basic`
 * @param hashes of all users
 * @throws EntrepotError `unauthorized`
 */
export async function checkPassword<User extends { readonly hash: string }>(
  credentials: string,
  userOf: (name: string) => User | undefined,
  hashes: readonly string[],
): Promise<{ readonly name: string; readonly user: User }> {
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const name = text.slice(0, Math.max(colon, 0));
  const user = colon < 0 ? undefined : userOf(name);
  const hash = user?.hash ?? decoyOf(name, hashes);
  if (hash === undefined) throw new EntrepotError('unauthorized', 'Passwords are not taken here');
  // For a user whom nobody knows as well: how long it takes must not say who exists.
  const isRight = await verifyPassword(name, text.slice(colon + 1), hash);
  if (isRight && user !== undefined) return { name, user };
  throw new EntrepotError('unauthorized', 'Wrong user name or password');
}

const DECOY_KEY = randomBytes(32);

/** The hash for an unknown name. The same name always gets the same one, so that it costs as much as a known name. */
function decoyOf(name: string, hashes: readonly string[]): string | undefined {
  const place = createHmac('sha256', DECOY_KEY).update(name).digest().readUInt32BE();
  return hashes[place % hashes.length];
}

/** The two parts of `Authorization` (RFC 9110, section 11.4), the scheme in lower case; empty where it is something else. */
export function parseAuthorization(authorization: string): { readonly scheme: string; readonly credentials: string } {
  const [, scheme = '', credentials = ''] = /^([A-Za-z]+) +([^ ]+) *$/.exec(authorization) ?? [];
  return { scheme: scheme.toLowerCase(), credentials };
}

/** Compares hashes of one length, so that the time that it takes does not reveal the length of a secret. */
export function isSameSecret(one: string, other: string): boolean {
  const [first, second] = [one, other].map((secret) => createHash('sha256').update(secret).digest()) as [
    Buffer,
    Buffer,
  ];
  return timingSafeEqual(first, second);
}
