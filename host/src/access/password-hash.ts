import { createHmac, randomBytes, scrypt } from 'node:crypto';
import { Lru } from '@entrepot/core/formats';
import { memoryOf, parseScrypt, type Cost } from '../config/password-hash-form.js';
import { PasswordPool } from './password-pool.js';
import type { PasswordTask, ScryptHash } from './password-worker.js';

/** Of hashes that are made here: 32 MiB and about a tenth of a second each. */
const COST = { logN: 15, r: 8, p: 1 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** Right passwords that are known again by a hash that is worth nothing outside of this process. */
const MAX_KNOWN = 10_000;
const KEY = randomBytes(32);
const known = new Lru<true>(MAX_KNOWN);
const pool = new PasswordPool();

/** A hash of `password` for the configuration: scrypt, in the form `$scrypt$ln=15,r=8,p=1$salt$key`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, salt, COST, KEY_BYTES);
  return `$scrypt$ln=${COST.logN},r=${COST.r},p=${COST.p}$${unpadded(salt)}$${unpadded(key)}`;
}

/**
 * Whether `password` is the one that `hash` was made of. Takes as long for a wrong one. One that was right before costs no hashing.
 * @param name of the user
 * @throws EntrepotError `unauthorized` with status 429 when too many are being checked
 */
export async function verifyPassword(name: string, password: string, hash: string): Promise<boolean> {
  const id = createHmac('sha256', KEY).update(`${hash}\n${password}`).digest('base64');
  if (known.get(id) === true) return true;
  const isRight = await pool.check(name, taskOf(password, hash));
  if (isRight) known.set(id, true);
  return isRight;
}

function taskOf(password: string, hash: string): PasswordTask {
  const parsed = parseScrypt(hash);
  if (parsed === undefined) return { password, expected: hash };
  return { password: password.normalize('NFC'), expected: { ...parsed, cost: optionsOf(parsed.cost) } };
}

function derive(password: string, salt: Buffer, cost: Cost, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, length, optionsOf(cost), (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function optionsOf(cost: Cost): ScryptHash['cost'] {
  const { logN, r, p } = cost;
  // Node counts a little more than the algorithm's own memory.
  return { N: 2 ** logN, r, p, maxmem: memoryOf(cost) + 1024 * 1024 };
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
