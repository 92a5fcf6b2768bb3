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
import { cleartextOf, isClearsigned, textOf } from './clearsigned.js';
import type { Signatures } from './format.js';
import type { RepositoryOptions } from './options.js';

/** Checks the OpenPGP signatures of pointer documents. */
export class OpenPgpSignatures implements Signatures {
  readonly mode: 'off' | 'warn' | 'enforce';
  readonly #keys: readonly Key[];
  readonly #logger: Logger;

  constructor(mode: OpenPgpSignatures['mode'], keys: readonly Key[], logger: Logger) {
    this.mode = mode;
    this.#keys = keys;
    this.#logger = logger;
  }

  /** Reads the keyrings. @throws EntrepotError `configuration` for one that cannot be read */
  static async open({ mode, keyrings }: RepositoryOptions['signatures'], logger: Logger): Promise<OpenPgpSignatures> {
    const keys = await Promise.all(keyrings.map(readKeyring));
    return new OpenPgpSignatures(mode ?? (keyrings.length > 0 ? 'enforce' : 'warn'), keys.flat(), logger);
  }

  /** Whether there is anything to check against. */
  get isChecking(): boolean {
    return this.mode !== 'off' && this.#keys.length > 0;
  }

  async check(bytes: Uint8Array, name: string, detached: Uint8Array | undefined): Promise<void> {
    if (!this.isChecking) return;
    try {
      await this.#verify(bytes, name, detached);
    } catch (error) {
      const problem = `its signature is not accepted: ${messageOf(error)}`;
      if (this.mode === 'enforce') throw malformed(name, problem, error);
      this.#logger.warn({ file: name, problem }, 'a document is taken although its signature is not accepted');
    }
  }

  async #verify(bytes: Uint8Array, name: string, detached: Uint8Array | undefined): Promise<void> {
    const verificationKeys = [...this.#keys];
    if (detached === undefined) {
      const text = textOf(bytes);
      if (!isClearsigned(text)) throw new Error('it is not signed');
      const message = await readCleartextMessage({ cleartextMessage: text });
      const result = await verify({ message, verificationKeys });
      await requireOne(result);
      // What was verified has to be what is read.
      if (canonical(result.data) !== canonical(cleartextOf(text, name))) throw new Error('it covers another text');
      return;
    }
    const message = await createMessage({ binary: bytes });
    const signature = isArmored(detached)
      ? await readSignature({ armoredSignature: textOf(detached) })
      : await readSignature({ binarySignature: detached });
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
    return isArmored(bytes)
      ? await readKeys({ armoredKeys: bytes.toString('utf8') })
      : await readKeys({ binaryKeys: bytes });
  } catch (error) {
    throw new EntrepotError('configuration', `the keyring ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function isArmored(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 5)).toString('latin1') === '-----';
}
