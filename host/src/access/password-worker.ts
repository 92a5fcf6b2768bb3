import { scryptSync, timingSafeEqual } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

/** A password, and what it is compared with: a bcrypt hash, or the parts of a scrypt one. */
export interface PasswordTask {
  readonly password: string;
  readonly expected: string | ScryptHash;
}

/** A scrypt hash, with the options that Node takes. */
export interface ScryptHash {
  readonly salt: Uint8Array;
  readonly key: Uint8Array;
  readonly cost: { readonly N: number; readonly r: number; readonly p: number; readonly maxmem: number };
}

parentPort?.on('message', ({ password, expected }: PasswordTask) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort?.postMessage(isRight(password, expected));
});

function isRight(password: string, expected: PasswordTask['expected']): boolean {
  if (typeof expected === 'string') return compareSync(password, expected);
  const { salt, key, cost } = expected;
  return timingSafeEqual(scryptSync(password, salt, key.length, cost), key);
}
