import { hash } from 'bcryptjs';
import { describe, expect, it } from 'vitest';
import { checkPassword } from '../../src/access/check-password.js';
import { PasswordPool } from '../../src/access/password-pool.js';

/** The hashes that passwords of unknown users are compared with. */
async function comparedWith(names: readonly string[], hashes: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const check = PasswordPool.prototype.check;
  PasswordPool.prototype.check = async function (name, task) {
    found.set(name, task.expected as string);
    return await check.call(this, name, task);
  };
  try {
    for (const name of names) {
      const credentials = Buffer.from(`${name}:x`).toString('base64');
      await expect(checkPassword(credentials, () => undefined, hashes)).rejects.toThrow('Wrong user name or password');
    }
  } finally {
    PasswordPool.prototype.check = check;
  }
  return found;
}

describe('the password of a user whom nobody knows', () => {
  it('costs what that of a user does: always of the same one, and of each for some name', async () => {
    const hashes = [await hash('a', 4), await hash('b', 5)];
    const names = Array.from({ length: 40 }, (_, one) => `nobody${one}`);
    const first = await comparedWith(names, hashes);
    expect(new Set(first.values())).toEqual(new Set(hashes));
    expect(await comparedWith(names, hashes)).toEqual(first);
  });

  it('is taken nowhere without users', async () => {
    const credentials = Buffer.from('a:b').toString('base64');
    await expect(checkPassword(credentials, () => undefined, [])).rejects.toThrow('Passwords are not taken here');
  });
});
