import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const SUMS = 'SHA256SUMS';
const SIGNATURE = 'SHA256SUMS.sig';
const KEY = 'entrepot-release.pem';

/**
 * Writes the SHA-256 sums of all files of a release, in the form of `sha256sum`, the signature of that file (Ed25519,
 * RFC 8032), and the public key.
 * @param {string} folder
 * @param {string} privateKey PKCS #8, as PEM
 */
export async function signRelease(folder, privateKey) {
  const key = createPrivateKey(privateKey);
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Error(`the release key: expected an Ed25519 key, found ${key.asymmetricKeyType}`);
  const names = (await readdir(folder)).filter((name) => ![SUMS, SIGNATURE, KEY].includes(name)).sort();
  const lines = names.map(async (name) => `${await sumOf(join(folder, name))}  ${name}\n`);
  const sums = Buffer.from((await Promise.all(lines)).join(''));
  await writeFile(join(folder, SUMS), sums);
  await writeFile(join(folder, SIGNATURE), sign(null, sums, key));
  await writeFile(join(folder, KEY), createPublicKey(key).export({ type: 'spki', format: 'pem' }));
}

/**
 * Holds a folder against its sums, and those against their signature.
 * @param {string} folder
 * @param {string} publicKey SPKI, as PEM
 * @returns {Promise<string[]>} the files
 * @throws Error for a signature of another key, and for files that are missing, changed or not listed
 */
export async function verifyRelease(folder, publicKey) {
  const sums = await readFile(join(folder, SUMS));
  if (!verify(null, sums, createPublicKey(publicKey), await readFile(join(folder, SIGNATURE))))
    throw new Error(
      `${SUMS}: the signature is not of this key; take the release, and the key, from where you trust it`,
    );
  const listed = new Map(
    sums
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(66), line.slice(0, 64)]),
  );
  const found = (await readdir(folder)).filter((name) => ![SUMS, SIGNATURE, KEY].includes(name)).sort();
  for (const name of new Set([...listed.keys(), ...found])) {
    const sum = found.includes(name) ? await sumOf(join(folder, name)) : 'no such file';
    if (sum !== listed.get(name))
      throw new Error(`${name}: expected the sum ${listed.get(name) ?? 'of a listed file'}, found ${sum}`);
  }
  return found;
}

/** @param {string} file */
async function sumOf(file) {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
