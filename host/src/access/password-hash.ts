import { createHmac, randomBytes, scrypt } from 'node:crypto';
import { Lru } from '@entrepot/core/formats';
import { PasswordPool } from './password-pool.js';
import type { PasswordTask, ScryptHash } from './password-worker.js';

/** Of hashes that are made here: 32 MiB and about a tenth of a second each. */
const COST = { logN: 15, r: 8, p: 1 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** A hash may ask for this much memory and no more, in bytes. */
const MAX_MEMORY = 256 * 1024 * 1024;

const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$/;
const SCRYPT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43,86})$/;

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

/** Why `hash` cannot be used, without quoting it; `undefined` when it can. */
export function passwordHashProblem(hash: string): string | undefined {
  const expected = 'expected a bcrypt hash ($2y$…, at most cost 15) or one of `entrepot password` ($scrypt$…)';
  if (BCRYPT.test(hash)) return undefined;
  const parsed = parseScrypt(hash);
  if (parsed === undefined) return `${expected}, found ${kindOf(hash)}`;
  return parsed.cost.logN < 1 || parsed.cost.r < 1 || parsed.cost.p < 1 || memoryOf(parsed.cost) > MAX_MEMORY
    ? `${expected} that needs at most 256 MiB`
    : undefined;
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

interface Cost {
  /** Of which 2 to the power is scrypt's N. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

function parseScrypt(hash: string): { readonly cost: Cost; readonly salt: Buffer; readonly key: Buffer } | undefined {
  const match = SCRYPT.exec(hash);
  if (match === null) return undefined;
  const [, logN, r, p, salt, key] = match as unknown as [string, string, string, string, string, string];
  return {
    cost: { logN: Number(logN), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, 'base64'),
    key: Buffer.from(key, 'base64'),
  };
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

function memoryOf({ logN, r, p }: Cost): number {
  return 128 * r * (2 ** logN + p);
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}

function kindOf(hash: string): string {
  if (hash.startsWith('$apr1$') || hash.startsWith('$1$')) return 'an MD5 hash';
  if (hash.startsWith('{SHA}')) return 'a SHA-1 hash';
  if (/^\$[56]\$/.test(hash)) return 'a SHA-2 crypt hash';
  if (hash.startsWith('$2')) return 'a bcrypt hash that is malformed or too costly';
  return 'something else';
}
