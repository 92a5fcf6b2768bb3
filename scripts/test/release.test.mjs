import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkLicences, isAllowed } from '../release/licences.mjs';
import { signRelease, verifyRelease } from '../release/sums.mjs';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'entrepot-release-test-'));
});

afterEach(() => rm(folder, { recursive: true }));

function keys(type = 'ed25519') {
  return generateKeyPairSync(/** @type {'ed25519'} */ (type), {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}

describe('the sums of a release', () => {
  const { privateKey, publicKey } = keys();

  beforeEach(async () => {
    await writeFile(join(folder, 'a.tgz'), 'a');
    await writeFile(join(folder, 'b with a space.tgz'), 'b');
    await signRelease(folder, privateKey);
  });

  it('are of every file, and can be signed again', async () => {
    await signRelease(folder, privateKey);
    expect(await verifyRelease(folder, publicKey)).toEqual(['a.tgz', 'b with a space.tgz']);
    expect(await readFile(join(folder, 'entrepot-release.pem'), 'utf8')).toBe(publicKey);
  });

  it.each([
    ['a file that is changed', () => writeFile(join(folder, 'a.tgz'), 'A'), /^a\.tgz: expected the sum ca978112/],
    ['a file that is missing', () => rm(join(folder, 'a.tgz')), /^a\.tgz: .* found no such file$/],
    [
      'a file that is not listed',
      () => writeFile(join(folder, 'c.tgz'), 'c'),
      /^c\.tgz: expected the sum of a listed file/,
    ],
    [
      'sums that are changed',
      () => writeFile(join(folder, 'SHA256SUMS'), ''),
      /^SHA256SUMS: the signature is not of this key/,
    ],
  ])('refuse %s', async (_what, change, message) => {
    await change();
    await expect(verifyRelease(folder, publicKey)).rejects.toThrow(message);
  });

  it('refuse another key, and one that is no Ed25519', async () => {
    await expect(verifyRelease(folder, keys().publicKey)).rejects.toThrow('the signature is not of this key');
    await expect(signRelease(folder, keys('x25519').privateKey)).rejects.toThrow(
      'expected an Ed25519 key, found x25519',
    );
  });
});

describe('licences', () => {
  it.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['MIT AND ISC', true],
    ['MIT AND GPL-3.0-only', false],
    ['GPL-3.0-only', false],
    ['SEE LICENSE IN LICENSE', false],
    ['none', false],
  ])('%s: %s', (expression, allowed) => {
    expect(isAllowed(expression)).toBe(allowed);
  });

  it('name every package whose licence is not known, but those of development', async () => {
    const packages = {
      '': {},
      core: { link: true },
      'node_modules/good': { license: 'MIT' },
      'node_modules/dev': { license: 'GPL-3.0-only', dev: true },
      'node_modules/odd': {},
    };
    await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages }));
    expect(() => checkLicences(folder)).toThrow(/\nnode_modules\/odd: none$/);
  });
});
