import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { expect, it, onTestFinished } from 'vitest';
import { repositoryOptions } from '../src/shared/options.js';
import { OpenPgpSignatures } from '../src/shared/signatures.js';

it('refuse to enforce signatures without a key', () => {
  const { error } = repositoryOptions.safeParse({ signatures: { mode: 'enforce' } });
  expect(error?.issues[0]?.path).toEqual(['signatures', 'keyrings']);
  expect(error?.issues[0]?.message).toMatch(/expected a keyring for mode: enforce/);
  expect(repositoryOptions.safeParse({ signatures: { mode: 'warn' } }).success).toBe(true);
  expect(repositoryOptions.safeParse({ signatures: { mode: 'enforce', keyrings: ['a.gpg'] } }).success).toBe(true);
});

it('refuse a keyring without a key', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-keyring-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const keyring = join(folder, 'empty.gpg');
  await writeFile(keyring, '');
  await expect(OpenPgpSignatures.open({ mode: undefined, keyrings: [keyring] }, silentLogger)).rejects.toMatchObject({
    kind: 'configuration',
    message: expect.stringContaining(keyring) as string,
  });
});
