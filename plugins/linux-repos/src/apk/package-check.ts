import { createHash } from 'node:crypto';
import { integrityMismatch, type Content, type Integrity } from '@entrepot/core';
import { malformed, slices, TarError, TarReader } from '@entrepot/core/formats';
import { withEnd } from './index-rows.js';
import { firstMember, type GzipMember } from './members.js';
import { signaturesOf } from './signature.js';

/** The largest parts before the data, in bytes, packed and unpacked. Scripts and dependencies have some KB. */
const LARGEST_PACKED = 8 * 1024 * 1024;
const LARGEST_PLAIN = 32 * 1024 * 1024;
/** Bytes that are waited for before a part is looked at; doubled each time that it goes on. */
const FIRST_LOOK = 64 * 1024;
/** The largest `.PKGINFO`, in bytes. */
const LARGEST_INFO = 4 * 1024 * 1024;

/**
 * Checks a package as apk does: that its control part is the one that the index names, and that its data is what the control part states.
 * Reads the package once, holding its first parts, and no more than their bounds.
 * @param control the checksum of the index
 * @throws EntrepotError `integrity` for other bytes; `upstream-unavailable` for what is no such package
 */
export async function checkPackage(
  { stream }: Pick<Content, 'stream'>,
  control: Integrity,
  name: string,
): Promise<void> {
  const source = slices(stream())[Symbol.asyncIterator]();
  try {
    const head = new Head(source, name);
    let part = await head.next();
    if (part !== undefined && (await signaturesOf(part, name)) !== undefined) part = await head.next();
    if (part === undefined) throw malformed(name, 'it has no control part');
    const found = createHash(control.algorithm).update(part.packed).digest('hex');
    if (found !== control.hex)
      throw integrityMismatch(`${name} (its control part)`, [control], { algorithm: control.algorithm, hex: found });
    const stated = await dataHashOf(part, name);
    const data = createHash('sha256').update(head.rest);
    let size = head.rest.length;
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      data.update(next.value);
      size += next.value.length;
    }
    const actual: Integrity = { algorithm: 'sha256', hex: data.digest('hex') };
    // A package of names alone has no data.
    if (stated === undefined && size === 0) return;
    if (stated === undefined) throw malformed(name, 'its control part does not state a hash of its data');
    if (actual.hex !== stated)
      throw integrityMismatch(`${name} (its data)`, [{ algorithm: 'sha256', hex: stated }], actual);
  } finally {
    await source.return?.();
  }
}

interface Part extends GzipMember {
  readonly packed: Buffer;
}

/** The first parts of a package that comes in pieces. */
class Head {
  readonly #source: AsyncIterator<Buffer>;
  readonly #name: string;
  #bytes: Buffer = Buffer.alloc(0);
  #isWhole = false;

  constructor(source: AsyncIterator<Buffer>, name: string) {
    this.#source = source;
    this.#name = name;
  }

  /** The bytes that were read and are of no part yet. */
  get rest(): Buffer {
    return this.#bytes;
  }

  /** The next part, `undefined` at the end. */
  async next(): Promise<Part | undefined> {
    for (let wanted = FIRST_LOOK; ; wanted = 2 * this.#bytes.length) {
      await this.#fill(wanted);
      if (this.#bytes.length === 0) return undefined;
      const member = await firstMember(this.#bytes, LARGEST_PLAIN, this.#name);
      if (member !== undefined) {
        const packed = this.#bytes.subarray(0, member.length);
        this.#bytes = this.#bytes.subarray(member.length);
        return { ...member, packed };
      }
      if (this.#isWhole) throw malformed(this.#name, 'it ends within a part');
      if (this.#bytes.length >= LARGEST_PACKED)
        throw malformed(this.#name, `expected parts of ${LARGEST_PACKED} bytes at most before its data`);
    }
  }

  async #fill(wanted: number): Promise<void> {
    const pieces = [this.#bytes];
    let size = this.#bytes.length;
    while (size < wanted && !this.#isWhole) {
      const { done, value } = await this.#source.next();
      if (done === true) this.#isWhole = true;
      else {
        pieces.push(value);
        size += value.length;
      }
    }
    this.#bytes = Buffer.concat(pieces);
  }
}

/** The SHA-256 of the data that a control part states. `undefined`: none. */
async function dataHashOf({ plain }: Part, name: string): Promise<string | undefined> {
  const archive = new TarReader(withEnd([plain]), {
    files: 1000,
    fileBytes: LARGEST_PLAIN,
    bytes: LARGEST_PLAIN + 1024,
  });
  let info: string | undefined;
  try {
    for await (const file of archive.files()) {
      if (file.name !== '.PKGINFO') continue;
      if (info !== undefined || file.size > LARGEST_INFO)
        throw malformed(name, 'expected one .PKGINFO of a usual size');
      info = (await archive.content()).toString('utf8');
    }
  } catch (error) {
    throw error instanceof TarError ? malformed(name, error.message, error) : error;
  }
  if (info === undefined) throw malformed(name, 'its control part has no .PKGINFO');
  const stated = info.split('\n').filter((line) => /^datahash\s*=/.test(line));
  const hash = stated[0]?.slice(stated[0].indexOf('=') + 1).trim();
  if (stated.length > 1 || (hash !== undefined && !/^[0-9a-f]{64}$/.test(hash)))
    throw malformed(name, 'expected one hash of its data in .PKGINFO');
  return hash;
}
