import { readFile } from 'node:fs/promises';
import { EntrepotError, messageOf, type Logger } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import {
  createMessage,
  readCleartextMessage,
  readKeys,
  readSignature,
  verify,
  type Key,
  type VerifyMessageResult,
} from 'openpgp';
import { cleartextOf, isClearsigned } from './clearsigned.js';
import type { DebOptions } from './options.js';

/** Checks the OpenPGP signatures of Release files. */
export class Signatures {
  readonly mode: 'off' | 'warn' | 'enforce';
  readonly #keys: readonly Key[];
  readonly #logger: Logger;

  constructor(mode: Signatures['mode'], keys: readonly Key[], logger: Logger) {
    this.mode = mode;
    this.#keys = keys;
    this.#logger = logger;
  }

  /** Reads the keyrings. @throws EntrepotError `configuration` for one that cannot be read */
  static async open({ mode, keyrings }: DebOptions['signatures'], logger: Logger): Promise<Signatures> {
    const keys = await Promise.all(keyrings.map(readKeyring));
    return new Signatures(mode ?? (keyrings.length > 0 ? 'enforce' : 'warn'), keys.flat(), logger);
  }

  /** Whether there is anything to check against. */
  get isChecking(): boolean {
    return this.mode !== 'off' && this.#keys.length > 0;
  }

  /**
   * Checks `text`, with a detached signature where it is not clear-signed.
   * @throws EntrepotError `upstream-unavailable` where `enforce` refuses it
   */
  async check(text: string, name: string, detached?: string): Promise<void> {
    if (!this.isChecking) return;
    try {
      await this.#verify(text, name, detached);
    } catch (error) {
      const problem = `its signature is not accepted: ${messageOf(error)}`;
      if (this.mode === 'enforce') throw malformed(name, problem, error);
      this.#logger.warn({ file: name, problem }, 'a Release file is taken although its signature is not accepted');
    }
  }

  async #verify(text: string, name: string, detached: string | undefined): Promise<void> {
    const verificationKeys = [...this.#keys];
    if (isClearsigned(text)) {
      const message = await readCleartextMessage({ cleartextMessage: text });
      const result = await verify({ message, verificationKeys });
      await requireOne(result);
      // What was verified has to be what is read.
      if (canonical(result.data) !== canonical(cleartextOf(text, name))) throw new Error('it covers another text');
      return;
    }
    if (detached === undefined) throw new Error('it is not signed');
    const message = await createMessage({ binary: Buffer.from(text) });
    const signature = await readSignature({ armoredSignature: detached });
    await requireOne(await verify({ message, signature, verificationKeys, format: 'binary' }));
  }
}

/** Requires a signature by a known key; one is enough, as for apt: archives sign with the key of the next release, too. */
async function requireOne({ signatures }: Pick<VerifyMessageResult, 'signatures'>): Promise<void> {
  const problems: string[] = [];
  for (const { verified, keyID } of signatures) {
    try {
      await verified;
      return;
    } catch (error) {
      problems.push(`key ${keyID.toHex().toUpperCase()}: ${messageOf(error)}`);
    }
  }
  throw new Error(problems.join('; ') || 'there is none');
}

/** Clear-signed text is signed without blanks at the ends of lines (RFC 9580 §7.2). */
function canonical(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .join('\n')
    .trimEnd();
}

async function readKeyring(path: string): Promise<readonly Key[]> {
  try {
    const bytes = await readFile(path);
    const isArmored = bytes.subarray(0, 5).toString('latin1') === '-----';
    return isArmored ? await readKeys({ armoredKeys: bytes.toString('utf8') }) : await readKeys({ binaryKeys: bytes });
  } catch (error) {
    throw new EntrepotError('configuration', `the keyring ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
