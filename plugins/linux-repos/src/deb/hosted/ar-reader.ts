import { EntrepotError } from '@entrepot/core';
import { ByteReader } from '../../shared/hosted/byte-reader.js';

/** A member of an archive. */
export interface ArMember {
  /** As it stands there, without the blanks and the slash behind it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

const MAGIC = '!<arch>\n';
const HEADER = 60;
/** The bound on members: packages have three. */
const MOST = 64;

/** Reads an ar archive, the outer form of packages (deb(5)), as it comes: holds one header and one piece. */
export class ArReader {
  readonly #bytes: ByteReader;
  /** Bytes of the current member that were not read, and of the padding behind it. */
  #content = 0;
  #padding = 0;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#bytes = new ByteReader(bytes, () => broken('it ends too early'));
  }

  /**
   * Yields the members in their order. The content of one can be read until the next is asked for; the rest of it is skipped.
   * @throws EntrepotError `bad-request` for what is no such archive
   */
  async *members(): AsyncGenerator<ArMember> {
    try {
      if ((await this.#bytes.take(MAGIC.length)).toString('latin1') !== MAGIC)
        throw broken('expected an ar archive that begins with !<arch>');
      for (let count = 0; count <= MOST; count += 1) {
        if (!(await this.#skip())) return;
        yield this.#begin(await this.#bytes.take(HEADER));
      }
      throw broken(`expected ${MOST} members at most`);
    } finally {
      await this.#bytes.close();
    }
  }

  /** Reads the content of the member that `members` gave last. @throws EntrepotError `bad-request` for a larger one */
  async content(limit: number): Promise<Buffer> {
    if (this.#content > limit) throw broken(`expected a member of ${limit} bytes at most, found ${this.#content}`);
    const length = this.#content;
    this.#content = 0;
    return await this.#bytes.take(length);
  }

  #begin(header: Buffer): ArMember {
    const text = header.toString('latin1');
    const size = text.slice(48, 58).trimEnd();
    if (text.slice(58) !== '`\n' || !/^\d{1,10}$/.test(size)) throw broken('found a malformed header of a member');
    this.#content = Number(size);
    this.#padding = this.#content % 2;
    const name = text.slice(0, 16).trimEnd();
    return { name: name.endsWith('/') ? name.slice(0, -1) : name, size: this.#content };
  }

  /** Skips what is left of a member. The padding of the last one may be missing. @returns whether the archive goes on */
  async #skip(): Promise<boolean> {
    await this.#bytes.skip(this.#content);
    this.#content = 0;
    if (await this.#bytes.isAtEnd()) return false;
    await this.#bytes.skip(this.#padding);
    this.#padding = 0;
    return !(await this.#bytes.isAtEnd());
  }
}

/** The refusal of a body that is no package. */
export function broken(problem: string, cause?: unknown): EntrepotError {
  return new EntrepotError('bad-request', `This is no Debian package: ${problem}`, { cause });
}
