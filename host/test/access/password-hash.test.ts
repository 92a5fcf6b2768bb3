import { hash } from 'bcryptjs';
import { describe, expect, it } from 'vitest';
import { PASSWORD_WORKERS } from '../../src/access/password-pool.js';
import { hashPassword, verifyPassword } from '../../src/access/password-hash.js';
import { passwordHashProblem } from '../../src/config/password-hash-form.js';

const SALT_AND_KEY = `${'A'.repeat(22)}$${'B'.repeat(43)}`;

describe('verifyPassword', () => {
  it.each(['s3cret', 'with:colon', 'pässwörd 🔑', 'x'.repeat(200)])('knows %j by its scrypt hash', async (password) => {
    const made = await hashPassword(password);

    expect(made).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$/);
    expect(passwordHashProblem(made)).toBeUndefined();
    expect(await verifyPassword('ann', password, made)).toBe(true);
    expect(await verifyPassword('ann', `${password}x`, made)).toBe(false);
    expect(await hashPassword(password)).not.toBe(made);
  });

  it('knows a password by the bcrypt hash that htpasswd writes', async () => {
    const made = (await hash('s3cret', 4)).replace(/^\$2b/, '$2y');

    expect(passwordHashProblem(made)).toBeUndefined();
    expect(await verifyPassword('ann', 's3cret', made)).toBe(true);
    expect(await verifyPassword('ann', 'S3cret', made)).toBe(false);
  });

  it('refuses more at a time than it can check, and then goes on', async () => {
    const made = await hash('s3cret', 4);

    const wrong = Array.from({ length: 100 }, (_, one) => verifyPassword('ann', `wrong ${one}`, made));
    const checks = await Promise.allSettled(wrong);

    expect(checks.filter(({ status }) => status === 'fulfilled')).toHaveLength(64 + PASSWORD_WORKERS);
    expect(checks.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { status: 429, retryAfter: 5 },
    });
    expect(await verifyPassword('ann', 's3cret', made)).toBe(true);
  });

  it('knows right passwords while wrong ones are tried: what was right before at once, others after a turn', async () => {
    const [ann, bob] = [await hash('of ann', 4), await hash('of bob', 4)];
    expect(await verifyPassword('ann', 'of ann', ann)).toBe(true);

    const order: string[] = [];
    const guesses = Array.from({ length: 200 }, (_, one) =>
      verifyPassword('ann', `wrong ${one}`, ann).then(
        () => order.push('wrong'),
        () => order.push('refused'),
      ),
    );
    const known = verifyPassword('ann', 'of ann', ann).then((isRight) => order.push(`ann ${isRight}`));
    const other = verifyPassword('bob', 'of bob', bob).then((isRight) => order.push(`bob ${isRight}`));
    await Promise.all([...guesses, known, other]);

    expect(order.indexOf('ann true')).toBeLessThan(order.indexOf('wrong'));
    // Two are being checked when it comes, and one of the others has its turn before.
    expect(order.filter((one) => one !== 'refused').indexOf('bob true')).toBeLessThan(6);
    expect(order.filter((one) => one === 'refused')).toHaveLength(200 - 64 - PASSWORD_WORKERS + 1);
  });

  it('holds no request while it hashes', async () => {
    const made = await hash('s3cret', 9);

    const before = performance.eventLoopUtilization();
    await Promise.all(Array.from({ length: 20 }, (_, one) => verifyPassword('ann', `wrong ${one}`, made)));

    // On the thread that answers requests it would be busy all the time.
    expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5);
  });
});

describe('passwordHashProblem', () => {
  it.each<[string, RegExp]>([
    ['$apr1$salt$hashhashhash', /found an MD5 hash/],
    ['$1$salt$hashhashhash', /found an MD5 hash/],
    ['{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', /found a SHA-1 hash/],
    ['$6$salt$hash', /found a SHA-2 crypt hash/],
    ['s3cret', /found something else/],
    ['', /found something else/],
    ['$2y$31$' + '.'.repeat(53), /bcrypt hash that is malformed or too costly/],
    ['$2y$10$short', /bcrypt hash that is malformed or too costly/],
    [`$scrypt$ln=30,r=8,p=1$${SALT_AND_KEY}`, /at most 256 MiB/],
    [`$scrypt$ln=0,r=8,p=1$${SALT_AND_KEY}`, /at most 256 MiB/],
    [`$scrypt$ln=15,r=99,p=99$${SALT_AND_KEY}`, /at most 256 MiB/],
  ])('says what is wrong with %s, and does not repeat it', (hashed, expected) => {
    const problem = passwordHashProblem(hashed);

    expect(problem).toMatch(expected);
    if (hashed !== '') expect(problem).not.toContain(hashed);
  });
});
