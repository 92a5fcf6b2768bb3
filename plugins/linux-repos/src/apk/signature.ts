import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { EntrepotError, messageOf, type Logger } from '@entrepot/core';
import { malformed, printed, TarError, TarReader } from '@entrepot/core/formats';
import type { Signatures } from '../shared/format.js';
import { withEnd } from './index-rows.js';
import { firstMember, type GzipMember } from './members.js';

/** The largest index whose signature is checked, in bytes, packed. */
export const LARGEST_INDEX = 64 * 1024 * 1024;
/** The largest part of signatures, in bytes, unpacked. */
const LARGEST_SIGNATURES = 256 * 1024;
/** The bound on parts of signatures before what is signed. */
const MOST_PARTS = 8;
/** By what a name begins with: `.SIGN.RSA.<key>.rsa.pub`. */
const HASHES: Readonly<Record<string, string>> = { RSA: 'sha1', RSA256: 'sha256', RSA512: 'sha512' };

/** A signature of what comes after it. */
export interface ApkSignature {
  /** The file name of its key, such as `alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub`. */
  readonly key: string;
  /** The algorithm of the digest that is signed. */
  readonly hash: string;
  readonly bytes: Buffer;
}

export interface ApkSignatureOptions {
  /** Absent: `enforce` with keys, `warn` without. */
  readonly mode?: 'off' | 'warn' | 'enforce' | undefined;
  /** Paths of public keys in PEM, under the names that signatures have. */
  readonly keys: readonly string[];
}

/** Checks the signatures of indexes. */
export class ApkSignatures implements Signatures {
  readonly mode: 'off' | 'warn' | 'enforce';
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #logger: Logger;

  /** @param keys by their file names */
  constructor(mode: ApkSignatures['mode'], keys: ReadonlyMap<string, KeyObject>, logger: Logger) {
    this.mode = mode;
    this.#keys = keys;
    this.#logger = logger;
  }

  /** Reads the keys. @throws EntrepotError `configuration` for one that cannot be read */
  static async open({ mode, keys }: ApkSignatureOptions, logger: Logger): Promise<ApkSignatures> {
    const read = await Promise.all(keys.map(readKey));
    return new ApkSignatures(mode ?? (keys.length > 0 ? 'enforce' : 'warn'), new Map(read), logger);
  }

  /** Whether there is anything to check against. */
  get isChecking(): boolean {
    return this.mode !== 'off' && this.#keys.size > 0;
  }

  /**
   * Checks an index, as it is packed.
   * @throws EntrepotError `upstream-unavailable` where `enforce` refuses it
   */
  async check(bytes: Uint8Array, name: string): Promise<void> {
    if (!this.isChecking) return;
    try {
      await this.#verify(bytes, name);
    } catch (error) {
      const problem = `its signature is not accepted: ${messageOf(error)}`;
      if (this.mode === 'enforce') throw malformed(name, problem, error);
      this.#logger.warn({ file: name, problem }, 'an index is taken although its signature is not accepted');
    }
  }

  /** Requires a signature by a known key; one is enough, as for apk. */
  async #verify(bytes: Uint8Array, name: string): Promise<void> {
    const { signatures, signed } = await readSignatures(bytes, name);
    const problems: string[] = [];
    for (const { key, hash, bytes: signature } of signatures) {
      const known = this.#keys.get(key);
      if (known === undefined) problems.push(`the key ${printed(key)} is not among the keys`);
      else if (await promisify(verify)(hash, signed, known, signature)) return;
      else problems.push(`that by ${printed(key)} is wrong`);
    }
    throw new Error(problems.join('; ') || 'there is none');
  }
}

/**
 * Reads the signatures of an index, and what they sign: the bytes of the rest, as they are packed.
 * @throws EntrepotError `upstream-unavailable` for signatures that are malformed
 */
export async function readSignatures(
  bytes: Uint8Array,
  name: string,
): Promise<{ readonly signatures: readonly ApkSignature[]; readonly signed: Buffer }> {
  if (bytes.length > LARGEST_INDEX) throw malformed(name, `expected ${LARGEST_INDEX} bytes at most`);
  const signatures: ApkSignature[] = [];
  let rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let part = 0; part < MOST_PARTS; part += 1) {
    // What is no signature may be large, and is not unpacked here.
    const member = await firstMember(rest, LARGEST_SIGNATURES, name).catch(() => undefined);
    const found = member && (await signaturesOf(member, name));
    if (member === undefined || found === undefined) return { signatures, signed: rest };
    signatures.push(...found);
    rest = rest.subarray(member.length);
  }
  throw malformed(name, `expected ${MOST_PARTS} parts of signatures at most`);
}

/** The signatures of a part that has nothing else. `undefined`: it is another part. */
export async function signaturesOf(member: GzipMember, name: string): Promise<readonly ApkSignature[] | undefined> {
  const limits = { files: 100, fileBytes: LARGEST_SIGNATURES, bytes: LARGEST_SIGNATURES + 1024 };
  // The name of its first file tells what it is: other parts may be larger.
  if (!member.plain.subarray(0, 6).equals(Buffer.from('.SIGN.'))) return undefined;
  const archive = new TarReader(withEnd([member.plain]), limits);
  const found: ApkSignature[] = [];
  try {
    for await (const file of archive.files()) {
      if (!file.name.startsWith('.SIGN.')) throw malformed(name, `${printed(file.name)} is among its signatures`);
      const [, kind = '', key = ''] = /^\.SIGN\.([A-Z0-9]+)\.([^/]+)$/.exec(file.name) ?? [];
      const hash = Object.hasOwn(HASHES, kind) ? HASHES[kind] : undefined;
      // Others are for clients that know more.
      if (hash !== undefined) found.push({ key, hash, bytes: await archive.content() });
    }
  } catch (error) {
    throw error instanceof TarError ? malformed(name, error.message, error) : error;
  }
  return found;
}

async function readKey(path: string): Promise<readonly [string, KeyObject]> {
  try {
    return [basename(path), createPublicKey(await readFile(path))];
  } catch (error) {
    throw new EntrepotError('configuration', `the key ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
