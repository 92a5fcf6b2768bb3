import { WorkTurns } from '@entrepot/core/formats';

/** So many names, or bytes that are passed over, are read between two looks at the clock. */
const NAMES_STEP = 256;
const BYTES_STEP = 64 * 1024;
/** The longest name, in bytes: far more than the distribution specification lets one have. */
const LONGEST = 4096;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * Reads lists of names at the top of a JSON object in turns: one may have a million of them. The other members are passed over.
 * @param wanted the members whose lists are read; one that is `null` is left out
 * @throws SyntaxError when it is no such object
 */
export async function readNames(bytes: Uint8Array, wanted: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
  const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const lists = new Map<string, string[]>();
  reader.expect('{');
  if (!reader.takes('}')) {
    do {
      const key = reader.string();
      reader.expect(':');
      if (!wanted.includes(key)) await reader.skipValue();
      else if (!reader.takes('null')) lists.set(key, await reader.names());
    } while (reader.takes(','));
    reader.expect('}');
  }
  reader.end();
  return lists;
}

class Reader {
  readonly #text: Buffer;
  readonly #turns = new WorkTurns();
  #at = 0;

  constructor(text: Buffer) {
    this.#text = text;
  }

  /** Whether `token` comes next; then it is passed. */
  takes(token: string): boolean {
    this.#skipSpace();
    const found = this.#text.toString('latin1', this.#at, this.#at + token.length) === token;
    if (found) this.#at += token.length;
    return found;
  }

  expect(token: string): void {
    if (!this.takes(token)) throw new SyntaxError(`byte ${this.#at}: expected ${token}`);
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw new SyntaxError(`byte ${this.#at}: expected the end`);
  }

  string(): string {
    this.#skipSpace();
    const from = this.#at;
    this.#skipString();
    if (this.#at - from > LONGEST) throw new SyntaxError(`byte ${from}: expected a name of ${LONGEST} bytes at most`);
    return JSON.parse(this.#text.toString('utf8', from, this.#at)) as string;
  }

  async names(): Promise<string[]> {
    const names: string[] = [];
    this.expect('[');
    if (this.takes(']')) return names;
    do {
      names.push(this.string());
      if (names.length % NAMES_STEP === 0) await this.#turns.pause();
    } while (this.takes(','));
    this.expect(']');
    return names;
  }

  async skipValue(): Promise<void> {
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === QUOTE) this.#skipString();
    else if (first === OPEN_OBJECT || first === OPEN_LIST) await this.#skipContainer();
    else this.#skipLiteral();
  }

  async #skipContainer(): Promise<void> {
    let depth = 0;
    let pauseAt = this.#at + BYTES_STEP;
    do {
      const byte = this.#text[this.#at];
      if (byte === undefined) throw new SyntaxError(`byte ${this.#at}: expected a bracket that closes`);
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth += 1;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth -= 1;
      if (byte === QUOTE) this.#skipString();
      else this.#at += 1;
      if (this.#at < pauseAt) continue;
      await this.#turns.pause();
      pauseAt = this.#at + BYTES_STEP;
    } while (depth > 0);
  }

  #skipLiteral(): void {
    const from = this.#at;
    while (/[-+.\w]/.test(String.fromCharCode(this.#text[this.#at] ?? 0)) && this.#at - from < LONGEST) this.#at += 1;
    JSON.parse(this.#text.toString('latin1', from, this.#at));
  }

  #skipString(): void {
    if (this.#text[this.#at] !== QUOTE) throw new SyntaxError(`byte ${this.#at}: expected a string`);
    let end = this.#at;
    do {
      end = this.#text.indexOf(QUOTE, end + 1);
      if (end < 0) throw new SyntaxError(`byte ${this.#at}: expected a string that ends`);
    } while (this.#isEscaped(end));
    this.#at = end + 1;
  }

  #isEscaped(quote: number): boolean {
    let slashes = 0;
    while (this.#text[quote - slashes - 1] === BACKSLASH) slashes += 1;
    return slashes % 2 === 1;
  }

  #skipSpace(): void {
    for (let byte = this.#text[this.#at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;)
      byte = this.#text[(this.#at += 1)];
  }
}
