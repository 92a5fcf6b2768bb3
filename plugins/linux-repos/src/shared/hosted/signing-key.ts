import { EntrepotError, messageOf } from '@entrepot/core';
import { createCleartextMessage, createMessage, decryptKey, readPrivateKey, sign, type PrivateKey } from 'openpgp';

/** Settings of a key, as they stand in the configuration. */
export interface SigningSettings {
  /** The text of an armored OpenPGP secret key. */
  readonly key: string;
  readonly passphrase?: string | undefined;
}

/** The OpenPGP key with which a repository of one's own signs its indexes. */
export class SigningKey {
  readonly #key: PrivateKey;
  /** The public key, armored: a file for clients. */
  readonly publicKey: string;

  private constructor(key: PrivateKey) {
    this.#key = key;
    this.publicKey = withLineFeeds(key.toPublic().armor());
  }

  /**
   * Reads a key, and takes its passphrase away.
   * @param now milliseconds since the epoch
   * @throws EntrepotError `configuration` for one that cannot sign
   */
  static async open({ key, passphrase }: SigningSettings, now: number): Promise<SigningKey> {
    try {
      const read = await readPrivateKey({ armoredKey: key });
      const open = read.isDecrypted() ? read : await decryptKey({ privateKey: read, passphrase: passphrase ?? '' });
      const signing = new SigningKey(open);
      // A key that has expired, or is for encryption alone, is found now.
      await signing.detached('', now);
      return signing;
    } catch (error) {
      throw new EntrepotError(
        'configuration',
        `signing.key cannot sign: ${messageOf(error)}. Expected an armored OpenPGP secret key (gpg --armor --export-secret-keys), with its passphrase where it has one`,
        { cause: error },
      );
    }
  }

  /** Signs `text` in the clear (RFC 9580 §7). @param at the time of the signature, in milliseconds since the epoch */
  async cleartext(text: string, at: number): Promise<string> {
    const message = await createCleartextMessage({ text });
    return withLineFeeds(await sign({ message, signingKeys: this.#key, date: new Date(at) }));
  }

  /** Signs `text`, and gives the armored signature alone. @param at the time of the signature, in milliseconds since the epoch */
  async detached(text: string, at: number): Promise<string> {
    const message = await createMessage({ binary: Buffer.from(text) });
    return withLineFeeds(await sign({ message, signingKeys: this.#key, date: new Date(at), detached: true }));
  }
}

/** The library ends lines as mail does. */
function withLineFeeds(armored: string): string {
  return armored.replaceAll('\r\n', '\n');
}
