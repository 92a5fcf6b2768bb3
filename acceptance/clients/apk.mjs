import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInflateRaw } from 'node:zlib';
import { APK_KEY } from '@entrepot/fixtures/apk-archive';
import { get } from '@entrepot/fixtures/get';
import { runCommand } from '@entrepot/fixtures/run-command';

/**
 * Fetches and verifies as `apk add` does, by the format that apk-tools 2 documents: the signature of the index by openssl, a package by the sum
 * of its control part that the index has, and its data by the sum that the control part has. Debian has no apk.
 */
export class ApkReader {
  #folder;
  #url;

  /** @param {string} folder of its own @param {string} url of a folder of one architecture */
  constructor(folder, url) {
    this.#folder = folder;
    this.#url = url;
  }

  /** @param {string} keyring the public key as PEM */
  async open(keyring) {
    await mkdir(this.#folder, { recursive: true });
    await writeFile(join(this.#folder, APK_KEY), keyring);
    return this;
  }

  /** Fetches the index. @returns {Promise<Map<string, Map<string, string>>>} fields of packages, by their names @throws {Error} for what apk would not take */
  async update() {
    const index = await this.#get('APKINDEX.tar.gz');
    const [signature, signed] = await splitFirst(index);
    const [name = '', bytes = Buffer.alloc(0)] = [...filesOf(signature)][0] ?? [];
    if (name !== `.SIGN.RSA.${APK_KEY}`) throw new Error(`UNTRUSTED signature: ${name}`);
    await writeFile(join(this.#folder, 'signed'), signed);
    await writeFile(join(this.#folder, 'signature'), bytes);
    const words = ['dgst', '-sha1', '-verify', APK_KEY, '-signature', 'signature', 'signed'];
    const verified = await runCommand(['openssl', ...words], { cwd: this.#folder, env: process.env, timeout: 60_000 });
    if (verified.code !== 0) throw new Error(`BAD signature: ${verified.stdout}${verified.stderr}`);
    const [plain, rest] = await splitFirst(signed);
    if (rest.length > 0) throw new Error('the index goes on behind its end');
    const text = filesOf(plain).get('APKINDEX')?.toString() ?? '';
    const rows = text.split('\n\n').filter((row) => row.includes('P:'));
    return new Map(
      rows.map((row) => {
        const fields = new Map(
          row
            .trim()
            .split('\n')
            .map((line) => [line.slice(0, 1), line.slice(2)]),
        );
        return [fields.get('P') ?? '', fields];
      }),
    );
  }

  /** Fetches and verifies a package. @param {Map<string, string>} fields of the index @returns {Promise<Buffer>} @throws {Error} for what apk would not take */
  async fetch(fields) {
    const bytes = await this.#get(`${fields.get('P')}-${fields.get('V')}.apk`);
    if (bytes.length !== Number(fields.get('S'))) throw new Error(`size mismatch: ${bytes.length}`);
    const [, unsigned] = await splitFirst(bytes);
    const [control, data] = await splitFirst(unsigned);
    const packed = unsigned.subarray(0, unsigned.length - data.length);
    const identity = createHash('sha1').update(packed).digest('base64');
    if (`Q1${identity}` !== fields.get('C')) throw new Error(`control mismatch: Q1${identity}`);
    const stated = /^datahash = (\w+)$/m.exec(filesOf(control).get('.PKGINFO')?.toString() ?? '')?.[1];
    if (createHash('sha256').update(data).digest('hex') !== stated) throw new Error('data mismatch');
    return bytes;
  }

  /** The answer to a request for a package, whatever that is. @param {string} file */
  async ask(file) {
    return await get(`${this.#url}/${file}`);
  }

  /** @param {string} file */
  async #get(file) {
    const { status, headers, body, complete } = await get(`${this.#url}/${file}`);
    if (status !== 200)
      throw new Error(`${file}: ${status} ${headers['x-entrepot-reason'] ?? body.toString('utf8', 0, 300)}`);
    if (!complete) throw new Error(`${file}: cut short`);
    return body;
  }
}

/** The first gzip member unpacked, and the bytes behind it. @param {Buffer} bytes @returns {Promise<[Buffer, Buffer]>} */
async function splitFirst(bytes) {
  const flags = bytes[3] ?? 0;
  if (bytes.readUInt16BE(0) !== 0x1f8b || flags !== 0)
    throw new Error('a gzip member without extra fields was expected');
  const inflate = createInflateRaw();
  /** @type {Buffer[]} */
  const parts = [];
  inflate.on('data', (part) => parts.push(part));
  inflate.end(bytes.subarray(10));
  await new Promise((resolve, reject) => inflate.once('end', resolve).once('error', reject));
  const end = 10 + inflate.bytesWritten + 8;
  return [Buffer.concat(parts), bytes.subarray(end)];
}

const BLOCK = 512;

/** Regular files of a tar archive. @param {Buffer} archive @returns {Map<string, Buffer>} */
function filesOf(archive) {
  const files = new Map();
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0;) {
    const field = (/** @type {number} */ start, /** @type {number} */ length) =>
      archive.toString('latin1', at + start, at + start + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(field(124, 12), 8);
    files.set(field(0, 100), archive.subarray(at + BLOCK, at + BLOCK + size));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
