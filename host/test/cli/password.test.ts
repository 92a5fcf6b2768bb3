import { describe, expect, it } from 'vitest';
import { verifyPassword } from '../../src/access/password-hash.js';
import { TestProcess } from './test-context.js';

describe('entrepot password', () => {
  it.each(['s3cret\n', 's3cret\r\nnot this\n', 's3cret'])(
    'prints a hash of the first line of its input',
    async (input) => {
      const process = new TestProcess('/');
      process.input = input;

      expect(await process.run('password')).toBe(0);

      const [hash = ''] = process.output;
      expect(hash).not.toContain('s3cret');
      expect(await verifyPassword('a', 's3cret', hash)).toBe(true);
      expect(await verifyPassword('a', 's3cret ', hash)).toBe(false);
    },
  );

  it('wants a password', async () => {
    const process = new TestProcess('/');

    expect(await process.run('password')).toBe(1);
    expect(process.errors).toEqual(['entrepot: expected a password on standard input, found nothing; pipe it in']);
  });
});
